"""Input types of mutations. `to_domain` converts them to domain values."""

from datetime import timedelta
from typing import Any

import strawberry
from strawberry.scalars import JSON

from gateway.context import MAX_KEY_LENGTH
from gateway.domain.mutations import RECEIPT_LIFETIME
from resolvers.inputs.filters import CustomerIdentityInput
from resolvers.value_types import DateTime, ItemType, SegmentStatus

UNSET = strawberry.UNSET


def part(description: str) -> Any:
    """Declare an optional field of an input."""
    return strawberry.field(default=UNSET, description=description)


IDEMPOTENCY = (
    f"A string of your choice, of 1 to {MAX_KEY_LENGTH} characters, unique to this change: "
    "repeating the same input with it within "
    f"{RECEIPT_LIFETIME // timedelta(hours=1)} hours returns the first result, and nothing is "
    "sent again."
)


LEGAL_ENTITY = (
    "B2B: the legal entity that the customer acts for, by `LegalEntity.id` or by the provider's "
    "own id."
)


@strawberry.input(description="One text in one language.")
class LocalizedTextInput:
    """See the description."""

    language: str = strawberry.field(description="BCP 47 tag.")
    text: str = strawberry.field(description="The text.")


@strawberry.input(description="A period of time; a missing bound is open.")
class DateTimeRangeInput:
    """See the description."""

    from_: DateTime | None = strawberry.field(
        name="from", default=UNSET, description="The start, inclusive."
    )
    to: DateTime | None = strawberry.field(default=UNSET, description="The end, inclusive.")


@strawberry.input(description="The rule that decides which customers belong to a segment.")
class SegmentRuleInput:
    """See the description."""

    native: JSON = strawberry.field(
        description="In the provider's own language: Stuut's `conditions`, Voucherify's `filter`."
    )


@strawberry.input
class Once:
    """The fields of every mutation's input."""

    idempotency_key: str | None = part(IDEMPOTENCY)


@strawberry.input
class SegmentTexts:
    """The texts of a segment that is created or replaced."""

    name: str | None = part("The name in the provider's default language.")
    names: list[LocalizedTextInput] | None = part("The name in every language, instead of `name`.")
    description: str | None = part("The description in the provider's default language.")
    descriptions: list[LocalizedTextInput] | None = part(
        "The description in every language, instead of `description`."
    )


@strawberry.input
class SegmentState:
    """The other fields of a segment that is created or replaced."""

    status: SegmentStatus | None = part(
        "Whether the segment is enabled; if missing, what the provider makes it (Emporix: "
        "`INACTIVE`)."
    )
    validity: DateTimeRangeInput | None = part("The period of validity.")
    site_code: str | None = part("The site that the segment applies to.")
    attributes: JSON | None = part("The provider's custom attributes (Emporix mixins).")


@strawberry.input
class NewSegmentParts:
    """Fields that only a new segment can have."""

    customers: list[strawberry.ID] | None = part("The members, by global id.")
    customer_external_ids: list[str] | None = part(
        "The members, by the provider's own ids; may be combined with `customers`."
    )
    rule: SegmentRuleInput | None = part(
        "The rule that decides which customers belong, instead of a list of members."
    )
    emits_membership_events: bool | None = part(
        "Voucherify: auto-update (true) instead of passive (false)."
    )
    priority: int | None = part("The lowest number wins (Stuut).")


@strawberry.input(
    description="One segment of a bulk mutation. At most one of `name` and `names`, of "
    "`description` and `descriptions`, and of `rule` and members "
    "(`customers`, `customerExternalIds`)."
)
class SegmentBulkRowInput(SegmentTexts, SegmentState, NewSegmentParts):
    """See the description."""

    external_id: str | None = part("The id of the new segment, if the provider accepts one.")
    version: int | None = part(
        "The version you expect; a different current version is a user error."
    )


@strawberry.input(
    description="A new segment. At most one of `name` and `names`, of `description` "
    "and `descriptions`, and of `rule` and members (`customers`, `customerExternalIds`)."
)
class SegmentCreateInput(SegmentTexts, SegmentState, NewSegmentParts, Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    external_id: str | None = part("The id of the new segment, if the provider accepts one.")


@strawberry.input(
    description="Changes to a segment: only the given fields change; null clears. At most one of "
    "`name` and `names`, and of `description` and `descriptions`."
)
class SegmentUpdateInput(Once):
    """See the description."""

    id: strawberry.ID = strawberry.field(description="The segment's global id.")
    name: str | None = part(
        "The name in the provider's default language; other languages stay unchanged."
    )
    names: list[LocalizedTextInput] | None = part(
        "The name in every language; replaces all languages."
    )
    description: str | None = part(
        "The description in the provider's default language; other languages stay unchanged."
    )
    descriptions: list[LocalizedTextInput] | None = part(
        "The description in every language; replaces all languages."
    )
    status: SegmentStatus | None = part("Whether the segment is enabled.")
    validity: DateTimeRangeInput | None = part("The period of validity.")
    site_code: str | None = part("The site that the segment applies to.")
    attributes: JSON | None = part("The provider's custom attributes; replaces all of them.")
    version: int | None = part(
        "The version you expect; a different current version is a user error."
    )


@strawberry.input(
    description="A whole segment: created if it does not exist, else replaced. At most one of "
    "`name` and `names`, and of `description` and `descriptions`."
)
class SegmentUpsertInput(SegmentTexts, SegmentState, Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    external_id: str = strawberry.field(description="The segment's id at the provider.")
    version: int | None = part(
        "The version you expect; a different current version is a user error."
    )


@strawberry.input(description="A segment to delete.")
class SegmentDeleteInput(Once):
    """See the description."""

    id: strawberry.ID = strawberry.field(description="The segment's global id.")
    force: bool | None = part(
        "Delete it even if customers or items are assigned to it; ends those assignments. "
        "False if missing."
    )


@strawberry.input(description="New segments of one provider.")
class SegmentBulkCreateInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    segments: list[SegmentBulkRowInput] = strawberry.field(description="Any number of rows.")


@strawberry.input(description="Segments of one provider, to create or replace.")
class SegmentBulkUpsertInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    segments: list[SegmentBulkRowInput] = strawberry.field(description="Any number of rows.")


@strawberry.input(description="Segments to delete, of any providers.")
class SegmentBulkDeleteInput(Once):
    """See the description."""

    ids: list[strawberry.ID] = strawberry.field(description="Any number of global ids.")
    force: bool | None = part(
        "Delete them even if customers or items are assigned to them; ends those assignments. "
        "False if missing."
    )


@strawberry.input(description="The priorities of a provider's segments.")
class SegmentsReorderInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    ids: list[strawberry.ID] = strawberry.field(
        description="Global ids; the first gets priority 0, the next 1, and so on."
    )


@strawberry.input(
    description="A customer to assign to a segment. Exactly one of `customerId` and `identity`."
)
class AssignmentCreateInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    customer_id: strawberry.ID | None = part("The customer's global id.")
    identity: CustomerIdentityInput | None = part(
        "A provider, and any key by which it knows the customer."
    )
    legal_entity_id: str | None = part(LEGAL_ENTITY)


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
        "A provider, and any key by which it knows the customer."
    )
    legal_entity_id: str | None = part(LEGAL_ENTITY)


@strawberry.input(
    description="One customer of a bulk mutation of assignments. Exactly one of `customerId` and "
    "`identity`."
)
class AssignmentRowInput:
    """See the description."""

    customer_id: strawberry.ID | None = part("The customer's global id.")
    identity: CustomerIdentityInput | None = part(
        "A provider, and any key by which it knows the customer."
    )
    legal_entity_id: str | None = part(LEGAL_ENTITY)


@strawberry.input(description="Customers to assign to a segment.")
class AssignmentBulkCreateInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    assignments: list[AssignmentRowInput] = strawberry.field(description="Any number of rows.")


@strawberry.input(description="Customers to remove from a segment.")
class AssignmentBulkDeleteInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    assignments: list[AssignmentRowInput] = strawberry.field(description="Any number of rows.")


@strawberry.input(
    description="A segment of a provider whose segments are (type, value) pairs (Instaleap)."
)
class SegmentTagInput:
    """See the description."""

    type: str = strawberry.field(description="For example `membership`.")
    value: str = strawberry.field(description="For example `SILVER`.")


@strawberry.input(
    description="The new segments of one customer. At most one of `segments` and `segmentIds`; "
    "without either, the customer is removed from all segments."
)
class CustomerSegmentsInput:
    """See the description."""

    external_id: str = strawberry.field(
        description="The provider's own id of the customer (Instaleap: the document id)."
    )
    segments: list[SegmentTagInput] | None = part("As (type, value) pairs (Instaleap).")
    segment_ids: list[strawberry.ID] | None = part("As global ids.")


@strawberry.input(description="The new segments of customers, in place of their current ones.")
class CustomerSegmentsReplaceInput(Once):
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    customers: list[CustomerSegmentsInput] = strawberry.field(
        description="The first entry for a customer counts. With one segment each, the default of "
        "`limits.cost` allows 1,700 entries in one request."
    )


@strawberry.input(description="A product or category.")
class SegmentItemInput:
    """See the description."""

    external_id: str = strawberry.field(description="The provider's own id.")
    type: ItemType = strawberry.field(description="The type of the item.")


@strawberry.input(description="Items to assign to a segment, or to remove from it.")
class SegmentItemsBulkAssignInput(Once):
    """See the description."""

    segment_id: strawberry.ID = strawberry.field(description="The segment's global id.")
    items: list[SegmentItemInput] = strawberry.field(description="Any number of rows.")


@strawberry.input(
    description="Changes to a customer's custom attributes. Exactly one of `customerId` and "
    "`identity`."
)
class CustomerAttributesUpdateInput(Once):
    """See the description."""

    customer_id: strawberry.ID | None = part("The customer's global id.")
    identity: CustomerIdentityInput | None = part(
        "A provider, and any key by which it knows the customer."
    )
    attributes: JSON = strawberry.field(
        description="A JSON Merge Patch (RFC 7396) over `Customer.attributes`: null removes a "
        "member, objects are merged, everything else replaces."
    )
