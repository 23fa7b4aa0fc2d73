"""The queries."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from gateway import context
from gateway.domain import entities, queries
from gateway.domain.pages import (
    DEFAULT_CHANGES_PAGE_SIZE,
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    MAX_PAIRS,
)
from gateway.errors import BadInput
from resolvers import global_ids
from resolvers.field_declarations import computed, read
from resolvers.field_permissions import OPEN, Permission
from resolvers.field_resolvers.customers import identified
from resolvers.field_resolvers.node_lookup import GlobalId, node, nodes
from resolvers.field_resolvers.persons import identity_links, people, person
from resolvers.field_resolvers.segments import check_filter
from resolvers.inputs.changes import ChangeFilter, change_filter
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
from resolvers.types.changes import ChangeConnection
from resolvers.types.comparison import COMPARES, SegmentsComparison
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
from resolvers.types.persons import IdentityLinkConnection, Person
from resolvers.value_types import SegmentSortKey

OppositeOrder = Annotated[
    bool | None, strawberry.argument(description="Whether to reverse the order.")
]


@strawberry.type(description="An item that belongs to a segment.")
class MatchedItem:
    """See the description."""

    requirement = OPEN

    external_id: str = strawberry.field(description="The provider's own id, unchanged.")


def providers(
    _: None,
    info: FieldInfo,
    keys: Annotated[
        list[str] | None, strawberry.argument(description="Only providers with these keys.")
    ] = strawberry.UNSET,
) -> list[context.Provider]:
    """Return the configured providers. Raises `BadInput` for an unknown key."""
    wanted = given(keys)
    info.context.check_keys(wanted, "keys")
    every = info.context.providers.values()
    return [each for each in every if wanted is None or each.key in wanted]


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
        global_ids.segment(global_id, "id"), is_alone=info.selection.is_alone
    )


async def segments(
    _: None,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    where: SegmentsWhere = strawberry.UNSET,
    sort_key: Annotated[
        SegmentSortKey | None, strawberry.argument(description="The sort order.")
    ] = queries.SortKey.PROVIDER,
    reverse: OppositeOrder = False,
) -> context.Connection[entities.Segment]:
    """List the segments of all providers."""
    sort = sort_key or queries.SortKey.PROVIDER
    return await info.context.reads.segments(
        check_filter(segment_filter(where), info, sort),
        paging(info, first, after),
        sort,
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
    ref = identified(identity, info) if identity else global_ids.customer(global_id or "", "id")
    found = await info.context.loaders.customer.load(ref, is_alone=info.selection.is_alone)
    if found is not None:
        info.context.single_customers.add(found.ref)
    return found


async def customers(
    _: None,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    where: Annotated[
        CustomerFilter | None,
        strawberry.argument(name="filter", description="Only customers that match this filter."),
    ] = strawberry.UNSET,
) -> context.Connection[entities.Customer]:
    """List the customers of all providers."""
    conditions = customer_filter(where)
    info.context.check_keys(conditions.providers, "filter.providers")
    if conditions.segment is not None:
        info.context.require(
            Permission.ASSIGNMENTS_READ, conditions.segment.provider, "filter.segmentId"
        )
    for name, refs in (
        ("filter.inAll", conditions.members.all_of),
        ("filter.inAny", conditions.members.any_of),
        ("filter.inNone", conditions.members.none_of),
    ):
        for ref in refs[:1]:  # all are of one provider
            info.context.require(Permission.ASSIGNMENTS_READ, ref.provider, name)
    return await info.context.reads.customers(conditions, paging(info, first, after))


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
        global_ids.customers(customer_ids, "customerIds"),
        global_ids.segments(segment_ids, "segmentIds"),
    )


async def segment_items_match(
    _: None,
    info: FieldInfo,
    match: Annotated[
        SegmentItemsMatchInput,
        strawberry.argument(name="input", description="The items, and the segments to search."),
    ],
) -> list[MatchedItem]:
    """Return the items that belong to any of the segments."""
    info.context.check_keys([match.provider], "input.provider")
    refs = global_ids.segments(match.segment_ids, "input.segmentIds")
    keys = await info.context.reads.match_items(
        match.provider, match.site_code, match.item_ids, refs
    )
    return [MatchedItem(external_id=key) for key in keys]


async def segments_compare(
    _: None,
    info: FieldInfo,
    segment_ids: Annotated[
        list[strawberry.ID],
        strawberry.argument(description="From 2 to 6 global ids of segments."),
    ],
) -> context.Comparison:
    """Compare the members of segments."""
    refs = global_ids.segments(segment_ids, "segmentIds")
    has_several = len({ref.provider for ref in refs}) > 1
    return await info.context.reads.compare(refs, info.context.persons if has_several else None)


async def changes_cursor(_: None, info: FieldInfo) -> str:
    """Return the cursor at the end of the change log."""
    return await info.context.changes.cursor()


async def changes(
    _: None,
    info: FieldInfo,
    first: Annotated[
        int | None,
        strawberry.argument(
            description=f"The page size, from 1 to {MAX_PAGE_SIZE}; "
            f"{DEFAULT_CHANGES_PAGE_SIZE} if null."
        ),
    ] = DEFAULT_CHANGES_PAGE_SIZE,
    after: Annotated[
        str | None,
        strawberry.argument(
            description="Any cursor of the change log; if missing or empty, start at the oldest "
            "entry."
        ),
    ] = strawberry.UNSET,
    where: Annotated[
        ChangeFilter | None,
        strawberry.argument(name="filter", description="Only changes that match this filter."),
    ] = strawberry.UNSET,
) -> context.ChangePage:
    """Return a page of the change log."""
    size = DEFAULT_CHANGES_PAGE_SIZE if first is None else first
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise BadInput(f"first is {size}; it must be from 1 to {MAX_PAGE_SIZE}.")
    visible = info.context.visibility
    return await info.context.changes.page(
        size, given(after) or None, change_filter(where), visible
    )


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
    person: Person | None = read(
        person,
        "The person of a customer: exactly one of a person's or customer's global id, a key of a "
        "provider, and an email address. Each other provider is asked at most once; by an email "
        "address, in at most two rounds. Null if there is none; several persons with one email "
        "address are `BAD_USER_INPUT`.",
        requirement=OWN_CUSTOMERS,
    )
    people: Connection[Person] | None = read(
        people,
        "Persons, oldest first. Without a filter those of two or more customers, from the index "
        "of customers that were read before; with segments also persons of one. Members are read "
        "up to `limits.compare_members` of each segment. Null, with an error, if the store fails.",
        requirement=CUSTOMERS,
        null_only_on_error=True,
    )
    identity_links: IdentityLinkConnection | None = read(
        identity_links,
        "The links between customers, in all states, newest first. Null, with an error, if the "
        "store fails.",
        requirement=CUSTOMERS,
        null_only_on_error=True,
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
        f"order given; at most {MAX_PAIRS:,} rows.",
        requirement=ASSIGNMENTS,
    )
    segment_items_match: list[MatchedItem] | None = read(
        segment_items_match,
        "The items that belong to any of these active segments (Emporix).",
        requirement=SEGMENTS,
        null_only_on_error=True,
    )
    segments_compare: SegmentsComparison | None = read(
        segments_compare,
        "How the members of 2 to 6 segments overlap. Segments of several providers are compared "
        "by persons. Members are read up to `limits.compare_members` of each segment; larger ones "
        "compare by their last snapshot, if they are watched (`[[watch]]`).",
        requirement=COMPARES,
        null_only_on_error=True,
    )
    changes_cursor: str | None = read(
        changes_cursor,
        "The current end of the change log. To miss no change, query this first, then read a "
        "list, then read the changes after this cursor.",
        requirement=OPEN,
        null_only_on_error=True,
    )
    changes: ChangeConnection | None = read(
        changes,
        "The changes after a cursor, oldest first. Needs `segments:read` or `assignments:read`; "
        "changes that the caller may not see are left out.",
        requirement=OPEN,
        null_only_on_error=True,
    )
