"""The payloads of mutations: the object after the write, and the caller's mistakes."""

from enum import Enum
from typing import Any

import strawberry

from gateway.context import receipts
from gateway.domain import entities
from gateway.domain.entities import Ref
from gateway.domain.mutations import Outcome as BulkOutcome
from gateway.errors import ProviderError
from resolvers import global_ids
from resolvers.field_permissions import OPEN
from resolvers.global_ids import Kind
from resolvers.types.nodes import Assignment, Context, Customer, Segment
from resolvers.types.user_errors import UserError, user_errors
from resolvers.value_types import describe

describe(
    BulkOutcome,
    "BulkOutcome",
    "The outcome of one row.",
    {
        "CREATED": "The object was created.",
        "UPDATED": "An existing object was changed.",
        "DELETED": "The object was deleted.",
        "FAILED": "Nothing was changed.",
        "UNKNOWN": "The row was sent; the outcome is unknown.",
    },
)


@strawberry.enum(description="The outcome of replacing one customer's segments.")
class ReplaceOutcome(Enum):
    """See the description."""

    UPDATED = strawberry.enum_value(
        "UPDATED", description="The provider confirmed the replacement."
    )
    NOT_UPDATED = strawberry.enum_value(
        "NOT_UPDATED",
        description="The provider did not do it, for example because the customer does not exist.",
    )
    DISCARDED_DUPLICATE = strawberry.enum_value(
        "DISCARDED_DUPLICATE",
        description="Ignored: an earlier entry for the same customer counts.",
    )
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="It was sent; the outcome is unknown.")


def is_visible(info: Context, provider: str) -> bool:
    """Return whether the caller may see a provider now; the receipt may be older than that."""
    return provider in info.context.providers


async def segment_of(
    info: Context, receipt: receipts.SegmentReceipt | receipts.SegmentRow
) -> Segment | None:
    """Return the segment of a receipt; read it now if it could not be read after the write.

    If it still cannot be read, return it as it was sent: the write succeeded.
    """
    ref, writes = receipt.ref, info.context.writes
    if ref is None or not is_visible(info, ref.provider):
        return None
    if receipt.document is not None:
        return Segment(value=writes.restored(ref.provider, receipt.document))
    error: ProviderError | None = None
    try:
        segment = await info.context.loaders.segment.load(ref)
    except ProviderError as failure:
        if receipt.sent is None:
            raise
        segment, error = None, failure
    if segment is None and receipt.sent is not None:
        segment = writes.as_sent(ref, receipt.sent, error)
    return Segment(value=segment) if segment else None


def assignment_of(info: Context, facts: receipts.WrittenAssignment | None) -> Assignment | None:
    """Return the assignment of a receipt."""
    if facts is None or not is_visible(info, facts.ref.provider):
        return None
    fields = {name: getattr(facts, name) for name in facts.__struct_fields__}
    return Assignment(value=entities.Assignment(**fields))


@strawberry.type
class Payload:
    """The fields of every payload."""

    requirement = OPEN

    value: strawberry.Private[Any]

    @strawberry.field(description="The caller's mistakes; if there are any, nothing was written.")
    def user_errors(self) -> list[UserError]:
        """See the description."""
        return user_errors(self.value)


@strawberry.type
class WrittenPayload(Payload):
    """The fields of every payload with one segment."""

    @strawberry.field(description="The segment after the write.")
    async def segment(self, info: Context) -> Segment | None:
        """See the description."""
        return await segment_of(info, self.value)


@strawberry.type
class Row:
    """The fields of every row of a bulk mutation."""

    requirement = OPEN

    value: strawberry.Private[Any]

    @strawberry.field(description="The index of the row in the input, from 0.")
    def index(self) -> int:
        """See the description."""
        index: int = self.value.index
        return index

    @strawberry.field(description="The outcome.")
    def outcome(self) -> BulkOutcome:
        """See the description."""
        outcome: BulkOutcome = self.value.outcome
        return outcome

    @strawberry.field(description="Why the row was not written.")
    def user_errors(self) -> list[UserError]:
        """See the description."""
        return user_errors(self.value)


@strawberry.type(description="The result of segmentCreate.")
class SegmentCreatePayload(WrittenPayload):
    """See the description."""


@strawberry.type(description="The result of segmentUpdate.")
class SegmentUpdatePayload(WrittenPayload):
    """See the description."""


@strawberry.type(description="The result of segmentUpsert.")
class SegmentUpsertPayload(WrittenPayload):
    """See the description."""

    @strawberry.field(description="Whether the segment is new; null if nothing was written.")
    def created(self) -> bool | None:
        """See the description."""
        is_new: bool | None = self.value.is_new
        return is_new


@strawberry.type(description="The result of segmentDelete.")
class SegmentDeletePayload(Payload):
    """See the description."""

    @strawberry.field(description="The global id of the deleted segment.")
    def deleted_segment_id(self) -> strawberry.ID | None:
        """See the description."""
        return segment_id(self.value.ref)


def segment_id(ref: Ref | None) -> strawberry.ID | None:
    """Return a segment's global id."""
    return None if ref is None else strawberry.ID(global_ids.of_ref(Kind.SEGMENT, ref))


@strawberry.type(description="The result of one row of a bulk mutation of segments.")
class SegmentBulkResult(Row):
    """See the description."""

    value: strawberry.Private[receipts.SegmentRow]

    @strawberry.field(description="The segment after the write.")
    async def segment(self, info: Context) -> Segment | None:
        """See the description."""
        if self.value.outcome is BulkOutcome.DELETED:
            return None
        return await segment_of(info, self.value)

    @strawberry.field(description="The global id of the deleted segment.")
    def deleted_segment_id(self) -> strawberry.ID | None:
        """See the description."""
        return segment_id(self.value.ref) if self.value.outcome is BulkOutcome.DELETED else None


DONE = frozenset({BulkOutcome.CREATED, BulkOutcome.UPDATED, BulkOutcome.DELETED})


@strawberry.type
class BulkPayload(Payload):
    """The fields of every bulk payload."""

    @strawberry.field(description="The number of rows that succeeded.")
    def succeeded(self) -> int:
        """See the description."""
        return sum(row.outcome in DONE for row in self.value.rows)

    @strawberry.field(description="The number of rows that failed or whose outcome is unknown.")
    def failed(self) -> int:
        """See the description."""
        return sum(row.outcome not in DONE for row in self.value.rows)


@strawberry.type(description="The result of a bulk mutation of segments.")
class SegmentBulkPayload(BulkPayload):
    """See the description."""

    @strawberry.field(description="One result per input row, in the same order.")
    def results(self) -> list[SegmentBulkResult]:
        """See the description."""
        return [SegmentBulkResult(value=row) for row in self.value.rows]


@strawberry.type(description="The result of segmentsReorder.")
class SegmentsReorderPayload(Payload):
    """See the description."""

    @strawberry.field(description="The segments with their new priorities.")
    def segments(self, info: Context) -> list[Segment] | None:
        """See the description."""
        if self.value.documents is None or not is_visible(info, self.value.provider):
            return None
        restored = info.context.writes.restored
        return [
            Segment(value=restored(self.value.provider, each)) for each in self.value.documents
        ]


@strawberry.type(description="The result of assignmentCreate.")
class AssignmentCreatePayload(Payload):
    """See the description."""

    @strawberry.field(description="The assignment after the write.")
    def assignment(self, info: Context) -> Assignment | None:
        """See the description."""
        return assignment_of(info, self.value.assignment)


@strawberry.type(description="The result of assignmentDelete.")
class AssignmentDeletePayload(Payload):
    """See the description."""

    @strawberry.field(description="The global id of the deleted assignment.")
    def deleted_assignment_id(self) -> strawberry.ID | None:
        """See the description."""
        return assignment_id(self.value.deleted)


def assignment_id(ref: entities.AssignmentRef | None) -> strawberry.ID | None:
    """Return an assignment's global id."""
    return None if ref is None else strawberry.ID(global_ids.of_ref(Kind.ASSIGNMENT, ref))


@strawberry.type(description="The result of one row of a bulk mutation of assignments.")
class AssignmentBulkResult(Row):
    """See the description."""

    value: strawberry.Private[receipts.AssignmentRow]

    @strawberry.field(description="The assignment.")
    def assignment(self, info: Context) -> Assignment | None:
        """See the description."""
        return assignment_of(info, self.value.assignment)

    @strawberry.field(description="The global id of the deleted assignment.")
    def deleted_assignment_id(self) -> strawberry.ID | None:
        """See the description."""
        return assignment_id(self.value.deleted)


@strawberry.type(description="The result of a bulk mutation of assignments.")
class AssignmentBulkPayload(BulkPayload):
    """See the description."""

    @strawberry.field(description="One result per input row, in the same order.")
    def results(self) -> list[AssignmentBulkResult]:
        """See the description."""
        return [AssignmentBulkResult(value=row) for row in self.value.rows]


@strawberry.type(description="The outcome of replacing one customer's segments.")
class CustomerSegmentsReplaceResult:
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[receipts.ReplacementRow]

    @strawberry.field(description="The index of the row in the input, from 0.")
    def index(self) -> int:
        """See the description."""
        return self.value.index

    @strawberry.field(description="The customer, as given.")
    def external_id(self) -> str:
        """See the description."""
        return self.value.customer

    @strawberry.field(description="The outcome.")
    def outcome(self) -> ReplaceOutcome:
        """See the description."""
        return ReplaceOutcome(self.value.outcome)

    @strawberry.field(description="Why the entry was not written, or only in part.")
    def user_errors(self) -> list[UserError]:
        """See the description."""
        return user_errors(self.value)


@strawberry.type(description="The result of customerSegmentsReplace.")
class CustomerSegmentsReplacePayload(Payload):
    """See the description."""

    @strawberry.field(
        description="The provider's own ids, as given, of the customers it confirmed."
    )
    def updated_customer_ids(self) -> list[str]:
        """See the description."""
        updated = ReplaceOutcome.UPDATED.value
        return [row.customer for row in self.value.rows if row.outcome == updated]

    @strawberry.field(description="One result per input row, in the same order.")
    def results(self) -> list[CustomerSegmentsReplaceResult]:
        """See the description."""
        return [CustomerSegmentsReplaceResult(value=row) for row in self.value.rows]


@strawberry.type(description="The result of customerAttributesUpdate.")
class CustomerAttributesUpdatePayload(Payload):
    """See the description."""

    @strawberry.field(
        description="The customer after the write, as the provider has them now. Null (with an "
        "error) if they cannot be read; the write was made all the same."
    )
    async def customer(self, info: Context) -> Customer | None:
        """See the description."""
        ref: Ref | None = self.value.customer
        if ref is None or not is_visible(info, ref.provider):
            return None
        customer = await info.context.loaders.customer.load(ref)
        return Customer(value=customer) if customer else None


@strawberry.type(description="The result of one row of a bulk mutation of items.")
class SegmentItemsBulkResult(Row):
    """See the description."""

    value: strawberry.Private[receipts.ItemRow]


@strawberry.type(description="The result of a bulk mutation of items.")
class SegmentItemsBulkPayload(BulkPayload):
    """See the description."""

    @strawberry.field(description="One result per input row, in the same order.")
    def results(self) -> list[SegmentItemsBulkResult]:
        """See the description."""
        return [SegmentItemsBulkResult(value=row) for row in self.value.rows]
