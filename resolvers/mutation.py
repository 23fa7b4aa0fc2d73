"""The mutations: one declaration each, and what all of them share.

A mutation returns a payload; the caller's mistakes are its `userErrors`. A provider that fails
is an error of that mutation alone.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import msgspec
import strawberry

from gateway.context import UserErrors, WriteService, receipts
from gateway.errors import Forbidden
from gateway.observability import audit
from resolvers.audit_targets import destinations, targets
from resolvers.field_permissions import Permission, Requirement, permission_metadata, requires
from resolvers.inputs import to_domain
from resolvers.inputs.filters import given
from resolvers.inputs.identity import (
    CustomersLinkInput,
    CustomersUnlinkInput,
    IdentityLinkDecideInput,
    customer_refs,
    link_pair,
    unlinking,
)
from resolvers.inputs.mutation_inputs import (
    AssignmentBulkCreateInput,
    AssignmentBulkDeleteInput,
    AssignmentCreateInput,
    AssignmentDeleteInput,
    CustomerAttributesUpdateInput,
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
from resolvers.schema_directives import NULL_ONLY_ON_ERROR
from resolvers.types.nodes import Context
from resolvers.types.payloads import (
    AssignmentBulkPayload,
    AssignmentCreatePayload,
    AssignmentDeletePayload,
    CustomerAttributesUpdatePayload,
    CustomerSegmentsReplacePayload,
    SegmentBulkPayload,
    SegmentCreatePayload,
    SegmentDeletePayload,
    SegmentItemsBulkPayload,
    SegmentsReorderPayload,
    SegmentUpdatePayload,
    SegmentUpsertPayload,
)
from resolvers.types.person_payloads import (
    CustomersLinkPayload,
    CustomersUnlinkPayload,
    IdentityLinkDecidePayload,
)

I = TypeVar("I")  # noqa: E741  # an input type
R = TypeVar("R", bound=audit.Receipt)

SEGMENTS_WRITE = requires(Permission.SEGMENTS_WRITE)
ASSIGNMENTS_WRITE = requires(Permission.ASSIGNMENTS_WRITE)
CUSTOMERS_WRITE = requires(Permission.CUSTOMERS_WRITE)
IDENTITY_WRITE = requires(Permission.IDENTITY_WRITE, Permission.CUSTOMERS_READ)
INPUT = strawberry.argument(name="input", description="The input of this mutation.")


def mutation(
    input_type: type[I],
    write: Callable[[WriteService, I], Awaitable[R]],
    receipt_type: type[R],
    payload: Callable[..., Any],
    description: str,
    requirement: Requirement,
    *,
    check: Callable[[Context, I], None] = lambda *_: None,
    visible: Callable[[WriteService, I, R], R] = lambda _, __, receipt: receipt,
) -> Any:
    """Declare a mutation: `write` returns a receipt, and `payload` shows it.

    `check` may refuse the input before anything is written. `visible` hides the parts of a stored
    receipt that the caller may no longer see.
    """

    async def resolve(self: Any, info: Context, value: I) -> Any:  # noqa: ARG001  # Strawberry passes the root
        check(info, value)
        receipt = await write_once(info, value, receipt_type, write)
        return payload(value=visible(info.context.writes, value, receipt))

    resolve.__annotations__ = {
        "info": Context,
        "value": Annotated[input_type, INPUT],
        "return": payload | None,  # type: ignore[operator]  # a class
    }
    return strawberry.field(
        resolve,
        description=description,
        metadata=permission_metadata(requirement),
        directives=[NULL_ONLY_ON_ERROR],
    )


async def write_once(
    info: Context,
    value: I,
    receipt_type: type[R],
    write: Callable[[WriteService, I], Awaitable[R]],
) -> R:
    """Write once per idempotency key, and log it in the audit log.

    The caller's mistakes become the errors of the receipt.
    """
    scope, key = info.context.scope, given(value.idempotency_key)  # type: ignore[attr-defined]  # every input has one
    is_repeated = True

    async def first_write() -> R:
        nonlocal is_repeated
        is_repeated = False
        try:
            return await write(info.context.writes, value)
        except UserErrors as error:
            return receipt_type(errors=error.errors)  # type: ignore[call-arg]  # every receipt has them

    with audit.write(scope, info.field_name, targets(value), has_key=key is not None) as line:
        try:
            receipt = await load_or_write(first_write, info, value, key, receipt_type)
        except UserErrors as error:  # of the idempotency key
            is_repeated = False
            receipt = receipt_type(errors=error.errors)  # type: ignore[call-arg]  # as above
        line.note(receipt, is_repeated=is_repeated)
    return receipt


async def load_or_write(
    write: Callable[[], Awaitable[R]],
    info: Context,
    value: Any,
    key: str | None,
    receipt_type: type[R],
) -> R:
    """Return the stored receipt of an idempotency key, else write. Raises `UserErrors`."""
    # To the caller, a provider that is not visible does not exist: nothing is written there, and
    # receipts from a time when it was visible are not shown.
    if key is None or destinations(value).isdisjoint(info.context.providers):
        return await write()
    # The input without the key itself, as text: equal inputs give equal texts.
    fingerprint = msgspec.json.encode(
        [info.field_name, {**asdict(value), "idempotency_key": None}],
        enc_hook=lambda part: None if part is strawberry.UNSET else str(part),
        order="deterministic",
    )
    return await info.context.writes.once(key, fingerprint, write, receipt_type)


def check_members(
    info: Context, value: SegmentCreateInput | SegmentBulkCreateInput | SegmentBulkUpsertInput
) -> None:
    """Raise `Forbidden` if new segments have members and the caller may not assign customers."""
    rows = [value] if isinstance(value, SegmentCreateInput) else value.segments
    if any(row.customers or row.customer_external_ids for row in rows):
        try:
            info.context.require(
                Permission.ASSIGNMENTS_WRITE, value.provider, "A new segment with customers"
            )
        except Forbidden:
            audit.denied(info.context.scope, [info.field_name])
            raise


@strawberry.type(description="Everything that can be changed.")
class Mutation:
    """See the description."""

    segment_create = mutation(
        SegmentCreateInput,
        lambda writes, value: writes.segments.create(
            value.provider, *to_domain.new_segment(value, value.provider)
        ),
        receipts.SegmentReceipt,
        SegmentCreatePayload,
        "Create a segment.",
        SEGMENTS_WRITE,
        check=check_members,
    )
    segment_update = mutation(
        SegmentUpdateInput,
        lambda writes, value: writes.segments.update(*to_domain.changes(value)),
        receipts.SegmentReceipt,
        SegmentUpdatePayload,
        "Change the given fields of a segment.",
        SEGMENTS_WRITE,
    )
    segment_upsert = mutation(
        SegmentUpsertInput,
        lambda writes, value: writes.segments.upsert(
            value.provider, *to_domain.whole_segment(value)
        ),
        receipts.SegmentReceipt,
        SegmentUpsertPayload,
        "Create a segment, or replace it if it exists.",
        SEGMENTS_WRITE,
    )
    segment_delete = mutation(
        SegmentDeleteInput,
        lambda writes, value: writes.segments.delete(
            to_domain.segment_ref(value.id, "id"), force=bool(value.force)
        ),
        receipts.DeletionReceipt,
        SegmentDeletePayload,
        "Delete a segment.",
        SEGMENTS_WRITE,
    )
    segment_bulk_create = mutation(
        SegmentBulkCreateInput,
        lambda writes, value: writes.bulk.create(
            value.provider, to_domain.rows(value.segments, value.provider)
        ),
        receipts.SegmentsReceipt,
        SegmentBulkPayload,
        "Create any number of segments of one provider.",
        SEGMENTS_WRITE,
        check=check_members,
    )
    segment_bulk_upsert = mutation(
        SegmentBulkUpsertInput,
        lambda writes, value: writes.bulk.upsert(
            value.provider, to_domain.rows(value.segments, value.provider)
        ),
        receipts.SegmentsReceipt,
        SegmentBulkPayload,
        "Create or replace any number of segments of one provider.",
        SEGMENTS_WRITE,
        check=check_members,
    )
    segment_bulk_delete = mutation(
        SegmentBulkDeleteInput,
        lambda writes, value: writes.bulk.delete(
            to_domain.segment_rows(value.ids), force=bool(value.force)
        ),
        receipts.SegmentsReceipt,
        SegmentBulkPayload,
        "Delete any number of segments, of any providers.",
        SEGMENTS_WRITE,
        visible=lambda writes, value, receipt: writes.bulk.visible(
            receipt, to_domain.segment_rows(value.ids)
        ),
    )
    segments_reorder = mutation(
        SegmentsReorderInput,
        lambda writes, value: writes.segments.reorder(
            value.provider, to_domain.segment_refs(value.ids, "ids")
        ),
        receipts.OrderReceipt,
        SegmentsReorderPayload,
        "Set the priorities of a provider's segments (Stuut).",
        SEGMENTS_WRITE,
    )
    assignment_create = mutation(
        AssignmentCreateInput,
        lambda writes, value: writes.assignments.create(*to_domain.assignment(value)),
        receipts.AssignmentReceipt,
        AssignmentCreatePayload,
        "Assign a customer to a segment.",
        ASSIGNMENTS_WRITE,
    )
    assignment_delete = mutation(
        AssignmentDeleteInput,
        lambda writes, value: writes.assignments.delete(*to_domain.assignment(value)),
        receipts.AssignmentReceipt,
        AssignmentDeletePayload,
        "Remove a customer from a segment.",
        ASSIGNMENTS_WRITE,
    )
    assignment_bulk_create = mutation(
        AssignmentBulkCreateInput,
        lambda writes, value: writes.assignments.create_many(*to_domain.assignees(value)),
        receipts.AssignmentsReceipt,
        AssignmentBulkPayload,
        "Assign any number of customers to a segment.",
        ASSIGNMENTS_WRITE,
    )
    assignment_bulk_delete = mutation(
        AssignmentBulkDeleteInput,
        lambda writes, value: writes.assignments.delete_many(*to_domain.assignees(value)),
        receipts.AssignmentsReceipt,
        AssignmentBulkPayload,
        "Remove any number of customers from a segment.",
        ASSIGNMENTS_WRITE,
    )
    customer_segments_replace = mutation(
        CustomerSegmentsReplaceInput,
        lambda writes, value: writes.replacing.replace(
            value.provider, to_domain.replacements(value)
        ),
        receipts.ReplacementsReceipt,
        CustomerSegmentsReplacePayload,
        "Replace all segments of customers by these: as many customers at once as the limits of a "
        "request allow (`limits.body_bytes`, `list_items`, `cost`).",
        ASSIGNMENTS_WRITE,
    )
    segment_items_bulk_assign = mutation(
        SegmentItemsBulkAssignInput,
        lambda writes, value: writes.assignments.assign_items(*to_domain.items(value)),
        receipts.ItemsReceipt,
        SegmentItemsBulkPayload,
        "Assign any number of items to a segment (Emporix).",
        SEGMENTS_WRITE,
    )
    segment_items_bulk_unassign = mutation(
        SegmentItemsBulkAssignInput,
        lambda writes, value: writes.assignments.unassign_items(*to_domain.items(value)),
        receipts.ItemsReceipt,
        SegmentItemsBulkPayload,
        "Remove any number of items from a segment (Emporix).",
        SEGMENTS_WRITE,
    )
    customer_attributes_update = mutation(
        CustomerAttributesUpdateInput,
        lambda writes, value: writes.customers.update_attributes(
            *to_domain.customer_attributes(value)
        ),
        receipts.CustomerReceipt,
        CustomerAttributesUpdatePayload,
        "Change the custom attributes of a customer (Voucherify: metadata; Emporix: mixins). The "
        "customer must exist. The providers compare no versions: a change that is made elsewhere "
        "at the same moment may be undone.",
        CUSTOMERS_WRITE,
    )
    customers_link = mutation(
        CustomersLinkInput,
        lambda writes, value: writes.identity.link(
            customer_refs(value.customer_ids), given(value.note)
        ),
        receipts.LinksReceipt,
        CustomersLinkPayload,
        "Make customers one person, until they are unlinked. Nothing is sent to providers.",
        IDENTITY_WRITE,
    )
    customers_unlink = mutation(
        CustomersUnlinkInput,
        lambda writes, value: writes.identity.unlink(*unlinking(value)),
        receipts.UnlinkReceipt,
        CustomersUnlinkPayload,
        "Keep customers apart: no rule links them again. Nothing is sent to providers.",
        IDENTITY_WRITE,
    )
    identity_link_decide = mutation(
        IdentityLinkDecideInput,
        lambda writes, value: writes.identity.decide(
            link_pair(value.link_id), accept=value.accept
        ),
        receipts.DecisionReceipt,
        IdentityLinkDecidePayload,
        "Accept or reject a proposed link.",
        IDENTITY_WRITE,
    )
