"""What mutations answer: the object as the provider has it now, and the caller's mistakes."""

from enum import Enum
from typing import Any

import strawberry

from gateway.context import receipts
from gateway.domain import entities
from gateway.domain.entities import Ref
from gateway.domain.mutations import Outcome as BulkOutcome
from gateway.domain.mutations import Reason as UserErrorCode
from gateway.errors import ProviderError
from resolvers import global_ids
from resolvers.field_permissions import OPEN
from resolvers.global_ids import Kind
from resolvers.types.nodes import Assignment, Context, Segment
from resolvers.value_types import describe

describe(
    UserErrorCode,
    "UserErrorCode",
    "Why something was not done.",
    {
        "UNSUPPORTED": "The provider has no such operation or no such field.",
        "REQUIRED": "Something is missing.",
        "INVALID": "Something is not as it must be.",
        "TAKEN": "The id or name belongs to another.",
        "NOT_FOUND": "There is no such thing.",
        "LIMIT_EXCEEDED": "More than the provider documents.",
        "VERSION_CONFLICT": "It was changed meanwhile.",
        "SEGMENT_IN_USE": "Customers or items are assigned to it; use force.",
        "IDEMPOTENCY_KEY_REUSED": "The key was used with another input.",
        "PROVIDER_REFUSED": "The provider does not accept it.",
        "PROVIDER_FAILED": "The provider failed; this row was not done, or it is not known.",
        "STORE_UNAVAILABLE": "The gateway's own record failed; repeat this later.",
    },
)
describe(
    BulkOutcome,
    "BulkOutcome",
    "What became of one row.",
    {
        "CREATED": "It is new.",
        "UPDATED": "It was there, and was changed.",
        "DELETED": "It is gone.",
        "FAILED": "Nothing was changed.",
        "UNKNOWN": "It was sent, and the outcome is unknown.",
    },
)


@strawberry.enum(description="What became of one customer's replacement.")
class ReplaceOutcome(Enum):
    """See the description."""

    UPDATED = strawberry.enum_value("UPDATED", description="The provider confirmed it.")
    NOT_UPDATED = strawberry.enum_value(
        "NOT_UPDATED",
        description="The provider did not do it, for example for want of a customer.",
    )
    DISCARDED_DUPLICATE = strawberry.enum_value(
        "DISCARDED_DUPLICATE", description="An earlier entry for the same customer counts."
    )
    UNKNOWN = strawberry.enum_value(
        "UNKNOWN", description="It was sent, and the outcome is unknown."
    )


@strawberry.type(description="One thing that the caller can see to.")
class UserError:
    """See the description."""

    requirement = OPEN

    field: list[str] | None = strawberry.field(
        description="The part of the input that it is about, from the input object down."
    )
    message: str = strawberry.field(description="One sentence for people.")
    code: UserErrorCode = strawberry.field(description="For programs.")
    provider: str | None = strawberry.field(description="The provider's key.")
    request_id: str | None = strawberry.field(
        description="What to look for in the server's log; null where no provider was called."
    )


def user_errors(value: Any) -> list[UserError]:
    """Show the mistakes of a receipt or of one of its rows."""
    return [
        UserError(
            field=None if each.field is None else list(each.field),
            message=each.message,
            code=each.reason,
            provider=each.provider,
            request_id=each.request_id,
        )
        for each in value.errors
    ]


def is_seen(info: Context, provider: str) -> bool:
    """Tell whether a caller still sees a provider: a receipt may be of a time when they did."""
    return provider in info.context.providers


async def segment_of(
    info: Context, receipt: receipts.SegmentReceipt | receipts.SegmentRow
) -> Segment | None:
    """Show the segment of a receipt; one that could not be read again is tried once more.

    Where it cannot be read still, what was sent is shown: the write was done.
    """
    ref, writes = receipt.ref, info.context.writes
    if ref is None or not is_seen(info, ref.provider):
        return None
    if receipt.document is not None:
        return Segment(value=writes.restored(ref.provider, receipt.document))
    error: ProviderError | None = None
    try:
        found = await info.context.loaders.segment.load(ref)
    except ProviderError as failure:
        if receipt.sent is None:
            raise
        found, error = None, failure
    if found is None and receipt.sent is not None:
        found = writes.as_sent(ref, receipt.sent, error)
    return Segment(value=found) if found else None


def assignment_of(info: Context, facts: receipts.AssignmentFacts | None) -> Assignment | None:
    """Show the assignment of a receipt."""
    if facts is None or not is_seen(info, facts.ref.provider):
        return None
    told = {name: getattr(facts, name) for name in facts.__struct_fields__}
    return Assignment(value=entities.Assignment(**told))


@strawberry.type
class Payload:
    """What every payload has."""

    requirement = OPEN

    value: strawberry.Private[Any]

    @strawberry.field(description="The caller's mistakes; with any, nothing was done.")
    def user_errors(self) -> list[UserError]:
        """See the description."""
        return user_errors(self.value)


@strawberry.type
class WrittenPayload(Payload):
    """What came of a write of one segment."""

    @strawberry.field(description="The segment as the provider has it now.")
    async def segment(self, info: Context) -> Segment | None:
        """See the description."""
        return await segment_of(info, self.value)


@strawberry.type
class Row:
    """What every row of a bulk has."""

    requirement = OPEN

    value: strawberry.Private[Any]

    @strawberry.field(description="Its place in the input, from 0.")
    def index(self) -> int:
        """See the description."""
        place: int = self.value.index
        return place

    @strawberry.field(description="What became of it.")
    def outcome(self) -> BulkOutcome:
        """See the description."""
        told: BulkOutcome = self.value.outcome
        return told

    @strawberry.field(description="Why it was not done.")
    def user_errors(self) -> list[UserError]:
        """See the description."""
        return user_errors(self.value)


@strawberry.type(description="What came of segmentCreate.")
class SegmentCreatePayload(WrittenPayload):
    """See the description."""


@strawberry.type(description="What came of segmentUpdate.")
class SegmentUpdatePayload(WrittenPayload):
    """See the description."""


@strawberry.type(description="What came of segmentUpsert.")
class SegmentUpsertPayload(WrittenPayload):
    """See the description."""

    @strawberry.field(description="True: it is new. False: it was there. Null: nothing was done.")
    def created(self) -> bool | None:
        """See the description."""
        told: bool | None = self.value.is_new
        return told


@strawberry.type(description="What came of segmentDelete.")
class SegmentDeletePayload(Payload):
    """See the description."""

    @strawberry.field(description="The global id of the segment that is gone.")
    def deleted_segment_id(self) -> strawberry.ID | None:
        """See the description."""
        return segment_id(self.value.ref)


def segment_id(ref: Ref | None) -> strawberry.ID | None:
    """Return a segment's global id."""
    return None if ref is None else strawberry.ID(global_ids.of_ref(Kind.SEGMENT, ref))


@strawberry.type(description="One row of a bulk of segments.")
class SegmentBulkResult(Row):
    """See the description."""

    value: strawberry.Private[receipts.SegmentRow]

    @strawberry.field(description="The segment as the provider has it now.")
    async def segment(self, info: Context) -> Segment | None:
        """See the description."""
        if self.value.outcome is BulkOutcome.DELETED:
            return None
        return await segment_of(info, self.value)

    @strawberry.field(description="The global id of the segment that is gone.")
    def deleted_segment_id(self) -> strawberry.ID | None:
        """See the description."""
        return segment_id(self.value.ref) if self.value.outcome is BulkOutcome.DELETED else None


DONE = frozenset({BulkOutcome.CREATED, BulkOutcome.UPDATED, BulkOutcome.DELETED})


@strawberry.type
class BulkPayload(Payload):
    """What every bulk has."""

    @strawberry.field(description="Rows that were done.")
    def succeeded(self) -> int:
        """See the description."""
        return sum(row.outcome in DONE for row in self.value.rows)

    @strawberry.field(description="Rows that were not done, or of which it is not known.")
    def failed(self) -> int:
        """See the description."""
        return sum(row.outcome not in DONE for row in self.value.rows)


@strawberry.type(description="What came of a bulk of segments.")
class SegmentBulkPayload(BulkPayload):
    """See the description."""

    @strawberry.field(description="One row for each of the input, in its order.")
    def results(self) -> list[SegmentBulkResult]:
        """See the description."""
        return [SegmentBulkResult(value=row) for row in self.value.rows]


@strawberry.type(description="What came of segmentsReorder.")
class SegmentsReorderPayload(Payload):
    """See the description."""

    @strawberry.field(description="The segments as they are ranked now.")
    def segments(self, info: Context) -> list[Segment] | None:
        """See the description."""
        if self.value.documents is None or not is_seen(info, self.value.provider):
            return None
        restored = info.context.writes.restored
        return [
            Segment(value=restored(self.value.provider, each)) for each in self.value.documents
        ]


@strawberry.type(description="What came of assignmentCreate.")
class AssignmentCreatePayload(Payload):
    """See the description."""

    @strawberry.field(description="The assignment as the provider has it now.")
    def assignment(self, info: Context) -> Assignment | None:
        """See the description."""
        return assignment_of(info, self.value.assignment)


@strawberry.type(description="What came of assignmentDelete.")
class AssignmentDeletePayload(Payload):
    """See the description."""

    @strawberry.field(description="The global id of the assignment that is gone.")
    def deleted_assignment_id(self) -> strawberry.ID | None:
        """See the description."""
        return assignment_id(self.value.deleted)


def assignment_id(ref: entities.AssignmentRef | None) -> strawberry.ID | None:
    """Return an assignment's global id."""
    return None if ref is None else strawberry.ID(global_ids.of_ref(Kind.ASSIGNMENT, ref))


@strawberry.type(description="One row of a bulk of assignments.")
class AssignmentBulkResult(Row):
    """See the description."""

    value: strawberry.Private[receipts.AssignmentRow]

    @strawberry.field(description="The assignment.")
    def assignment(self, info: Context) -> Assignment | None:
        """See the description."""
        return assignment_of(info, self.value.assignment)

    @strawberry.field(description="The global id of the assignment that is gone.")
    def deleted_assignment_id(self) -> strawberry.ID | None:
        """See the description."""
        return assignment_id(self.value.deleted)


@strawberry.type(description="What came of a bulk of assignments.")
class AssignmentBulkPayload(BulkPayload):
    """See the description."""

    @strawberry.field(description="One row for each of the input, in its order.")
    def results(self) -> list[AssignmentBulkResult]:
        """See the description."""
        return [AssignmentBulkResult(value=row) for row in self.value.rows]


@strawberry.type(description="What became of one customer's replacement.")
class CustomerSegmentsReplaceResult:
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[receipts.ReplacementRow]

    @strawberry.field(description="Its place in the input, from 0.")
    def index(self) -> int:
        """See the description."""
        return self.value.index

    @strawberry.field(description="The customer, as given.")
    def external_id(self) -> str:
        """See the description."""
        return self.value.customer

    @strawberry.field(description="What became of it.")
    def outcome(self) -> ReplaceOutcome:
        """See the description."""
        return ReplaceOutcome(self.value.outcome)

    @strawberry.field(description="Why it was not done, or not wholly.")
    def user_errors(self) -> list[UserError]:
        """See the description."""
        return user_errors(self.value)


@strawberry.type(description="What came of customerSegmentsReplace.")
class CustomerSegmentsReplacePayload(Payload):
    """See the description."""

    @strawberry.field(
        description="The customers that the provider confirmed, by its own ids, as asked."
    )
    def updated_customer_ids(self) -> list[str]:
        """See the description."""
        updated = ReplaceOutcome.UPDATED.value
        return [row.customer for row in self.value.rows if row.outcome == updated]

    @strawberry.field(description="One row for each of the input, in its order.")
    def results(self) -> list[CustomerSegmentsReplaceResult]:
        """See the description."""
        return [CustomerSegmentsReplaceResult(value=row) for row in self.value.rows]


@strawberry.type(description="One row of a bulk of items.")
class SegmentItemsBulkResult(Row):
    """See the description."""

    value: strawberry.Private[receipts.ItemRow]


@strawberry.type(description="What came of a bulk of items.")
class SegmentItemsBulkPayload(BulkPayload):
    """See the description."""

    @strawberry.field(description="One row for each of the input, in its order.")
    def results(self) -> list[SegmentItemsBulkResult]:
        """See the description."""
        return [SegmentItemsBulkResult(value=row) for row in self.value.rows]
