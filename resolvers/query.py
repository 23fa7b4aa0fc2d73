"""The root fields that read."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import strawberry

from gateway import context
from gateway.domain import entities, queries
from gateway.domain.entities import AssignmentRef, Ref
from gateway.domain.pages import DEFAULT_FIRST, MOST_NODES, MOST_PAIRS
from gateway.errors import BadInput, GatewayError
from resolvers import global_ids
from resolvers.field_declarations import computed, read
from resolvers.field_permissions import OPEN, Permission
from resolvers.field_resolvers.segments import permitted
from resolvers.global_ids import Kind
from resolvers.inputs.filters import (
    CustomerFilter,
    CustomerIdentityInput,
    SegmentItemsMatchInput,
    SegmentsWhere,
    customer_filter,
    given,
    segment_filter,
)
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import FieldInfo
from resolvers.types.membership import SegmentMembership
from resolvers.types.nodes import (
    ASSIGNMENTS,
    CUSTOMERS,
    OWN_CUSTOMERS,
    OWN_SEGMENTS,
    SEGMENTS,
    Connection,
    Customer,
    Node,
    Provider,
    Segment,
)
from resolvers.value_types import SegmentSortKey

OppositeOrder = Annotated[
    bool | None, strawberry.argument(description="Whether to reverse the order.")
]

RIGHT_TO_READ = {
    Kind.SEGMENT: Permission.SEGMENTS_READ,
    Kind.CUSTOMER: Permission.CUSTOMERS_READ,
    Kind.ASSIGNMENT: Permission.ASSIGNMENTS_READ,
}
"""What a global id leads to only with this right, even where no field of it is shown."""

GlobalId = Annotated[strawberry.ID, strawberry.argument(name="id", description="A global id.")]


@strawberry.type(description="An item that belongs to a segment.")
class MatchedItem:
    """See the description."""

    requirement = OPEN

    external_id: str = strawberry.field(description="The provider's own id, unchanged.")


Found = context.Provider | entities.Segment | entities.Customer | entities.Assignment


async def node(_: None, info: FieldInfo, global_id: GlobalId) -> Found | None:
    """Return what a global id names; None when there is no such thing."""
    found = (await _nodes([global_id], info))[0]
    if isinstance(found, GatewayError):
        raise found
    return found


async def nodes(
    _: None,
    info: FieldInfo,
    wanted: Annotated[
        list[strawberry.ID],
        strawberry.argument(name="ids", description=f"At most {MOST_NODES} global ids."),
    ],
) -> Sequence[Found | GatewayError | None]:
    """Return what each global id names; what fails is an error in its place alone."""
    if len(wanted) > MOST_NODES:
        raise BadInput(f"{len(wanted)} ids were given; at most {MOST_NODES} are read at once.")
    return await _nodes(wanted, info)


async def _nodes(wanted: Sequence[str], info: FieldInfo) -> Sequence[Found | GatewayError | None]:
    found: list[Found | GatewayError | None] = [None] * len(wanted)
    loaders = info.context.loaders
    places: dict[Kind, list[tuple[int, tuple[str, ...]]]] = {}
    for place, text in enumerate(wanted):
        try:
            kind, parts = global_ids.read(text)
        except BadInput as error:
            found[place] = error
        else:
            places.setdefault(kind, []).append((place, parts))

    async def fill(kind: Kind, read: Callable[[Any], Awaitable[Sequence[Any]]], ref: Any) -> None:
        right = RIGHT_TO_READ[kind]
        asked_for = [
            (place, ref(*parts))
            for place, parts in places.get(kind, ())
            if info.context.may_show(right, parts[0])
        ]
        if asked_for:
            answers = await read([each for _, each in asked_for])
            for (place, _), answer in zip(asked_for, answers, strict=True):
                found[place] = answer

    for place, parts in places.get(Kind.PROVIDER, ()):
        found[place] = info.context.providers.get(parts[0])
    await asyncio.gather(
        fill(Kind.SEGMENT, loaders.segment.load_results, Ref),
        fill(Kind.CUSTOMER, loaders.customer.load_results, Ref),
        fill(Kind.ASSIGNMENT, loaders.assignment.load_results, AssignmentRef),
    )
    return found


def providers(
    _: None,
    info: FieldInfo,
    keys: Annotated[
        list[str] | None, strawberry.argument(description="Only providers with these keys.")
    ] = strawberry.UNSET,
) -> list[context.Provider]:
    """Return the configured providers."""
    known = info.context.providers.values()
    wanted = given(keys)
    return [each for each in known if wanted is None or each.key in wanted]


def provider(
    _: None,
    info: FieldInfo,
    key: Annotated[str, strawberry.argument(description="The key in the configuration.")],
) -> context.Provider | None:
    """Return one provider by its key."""
    return info.context.providers.get(key)


async def segment(_: None, info: FieldInfo, global_id: GlobalId) -> entities.Segment | None:
    """Return one segment."""
    return await info.context.loaders.segment.load(
        global_ids.segment(global_id), is_alone=info.selection.is_alone
    )


async def segments(
    _: None,
    info: FieldInfo,
    first: First = DEFAULT_FIRST,
    after: After = strawberry.UNSET,
    where: SegmentsWhere = strawberry.UNSET,
    sort_key: Annotated[
        SegmentSortKey | None, strawberry.argument(description="The sort order.")
    ] = queries.SortKey.PROVIDER,
    reverse: OppositeOrder = False,
) -> context.Connection[entities.Segment]:
    """List the segments of all providers."""
    return await info.context.reads.segments(
        permitted(segment_filter(where), info),
        paging(info, first, after),
        sort_key or queries.SortKey.PROVIDER,
        reverse=bool(reverse),
    )


async def customer(
    _: None,
    info: FieldInfo,
    global_id: Annotated[
        strawberry.ID | None, strawberry.argument(name="id", description="A global id.")
    ] = strawberry.UNSET,
    identity: Annotated[
        CustomerIdentityInput | None,
        strawberry.argument(description="A provider, and any key by which it knows the customer."),
    ] = strawberry.UNSET,
) -> entities.Customer | None:
    """Return one customer by global id or by a key of a provider."""
    if (given(global_id) is None) is (given(identity) is None):
        raise BadInput("Give exactly one of id and identity.")
    if identity:
        if identity.provider not in info.context.providers:
            raise BadInput(f"No provider has the key {identity.provider!r}.")
        if not identity.external_id:
            raise BadInput("identity.externalId is empty.")
        ref = Ref(identity.provider, identity.external_id)
    else:
        ref = global_ids.customer(global_id or "")
    return await info.context.loaders.customer.load(ref, is_alone=info.selection.is_alone)


async def customers(
    _: None,
    info: FieldInfo,
    first: First = DEFAULT_FIRST,
    after: After = strawberry.UNSET,
    where: Annotated[
        CustomerFilter | None,
        strawberry.argument(name="filter", description="Only customers that match this filter."),
    ] = strawberry.UNSET,
) -> context.Connection[entities.Customer]:
    """List the customers of all providers."""
    wanted = customer_filter(where)
    if wanted.segment is not None:
        told = "filter.segmentId"
        info.context.require(Permission.ASSIGNMENTS_READ, wanted.segment.provider, told)
    return await info.context.reads.customers(wanted, paging(info, first, after))


async def segment_memberships(
    _: None,
    info: FieldInfo,
    customer_ids: Annotated[
        list[strawberry.ID], strawberry.argument(description="Global ids of customers.")
    ],
    segment_ids: Annotated[
        list[strawberry.ID], strawberry.argument(description="Global ids of segments.")
    ],
) -> Sequence[context.Membership]:
    """Test customers against segments."""
    return await info.context.reads.memberships(
        [global_ids.customer(each) for each in customer_ids],
        [global_ids.segment(each) for each in segment_ids],
    )


async def segment_items_match(
    _: None,
    info: FieldInfo,
    wanted: Annotated[
        SegmentItemsMatchInput,
        strawberry.argument(name="input", description="The items, and the segments to search."),
    ],
) -> list[MatchedItem]:
    """Return those of the items that belong to any of the segments."""
    refs = [global_ids.segment(each) for each in wanted.segment_ids]
    found = await info.context.reads.match_items(
        wanted.provider, wanted.site_code, wanted.item_ids, refs
    )
    return [MatchedItem(external_id=key) for key in found]


@strawberry.type(description="Everything that can be read.")
class Query:
    """See the description."""

    node: Node | None = read(
        node, "An object by its global id; null if it does not exist.", requirement=OPEN
    )
    nodes: list[Node | None] = read(
        nodes, "Several objects by their global ids, in the order given.", requirement=OPEN
    )
    providers: list[Provider] = computed(
        providers, "The configured providers, in configuration order.", requirement=OPEN
    )
    provider: Provider | None = computed(
        provider, "One provider by its key; null if it does not exist.", requirement=OPEN
    )
    segment: Segment | None = read(
        segment,
        "One segment by its global id; null if it does not exist.",
        requirement=OWN_SEGMENTS,
    )
    segments: Connection[Segment] = read(
        segments,
        "The segments of all providers as one list. A provider that fails is reported in "
        "`sources`; the rest of the list is complete.",
        requirement=SEGMENTS,
    )
    customer: Customer | None = read(
        customer,
        "One customer by global id or by a key of a provider (exactly one of the two); null if it "
        "does not exist.",
        requirement=OWN_CUSTOMERS,
    )
    customers: Connection[Customer] = read(
        customers,
        "The customers of all providers as one list. A provider that fails, or does not support "
        "this list or filter, is reported in `sources`.",
        requirement=CUSTOMERS,
    )
    segment_memberships: list[SegmentMembership] = read(
        segment_memberships,
        "Test many customers against many segments: one row per pair, customers first, in the "
        f"order given; at most {MOST_PAIRS:,} rows.",
        requirement=ASSIGNMENTS,
    )
    segment_items_match: list[MatchedItem] | None = read(
        segment_items_match,
        "The items that belong to any of these active segments (Emporix).",
        requirement=SEGMENTS,
    )
