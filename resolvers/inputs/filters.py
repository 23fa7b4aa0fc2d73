"""Input types of queries, and their conversion to domain values."""

from typing import Annotated, Any, TypeVar

import strawberry

from gateway.domain import queries
from gateway.domain.entities import ItemKind, Ref
from gateway.errors import BadInput
from resolvers import global_ids
from resolvers.value_types import DateTime, ItemType, MembershipKind, SegmentStatus

T = TypeVar("T")


@strawberry.input(description="A query in a provider's own language, passed on unchanged.")
class NativeFilter:
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    q: str = strawberry.field(
        description="Emporix: the `q` parameter. Stuut: the `search` parameter. Voucherify: its "
        "`filters` as a JSON object."
    )


@strawberry.input(description="A product or category at a provider.")
class ItemKeyInput:
    """See the description."""

    type: ItemType = strawberry.field(description="The type of the item.")
    external_id: str = strawberry.field(description="The provider's own id of the item.")


@strawberry.input(
    description="Selects segments; all given conditions must hold. An empty list matches nothing."
)
class SegmentFilter:
    """See the description."""

    providers: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only from providers with these keys."
    )
    ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments with these global ids."
    )
    name_contains: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only segments whose name contains this text, ignoring case.",
    )
    membership: list[MembershipKind] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only segments with one of these kinds of membership.",
    )
    status: SegmentStatus | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments with this status."
    )
    site_code: str | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments of this site."
    )
    customer_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments of the customer with this global id."
    )
    created_after: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments created after this time, exclusive."
    )
    created_before: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments created before this time, exclusive."
    )
    updated_after: DateTime | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only segments last updated after this time, exclusive. Segments without "
        "`updatedAt` are left out.",
    )
    external_id: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only segments that a provider knows by exactly this id.",
    )
    contains_item: ItemKeyInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only segments to which this item is assigned; a product is not found by its "
        "category. Providers that cannot search by item are `UNSUPPORTED` in `sources`.",
    )
    native: NativeFilter | None = strawberry.field(
        default=strawberry.UNSET, description="Only segments that match a provider's native query."
    )


SegmentsWhere = Annotated[
    SegmentFilter | None,
    strawberry.argument(name="filter", description="Only segments that match this filter."),
]


@strawberry.input(description="Selects customers; all given conditions must hold.")
class CustomerFilter:
    """See the description."""

    providers: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only from providers with these keys; an empty list matches nothing.",
    )
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description="Only customers with this email address."
    )
    phone: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only customers with exactly this phone number, as the provider formats it.",
    )
    name_contains: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only customers whose name contains this text, ignoring case. Providers that "
        "cannot search for names are `UNSUPPORTED` in `sources`.",
    )
    external_id: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only the customer that the provider knows by this key.",
    )
    segment_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Only members of the segment with this global id."
    )
    in_all: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only members of all these segments, by global id; `inAll`, `inAny` and "
        "`inNone` name segments of one provider, and an empty list is no condition. Members are "
        "read up to `limits.compare_members` of each segment, and `totalCount` is exact. If a "
        "segment cannot be read there are no nodes, and `sources` has the error.",
    )
    in_any: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only members of any of these segments. If one cannot be read, the members of "
        "the others are listed, and `sources` has the error.",
    )
    in_none: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only customers that are in none of these segments; needs another condition "
        "that selects customers, such as `inAll`. If a segment cannot be read there are no nodes, "
        "and `sources` has the error.",
    )


@strawberry.input(description="A customer, identified by a key of a provider.")
class CustomerIdentityInput:
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    external_id: str = strawberry.field(
        description="Any key by which the provider knows the customer."
    )


@strawberry.input(description="The items to match, and the segments to search.")
class SegmentItemsMatchInput:
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    site_code: str = strawberry.field(description="The site.")
    item_ids: list[str] = strawberry.field(description="The provider's own ids of products.")
    segment_ids: list[strawberry.ID] = strawberry.field(description="Global ids of segments.")


def given(value: T | None) -> T | None:
    """Return a field of an input; None if it is missing or null."""
    return None if value is strawberry.UNSET else value


def segment_filter(value: SegmentFilter | None) -> queries.SegmentFilter:
    """Convert a filter. Raises `BadInput` for an invalid id."""
    if not value:
        return queries.SegmentFilter()
    providers, refs = given(value.providers), given(value.ids)
    membership, native = given(value.membership), given(value.native)
    customer: Any = given(value.customer_id)
    key = given(value.external_id)
    if key == "":
        raise BadInput("filter.externalId is empty.")
    query = queries.SegmentQuery(
        name_contains=given(value.name_contains) or None,
        membership=None if membership is None else frozenset(membership),
        status=given(value.status),
        site_code=given(value.site_code),
        created_after=given(value.created_after),
        created_before=given(value.created_before),
        updated_after=given(value.updated_after),
        native=native.q if native else None,
    )
    return queries.SegmentFilter(
        query,
        None if providers is None else tuple(providers),
        None if refs is None else tuple(global_ids.segments(refs, "filter.ids")),
        None if customer is None else global_ids.customer(customer, "filter.customerId"),
        native.provider if native else None,
        key,
        _item(given(value.contains_item)),
    )


def _item(value: ItemKeyInput | None) -> tuple[ItemKind, str] | None:
    if value is None:
        return None
    if value.type is ItemKind.UNKNOWN:
        raise BadInput("filter.containsItem.type: UNKNOWN is not a type of items.")
    if not value.external_id:
        raise BadInput("filter.containsItem.externalId is empty.")
    return value.type, value.external_id


def customer_filter(value: CustomerFilter | None) -> queries.CustomerFilter:
    """Convert a filter. Raises `BadInput` for an invalid id."""
    if not value:
        return queries.CustomerFilter()
    providers, segment = given(value.providers), given(value.segment_id)
    key = given(value.external_id)
    for name, text in (("externalId", key), ("phone", given(value.phone))):
        if text == "":
            raise BadInput(f"filter.{name} is empty.")
    name_contains = " ".join((given(value.name_contains) or "").split())
    return queries.CustomerFilter(
        queries.CustomerQuery(given(value.email), name_contains or None, given(value.phone)),
        None if providers is None else tuple(providers),
        key,
        None if segment is None else global_ids.segment(segment, "filter.segmentId"),
        _member_conditions(value),
    )


def _member_conditions(value: CustomerFilter) -> queries.MemberConditions:
    conditions = segment_conditions(value)
    if len({ref.provider for ref in conditions.refs}) > 1:
        raise BadInput("filter.inAll, inAny and inNone must name segments of one provider.")
    selects = (value.segment_id, value.external_id, value.email, value.phone)
    is_alone = not (conditions.all_of or conditions.any_of or any(map(given, selects)))
    if conditions.none_of and is_alone:
        raise BadInput(
            "filter.inNone alone selects nobody: add inAll, inAny, segmentId, externalId, email "
            "or phone."
        )
    return conditions


def segment_conditions(value: Any) -> queries.MemberConditions:
    """Return the conditions `inAll`, `inAny` and `inNone` of a filter. Raises `BadInput`."""

    def refs(name: str, ids: list[strawberry.ID] | None) -> tuple[Ref, ...]:
        return tuple(dict.fromkeys(global_ids.segments(given(ids), f"filter.{name}")))

    return queries.MemberConditions(
        refs("inAll", value.in_all),
        refs("inAny", value.in_any),
        refs("inNone", value.in_none),
    )
