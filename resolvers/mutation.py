"""The root fields that write: each answers a payload; an outage is an error on it alone."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import msgspec
import strawberry

from gateway.context import UserErrors, WriteService, receipts
from gateway.errors import Forbidden
from gateway.observability import audit
from resolvers.audit_targets import destinations, targets
from resolvers.field_permissions import Permission, declared, requires
from resolvers.inputs import to_domain
from resolvers.inputs.filters import given
from resolvers.inputs.mutation_inputs import (
    AssignmentBulkCreateInput,
    AssignmentBulkDeleteInput,
    AssignmentCreateInput,
    AssignmentDeleteInput,
    CustomerSegmentsReplaceInput,
    SegmentBulkCreateInput,
    SegmentBulkDeleteInput,
    SegmentBulkUpsertInput,
    SegmentCreateInput,
    SegmentDeleteInput,
    SegmentItemsBulkAssignInput,
    SegmentsReorderInput,
    SegmentUpdateInput,
    SegmentUpsertInput,
)
from resolvers.types.nodes import Context
from resolvers.types.payloads import (
    AssignmentBulkPayload,
    AssignmentCreatePayload,
    AssignmentDeletePayload,
    CustomerSegmentsReplacePayload,
    SegmentBulkPayload,
    SegmentCreatePayload,
    SegmentDeletePayload,
    SegmentItemsBulkPayload,
    SegmentsReorderPayload,
    SegmentUpdatePayload,
    SegmentUpsertPayload,
)

R = TypeVar("R", bound=audit.Receipt)
SEGMENTS = declared(requires(Permission.SEGMENTS_WRITE))
ASSIGNMENTS = declared(requires(Permission.ASSIGNMENTS_WRITE))
INPUT = strawberry.argument(name="input", description="What is to be done.")


async def receipt(
    info: Context, asked: Any, form: type[R], write: Callable[[WriteService], Awaitable[R]]
) -> R:
    """Do a write once per idempotency key, and log it in the audit log.

    The caller's mistakes become the receipt's errors.
    """
    scope, has_key = info.context.scope, given(asked.idempotency_key) is not None
    is_repeated = True

    async def tried(writes: WriteService) -> R:
        nonlocal is_repeated
        is_repeated = False
        try:
            return await write(writes)
        except UserErrors as error:
            return form(errors=error.errors)  # type: ignore[call-arg]  # every receipt has them

    with audit.write(scope, info.field_name, targets(asked), has_key=has_key) as line:
        try:
            done = await once(info, asked, form, tried)
        except UserErrors as error:  # of the key
            is_repeated = False
            done = form(errors=error.errors)  # type: ignore[call-arg]  # every receipt has them
        line.note(done, is_repeated=is_repeated)
    return done


async def once(
    info: Context, asked: Any, form: type[R], write: Callable[[WriteService], Awaitable[R]]
) -> R:
    """Do a write, and with an idempotency key only once. Raises `UserErrors` for a bad key."""
    writes = info.context.writes
    key = given(asked.idempotency_key)
    # At providers that the caller does not see nothing is written, and what they wrote there when
    # they saw more is not shown: the answer is the one for providers that do not exist.
    if key is None or destinations(asked).isdisjoint(info.context.providers):
        return await write(writes)
    # What was asked without the key itself, as text: equal inputs, equal texts.
    text = msgspec.json.encode(
        [info.field_name, {**asdict(asked), "idempotency_key": None}],
        enc_hook=lambda value: None if value is strawberry.UNSET else str(value),
        order="deterministic",
    )
    return await writes.once(key, text, lambda: write(writes), form)


def demand_members(info: Context, provider: str, *rows: Any) -> None:
    """Raise `Forbidden` where new segments are given members by who may assign nobody."""
    if any(row.customers or row.customer_external_ids for row in rows):
        try:
            info.context.require(
                Permission.ASSIGNMENTS_WRITE, provider, "A new segment with customers"
            )
        except Forbidden:
            audit.denied(info.context.scope, [info.field_name])
            raise


@strawberry.type(description="Everything that can be changed.")
class Mutation:
    """See the description."""

    @strawberry.field(description="Make a segment.", metadata=SEGMENTS)
    async def segment_create(
        self, info: Context, asked: Annotated[SegmentCreateInput, INPUT]
    ) -> SegmentCreatePayload | None:
        """See the description."""
        demand_members(info, asked.provider, asked)

        async def write(writes: WriteService) -> receipts.SegmentReceipt:
            return await writes.segments.create(
                asked.provider, *to_domain.new_segment(asked, asked.provider)
            )

        done = await receipt(info, asked, receipts.SegmentReceipt, write)
        return SegmentCreatePayload(value=done)

    @strawberry.field(description="Change the given parts of a segment.", metadata=SEGMENTS)
    async def segment_update(
        self, info: Context, asked: Annotated[SegmentUpdateInput, INPUT]
    ) -> SegmentUpdatePayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.SegmentReceipt:
            return await writes.segments.update(*to_domain.changes(asked))

        done = await receipt(info, asked, receipts.SegmentReceipt, write)
        return SegmentUpdatePayload(value=done)

    @strawberry.field(
        description="Write a whole segment: make it if missing, else replace it.",
        metadata=SEGMENTS,
    )
    async def segment_upsert(
        self, info: Context, asked: Annotated[SegmentUpsertInput, INPUT]
    ) -> SegmentUpsertPayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.SegmentReceipt:
            return await writes.segments.upsert(asked.provider, *to_domain.whole_segment(asked))

        done = await receipt(info, asked, receipts.SegmentReceipt, write)
        return SegmentUpsertPayload(value=done)

    @strawberry.field(description="Delete a segment.", metadata=SEGMENTS)
    async def segment_delete(
        self, info: Context, asked: Annotated[SegmentDeleteInput, INPUT]
    ) -> SegmentDeletePayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.DeletionReceipt:
            ref = to_domain.segment_ref(asked.id, "id")
            return await writes.segments.delete(ref, force=bool(asked.force))

        done = await receipt(info, asked, receipts.DeletionReceipt, write)
        return SegmentDeletePayload(value=done)

    @strawberry.field(
        description="Make any number of segments of one provider.", metadata=SEGMENTS
    )
    async def segment_bulk_create(
        self, info: Context, asked: Annotated[SegmentBulkCreateInput, INPUT]
    ) -> SegmentBulkPayload | None:
        """See the description."""
        demand_members(info, asked.provider, *asked.segments)

        async def write(writes: WriteService) -> receipts.SegmentsReceipt:
            return await writes.bulk.create(
                asked.provider, to_domain.rows(asked.segments, asked.provider)
            )

        done = await receipt(info, asked, receipts.SegmentsReceipt, write)
        return SegmentBulkPayload(value=done)

    @strawberry.field(
        description="Write any number of whole segments of one provider.", metadata=SEGMENTS
    )
    async def segment_bulk_upsert(
        self, info: Context, asked: Annotated[SegmentBulkUpsertInput, INPUT]
    ) -> SegmentBulkPayload | None:
        """See the description."""
        demand_members(info, asked.provider, *asked.segments)

        async def write(writes: WriteService) -> receipts.SegmentsReceipt:
            return await writes.bulk.upsert(
                asked.provider, to_domain.rows(asked.segments, asked.provider)
            )

        done = await receipt(info, asked, receipts.SegmentsReceipt, write)
        return SegmentBulkPayload(value=done)

    @strawberry.field(
        description="Delete any number of segments, of any providers.", metadata=SEGMENTS
    )
    async def segment_bulk_delete(
        self, info: Context, asked: Annotated[SegmentBulkDeleteInput, INPUT]
    ) -> SegmentBulkPayload | None:
        """See the description."""
        refs = [to_domain.named_segment(each) for each in asked.ids]

        async def write(writes: WriteService) -> receipts.SegmentsReceipt:
            return await writes.bulk.delete(refs, force=bool(asked.force))

        done = await receipt(info, asked, receipts.SegmentsReceipt, write)
        return SegmentBulkPayload(value=info.context.writes.bulk.visible(done, refs))

    @strawberry.field(description="Rank a provider's segments (Stuut).", metadata=SEGMENTS)
    async def segments_reorder(
        self, info: Context, asked: Annotated[SegmentsReorderInput, INPUT]
    ) -> SegmentsReorderPayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.OrderReceipt:
            refs = to_domain.segment_refs(asked.ids, "ids")
            return await writes.segments.reorder(asked.provider, refs)

        done = await receipt(info, asked, receipts.OrderReceipt, write)
        return SegmentsReorderPayload(value=done)

    @strawberry.field(description="Put a customer into a segment.", metadata=ASSIGNMENTS)
    async def assignment_create(
        self, info: Context, asked: Annotated[AssignmentCreateInput, INPUT]
    ) -> AssignmentCreatePayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.AssignmentReceipt:
            return await writes.assignments.create(*to_domain.assignment(asked))

        done = await receipt(info, asked, receipts.AssignmentReceipt, write)
        return AssignmentCreatePayload(value=done)

    @strawberry.field(description="Take a customer out of a segment.", metadata=ASSIGNMENTS)
    async def assignment_delete(
        self, info: Context, asked: Annotated[AssignmentDeleteInput, INPUT]
    ) -> AssignmentDeletePayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.AssignmentReceipt:
            return await writes.assignments.delete(*to_domain.assignment(asked))

        done = await receipt(info, asked, receipts.AssignmentReceipt, write)
        return AssignmentDeletePayload(value=done)

    @strawberry.field(
        description="Put any number of customers into a segment.", metadata=ASSIGNMENTS
    )
    async def assignment_bulk_create(
        self, info: Context, asked: Annotated[AssignmentBulkCreateInput, INPUT]
    ) -> AssignmentBulkPayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.AssignmentsReceipt:
            segment = to_domain.segment_ref(asked.segment_id, "segmentId")
            rows = [to_domain.assignee(each, segment.provider) for each in asked.assignments]
            return await writes.assignments.create_many(segment, rows)

        done = await receipt(info, asked, receipts.AssignmentsReceipt, write)
        return AssignmentBulkPayload(value=done)

    @strawberry.field(
        description="Take any number of customers out of a segment.", metadata=ASSIGNMENTS
    )
    async def assignment_bulk_delete(
        self, info: Context, asked: Annotated[AssignmentBulkDeleteInput, INPUT]
    ) -> AssignmentBulkPayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.AssignmentsReceipt:
            segment = to_domain.segment_ref(asked.segment_id, "segmentId")
            rows = [to_domain.assignee(each, segment.provider) for each in asked.assignments]
            return await writes.assignments.delete_many(segment, rows)

        done = await receipt(info, asked, receipts.AssignmentsReceipt, write)
        return AssignmentBulkPayload(value=done)

    @strawberry.field(
        description="Give customers these segments instead of those they have: as many customers "
        "at once as the limits of a request allow (`limits.body_bytes`, `list_items`, `cost`).",
        metadata=ASSIGNMENTS,
    )
    async def customer_segments_replace(
        self, info: Context, asked: Annotated[CustomerSegmentsReplaceInput, INPUT]
    ) -> CustomerSegmentsReplacePayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.ReplacementsReceipt:
            return await writes.replacing.replace(asked.provider, to_domain.replacements(asked))

        done = await receipt(info, asked, receipts.ReplacementsReceipt, write)
        return CustomerSegmentsReplacePayload(value=done)

    @strawberry.field(
        description="Put any number of items into a segment (Emporix).", metadata=SEGMENTS
    )
    async def segment_items_bulk_assign(
        self, info: Context, asked: Annotated[SegmentItemsBulkAssignInput, INPUT]
    ) -> SegmentItemsBulkPayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.ItemsReceipt:
            segment = to_domain.segment_ref(asked.segment_id, "segmentId")
            return await writes.assignments.assign_items(segment, to_domain.items(asked))

        done = await receipt(info, asked, receipts.ItemsReceipt, write)
        return SegmentItemsBulkPayload(value=done)

    @strawberry.field(
        description="Take any number of items out of a segment (Emporix).", metadata=SEGMENTS
    )
    async def segment_items_bulk_unassign(
        self, info: Context, asked: Annotated[SegmentItemsBulkAssignInput, INPUT]
    ) -> SegmentItemsBulkPayload | None:
        """See the description."""

        async def write(writes: WriteService) -> receipts.ItemsReceipt:
            segment = to_domain.segment_ref(asked.segment_id, "segmentId")
            return await writes.assignments.unassign_items(segment, to_domain.items(asked))

        done = await receipt(info, asked, receipts.ItemsReceipt, write)
        return SegmentItemsBulkPayload(value=done)
