"""Input types of reading, and what they mean in the domain's words."""

from typing import Annotated, Any, TypeVar

import strawberry

from gateway.domain import queries
from gateway.errors import BadInput
from resolvers import global_ids
from resolvers.value_types import DateTime, MembershipKind, SegmentStatus

T = TypeVar("T")


@strawberry.input(description="A query in a provider's own language, passed on as it is.")
class NativeFilter:
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    q: str = strawberry.field(
        description="Emporix: the `q` parameter. Stuut: the `search` parameter. Voucherify: its "
        "`filters` as a JSON object."
    )


@strawberry.input(description="Which segments: all given parts must hold.")
class SegmentFilter:
    """See the description."""

    providers: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only of the providers with these keys."
    )
    ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those with these global ids."
    )
    name_contains: str | None = strawberry.field(
        default=strawberry.UNSET, description="The name has this in it, ignoring case."
    )
    membership: list[MembershipKind] | None = strawberry.field(
        default=strawberry.UNSET, description="Only of these kinds."
    )
    status: SegmentStatus | None = strawberry.field(
        default=strawberry.UNSET, description="Only with this status."
    )
    site_code: str | None = strawberry.field(
        default=strawberry.UNSET, description="Only for this site."
    )
    customer_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Only those that this customer is in."
    )
    created_after: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="Made later than this moment."
    )
    created_before: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="Made earlier than this moment."
    )
    native: NativeFilter | None = strawberry.field(
        default=strawberry.UNSET, description="Only what one provider finds by its own query."
    )


SegmentsWhere = Annotated[
    SegmentFilter | None, strawberry.argument(name="filter", description="Which of them.")
]


@strawberry.input(description="Which customers: all given parts must hold.")
class CustomerFilter:
    """See the description."""

    providers: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only of the providers with these keys."
    )
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description="With this email address."
    )
    external_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="Known to the provider by this key."
    )
    segment_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="In this segment."
    )


@strawberry.input(description="A customer by a key of a provider.")
class CustomerIdentityInput:
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    external_id: str = strawberry.field(
        description="Any key that the provider knows the customer by."
    )


@strawberry.input(description="What to look for in which segments.")
class SegmentItemsMatchInput:
    """See the description."""

    provider: str = strawberry.field(description="The provider's key.")
    site_code: str = strawberry.field(description="The site.")
    item_ids: list[str] = strawberry.field(description="The provider's own ids of products.")
    segment_ids: list[strawberry.ID] = strawberry.field(description="Global ids of segments.")


def given(value: T | None) -> T | None:
    """Return a part of an input; left out and null are the same."""
    return None if value is strawberry.UNSET else value


def segment_filter(value: SegmentFilter | None) -> queries.SegmentFilter:
    """Read a filter. Raises `BadInput` for an id that is none."""
    if not value:
        return queries.SegmentFilter()
    providers, refs = given(value.providers), given(value.ids)
    membership, native = given(value.membership), given(value.native)
    customer: Any = given(value.customer_id)
    query = queries.SegmentQuery(
        name_contains=given(value.name_contains) or None,
        membership=None if membership is None else frozenset(membership),
        status=given(value.status),
        site_code=given(value.site_code),
        created_after=given(value.created_after),
        created_before=given(value.created_before),
        native=native.q if native else None,
    )
    return queries.SegmentFilter(
        query,
        None if providers is None else tuple(providers),
        None if refs is None else tuple(global_ids.segment(each) for each in refs),
        None if customer is None else global_ids.customer(customer),
        native.provider if native else None,
    )


def customer_filter(value: CustomerFilter | None) -> queries.CustomerFilter:
    """Read a filter. Raises `BadInput` for an id that is none."""
    if not value:
        return queries.CustomerFilter()
    providers, segment = given(value.providers), given(value.segment_id)
    key = given(value.external_id)
    if key == "":
        raise BadInput("filter.externalId is empty.")
    return queries.CustomerFilter(
        queries.CustomerQuery(given(value.email)),
        None if providers is None else tuple(providers),
        key,
        None if segment is None else global_ids.segment(segment),
    )
