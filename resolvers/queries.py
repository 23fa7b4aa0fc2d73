"""The root fields that read."""

from typing import Annotated

import strawberry

from gateway import domain
from gateway.domain import AssignmentRef, Ref
from gateway.errors import BadInput
from resolvers import ids
from resolvers.connections import After, Connection, First, paging
from resolvers.ids import Kind
from resolvers.inputs import (
    CustomerFilter,
    CustomerIdentityInput,
    SegmentItemsMatchInput,
    SegmentsWhere,
    customer_filter,
    segment_filter,
)
from resolvers.leaves import SegmentSortKey
from resolvers.types import (
    Context,
    Customer,
    Node,
    Provider,
    Segment,
    SegmentMembership,
    node_of,
)

OppositeOrder = Annotated[bool | None, strawberry.argument(description="In the opposite order.")]

MOST_NODES = 250
"""Ids that `nodes` takes."""

GlobalId = Annotated[strawberry.ID, strawberry.argument(name="id", description="A global id.")]


async def load_node(info: Context, text: str) -> Node | None:
    """Return what a global id names; None when there is no such thing."""
    kind, parts = ids.read(text)
    loaders = info.context.loaders
    if kind is Kind.PROVIDER:
        provider = info.context.providers.get(parts[0])
        return None if provider is None else Provider(value=provider)
    if kind is Kind.SEGMENT:
        return node_of(await loaders.segment.load(Ref(*parts)))
    if kind is Kind.CUSTOMER:
        return node_of(await loaders.customer.load(Ref(*parts)))
    return node_of(await loaders.assignment.load(AssignmentRef(*parts)))


@strawberry.type(description="An item that was found in a segment.")
class MatchedItem:
    """See the description."""

    external_id: str = strawberry.field(description="The provider's own id, unchanged.")


@strawberry.type(description="Everything that can be read.")
class Query:
    """See the description."""

    @strawberry.field(description="Anything by its global id; null when there is no such thing.")
    async def node(self, info: Context, global_id: GlobalId) -> Node | None:
        """See the description."""
        return await load_node(info, global_id)

    @strawberry.field(description="Several things by their global ids, in the order asked.")
    def nodes(
        self,
        info: Context,
        wanted: Annotated[
            list[strawberry.ID],
            strawberry.argument(name="ids", description="At most 250 global ids."),
        ],
    ) -> list[Node | None]:
        """See the description."""
        if len(wanted) > MOST_NODES:
            raise BadInput(f"{len(wanted)} ids were given; at most {MOST_NODES} are read at once.")
        # Awaited one by one by the executor, so that what fails is null alone.
        return [load_node(info, each) for each in wanted]  # type: ignore[misc]

    @strawberry.field(description="The configured providers, in configuration order.")
    def providers(
        self,
        info: Context,
        keys: Annotated[
            list[str] | None, strawberry.argument(description="Only those with these keys.")
        ] = strawberry.UNSET,
    ) -> list[Provider]:
        """See the description."""
        known = info.context.providers.values()
        return [Provider(value=each) for each in known if not keys or each.key in keys]

    @strawberry.field(description="One provider by its key; null when there is none.")
    def provider(
        self,
        info: Context,
        key: Annotated[str, strawberry.argument(description="Its key in the configuration.")],
    ) -> Provider | None:
        """See the description."""
        found = info.context.providers.get(key)
        return None if found is None else Provider(value=found)

    @strawberry.field(description="One segment; null when there is none.")
    async def segment(self, info: Context, global_id: GlobalId) -> Segment | None:
        """See the description."""
        found = await info.context.loaders.segment.load(ids.segment(global_id))
        return Segment.of(found) if found else None

    @strawberry.field(
        description="The segments of all providers as one list. A provider that fails is named in "
        "`sources`, and the rest is whole."
    )
    async def segments(
        self,
        info: Context,
        first: First = 50,
        after: After = strawberry.UNSET,
        where: SegmentsWhere = strawberry.UNSET,
        sort_key: Annotated[
            SegmentSortKey | None, strawberry.argument(description="In which order.")
        ] = domain.SortKey.PROVIDER,
        reverse: OppositeOrder = False,
    ) -> Connection[Segment]:
        """See the description."""
        found = await info.context.reads.segments(
            segment_filter(where),
            paging(info, first, after),
            sort_key or domain.SortKey.PROVIDER,
            reverse=bool(reverse),
        )
        return Connection(value=found, wrap=Segment.of)

    @strawberry.field(
        description="One customer by global id or by a key of a provider (exactly one of the "
        "two); null when there is none."
    )
    async def customer(
        self,
        info: Context,
        global_id: Annotated[
            strawberry.ID | None, strawberry.argument(name="id", description="A global id.")
        ] = strawberry.UNSET,
        identity: Annotated[
            CustomerIdentityInput | None,
            strawberry.argument(description="A provider and a key that it knows the customer by."),
        ] = strawberry.UNSET,
    ) -> Customer | None:
        """See the description."""
        if bool(global_id) is bool(identity):
            raise BadInput("Give exactly one of id and identity.")
        if identity:
            if identity.provider not in info.context.providers:
                raise BadInput(f"No provider has the key {identity.provider!r}.")
            ref = Ref(identity.provider, identity.external_id)
        else:
            ref = ids.customer(global_id or "")
        found = await info.context.loaders.customer.load(ref)
        return Customer.of(found) if found else None

    @strawberry.field(
        description="The customers of all providers as one list. A provider that fails, or that "
        "cannot list or find customers so, is named in `sources`."
    )
    async def customers(
        self,
        info: Context,
        first: First = 50,
        after: After = strawberry.UNSET,
        where: Annotated[
            CustomerFilter | None,
            strawberry.argument(name="filter", description="Which of them."),
        ] = strawberry.UNSET,
    ) -> Connection[Customer]:
        """See the description."""
        wanted = paging(info, first, after)
        found = await info.context.reads.customers(customer_filter(where), wanted)
        return Connection(value=found, wrap=Customer.of)

    @strawberry.field(
        description="Bulk membership test: one row for each customer and segment, customers "
        "first, in the order asked; at most 10,000 rows."
    )
    async def segment_memberships(
        self,
        info: Context,
        customer_ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="Global ids of customers.")
        ],
        segment_ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="Global ids of segments.")
        ],
    ) -> list[SegmentMembership]:
        """See the description."""
        rows = await info.context.reads.memberships(
            [ids.customer(each) for each in customer_ids],
            [ids.segment(each) for each in segment_ids],
        )
        return [SegmentMembership(value=row) for row in rows]

    @strawberry.field(
        description="Those of the items that belong to any of these active segments (Emporix)."
    )
    async def segment_items_match(
        self,
        info: Context,
        wanted: Annotated[
            SegmentItemsMatchInput,
            strawberry.argument(name="input", description="What, and where."),
        ],
    ) -> list[MatchedItem] | None:
        """See the description."""
        segments = [ids.segment(each) for each in wanted.segment_ids]
        found = await info.context.reads.match_items(
            wanted.provider, wanted.site_code, wanted.item_ids, segments
        )
        return [MatchedItem(external_id=key) for key in found]
