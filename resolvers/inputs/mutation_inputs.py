"""Input types of writing, as the contract has them. What they mean: `to_domain`."""

from datetime import timedelta
from typing import Any

import strawberry
from strawberry.scalars import JSON

from gateway.domain.mutations import RECEIPT_LIFETIME
from resolvers.inputs.filters import CustomerIdentityInput
from resolvers.value_types import DateTime, ItemType, SegmentStatus

UNSET = strawberry.UNSET


def part(description: str) -> Any:
    """Return an optional field of an input."""
    return strawberry.field(default=UNSET, description=description)


IDEMPOTENCY = (
    "Any text of yours, unique to this change: repeated with the same input within "
    f"{RECEIPT_LIFETIME // timedelta(hours=1)} hours, it "
    "is answered by the first result and nothing is sent again."
)


@strawberry.input(description="One text in one language.")
class LocalizedTextInput:
    """See the description."""

    language: str = strawberry.field(description="BCP 47.")
    text: str = strawberry.field(description="The text.")


@strawberry.input(description="A stretch of time; an end that is missing is open.")
class DateTimeRangeInput:
    """See the description."""

    from_: DateTime | None = strawberry.field(
        name="from", default=UNSET, description="Its first moment."
    )
    to: DateTime | None = strawberry.field(default=UNSET, description="Its last moment.")


@strawberry.input(description="What decides who belongs to a segment.")
class SegmentRuleInput:
    """See the description."""

    native: JSON = strawberry.field(
        description="In the provider's own language: Stuut's `conditions`, Voucherify's `filter`."
    )


@strawberry.input
class Once:
    """What every mutation's input has."""

    idempotency_key: str | None = part(IDEMPOTENCY)


@strawberry.input
class SegmentTexts:
    """The texts of a segment that is written as a whole."""

    name: str | None = part("Its name in the provider's default language.")
    names: list[LocalizedTextInput] | None = part("Its name in every language, instead of `name`.")
    description: str | None = part("Its description in the provider's default language.")
    descriptions: list[LocalizedTextInput] | None = part(
        "Its description in every language, instead of `description`."
    )


@strawberry.input
class SegmentState:
    """What else a segment that is written as a whole has."""

    status: SegmentStatus | None = part("Whether it is switched on.")
    validity: DateTimeRangeInput | None = part("When it is valid.")
    site_code: str | None = part("The site it is for.")
    attributes: JSON | None = part("The provider's custom attributes (Emporix mixins).")


@strawberry.input
class NewSegmentParts:
    """What only a new segment can be given."""

    customers: list[strawberry.ID] | None = part("Its members, by global ids.")
    customer_external_ids: list[str] | None = part(
        "Its members, by the provider's own ids; both may be given."
    )
    rule: SegmentRuleInput | None = part("What decides who belongs, instead of members.")
    emits_membership_events: bool | None = part(
        "Voucherify: auto-update (true) instead of passive (false)."
    )
    priority: int | None = part("Lower wins (Stuut).")


@strawberry.input(
    description="One segment of a bulk. At most one of `name` and `names`, of `description` and "
    "`descriptions`, and of `rule` and members (`customers`, `customerExternalIds`)."
)
class SegmentBulkRowInput(SegmentTexts, SegmentState, NewSegmentParts):
    """See the description."""

    external_id: str | None = part("The id it is to have, where the provider lets you choose.")
    version: int | None = part("The version you have seen; another by now is a user error.")


@strawberry.input(
    description="A new segment. At most one of `name` and `names`, of `description` and "
    "`descriptions`, and of `rule` and members (`customers`, `customerExternalIds`)."
)
class SegmentCreateInput(SegmentTexts, SegmentState, NewSegmentParts, Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    external_id: str | None = part("The id it is to have, where the provider lets you choose.")


@strawberry.input(
    description="Changes of a segment: only the parts given change; null clears. At most one of "
    "`name` and `names`, and of `description` and `descriptions`."
)
class SegmentUpdateInput(Once):
    """See the description."""

    id: strawberry.ID = strawberry.field(description="The segment's global id.")
    name: str | None = part("Its name in the provider's default language; others are kept.")
    names: list[LocalizedTextInput] | None = part("Its name in every language: the whole map.")
    description: str | None = part(
        "Its description in the provider's default language; others are kept."
    )
    descriptions: list[LocalizedTextInput] | None = part(
        "Its description in every language: the whole map."
    )
    status: SegmentStatus | None = part("Whether it is switched on.")
    validity: DateTimeRangeInput | None = part("When it is valid.")
    site_code: str | None = part("The site it is for.")
    attributes: JSON | None = part("The provider's custom attributes, as a whole.")
    version: int | None = part("The version you have seen; another by now is a user error.")


@strawberry.input(
    description="A segment as a whole: made if missing, else replaced. At most one of `name` and "
    "`names`, and of `description` and `descriptions`."
)
class SegmentUpsertInput(SegmentTexts, SegmentState, Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    external_id: str = strawberry.field(description="Its id at the provider.")
    version: int | None = part("The version you have seen; another by now is a user error.")


@strawberry.input(description="A segment to delete.")
class SegmentDeleteInput(Once):
    """See the description."""

    id: strawberry.ID = strawberry.field(description="The segment's global id.")
    force: bool | None = part("Also when customers or items are assigned to it; with them.")


@strawberry.input(description="New segments of one provider.")
class SegmentBulkCreateInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    segments: list[SegmentBulkRowInput] = strawberry.field(description="Any number of them.")


@strawberry.input(description="Segments of one provider, each as a whole.")
class SegmentBulkUpsertInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    segments: list[SegmentBulkRowInput] = strawberry.field(description="Any number of them.")


@strawberry.input(description="Segments to delete, of any providers.")
class SegmentBulkDeleteInput(Once):
    """See the description."""

    ids: list[strawberry.ID] = strawberry.field(description="Global ids; any number of them.")
    force: bool | None = part("Also when customers or items are assigned to them; with them.")


@strawberry.input(description="The order in which a provider's segments win.")
class SegmentsReorderInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    ids: list[strawberry.ID] = strawberry.field(
        description="Global ids; the first gets priority 0, the next 1, and so on."
    )


@strawberry.input(
    description="A customer to put into a segment. Exactly one of `customerId` and `identity`."
)
class AssignmentCreateInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    customer_id: strawberry.ID | None = part("The customer's global id.")
    identity: CustomerIdentityInput | None = part(
        "A provider and a key that it knows the customer by."
    )
    legal_entity_id: str | None = part(
        "In B2B: the provider's own id of the legal entity that the customer acts for."
    )


@strawberry.input(
    description="An assignment to end: either `id` alone, or `segmentId` with exactly one of "
    "`customerId` and `identity`."
)
class AssignmentDeleteInput(Once):
    """See the description."""

    id: strawberry.ID | None = part("The assignment's global id.")
    segment_id: strawberry.ID | None = part("The segment's global id.")
    customer_id: strawberry.ID | None = part("The customer's global id.")
    identity: CustomerIdentityInput | None = part(
        "A provider and a key that it knows the customer by."
    )
    legal_entity_id: str | None = part(
        "In B2B: the provider's own id of the legal entity that the customer acts for."
    )


@strawberry.input(
    description="One customer of a bulk of assignments. Exactly one of `customerId` and "
    "`identity`."
)
class AssignmentRowInput:
    """See the description."""

    customer_id: strawberry.ID | None = part("The customer's global id.")
    identity: CustomerIdentityInput | None = part(
        "A provider and a key that it knows the customer by."
    )
    legal_entity_id: str | None = part(
        "In B2B: the provider's own id of the legal entity that the customer acts for."
    )


@strawberry.input(description="Customers to put into a segment.")
class AssignmentBulkCreateInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    assignments: list[AssignmentRowInput] = strawberry.field(description="Any number of them.")


@strawberry.input(description="Customers to take out of a segment.")
class AssignmentBulkDeleteInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    assignments: list[AssignmentRowInput] = strawberry.field(description="Any number of them.")


@strawberry.input(description="A segment of a provider that knows only pairs (Instaleap).")
class SegmentTagInput:
    """See the description."""

    type: str = strawberry.field(description="For example `membership`.")
    value: str = strawberry.field(description="For example `SILVER`.")


@strawberry.input(
    description="All the segments that one customer is to have. At most one of `segments` and "
    "`segmentIds`; neither clears."
)
class CustomerSegmentsInput:
    """See the description."""

    external_id: str = strawberry.field(
        description="The provider's own id of the customer (Instaleap: the document id)."
    )
    segments: list[SegmentTagInput] | None = part("As pairs (Instaleap).")
    segment_ids: list[strawberry.ID] | None = part("As global ids.")


@strawberry.input(description="What segments customers are to have, instead of those they have.")
class CustomerSegmentsReplaceInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    customers: list[CustomerSegmentsInput] = strawberry.field(
        description="Any number of them; of several entries for one customer the first counts."
    )


@strawberry.input(description="A product or category.")
class SegmentItemInput:
    """See the description."""

    external_id: str = strawberry.field(description="The provider's own id.")
    type: ItemType = strawberry.field(description="What it is.")


@strawberry.input(description="Items to put into a segment, or to take out.")
class SegmentItemsBulkAssignInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    items: list[SegmentItemInput] = strawberry.field(description="Any number of them.")
