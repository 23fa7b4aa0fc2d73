"""What can be read: each list and lookup of the schema, made of the providers' parts of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from gateway.adapter import (
    CountsLimits,
    FindsCustomersByEmail,
    ListsCustomers,
    ListsItems,
    ListsMembers,
    ListsSegments,
    MatchesItems,
)
from gateway.cursors import identity
from gateway.domain import (
    Assignment,
    Customer,
    CustomerFilter,
    Item,
    ItemKind,
    Origin,
    Page,
    PageRequest,
    Ref,
    Segment,
    SegmentFilter,
    SegmentQuery,
    SortKey,
)
from gateway.errors import BadInput, GatewayError, Unsupported
from gateway.lists import (
    Connection,
    Listing,
    Order,
    empty_list,
    merged,
    oldest,
    ordered,
    settled_list,
)
from gateway.loaders import KIND_BY_MEMBERSHIP, Loaders
from gateway.provider import Provider
from gateway.wire import Exchange

T = TypeVar("T")

LARGEST_FIRST = 250
"""Rows of one page of any connection."""

MOST_PAIRS = 10_000
"""Rows of one membership test."""


class Paging(NamedTuple):
    """What a caller asks of a connection."""

    first: int
    after: str | None = None
    with_total: bool = False


class Membership(NamedTuple):
    """Whether a customer is in a segment; None: cannot be told."""

    customer: Ref
    segment: Ref
    is_member: bool | None
    origin: Origin | None
    """None when it cannot be told."""
    error: GatewayError | None = None


SORTING: Mapping[SortKey, Callable[[Segment, Sequence[str]], Any]] = {
    SortKey.NAME: lambda segment, languages: (segment.names.best(languages) or "").casefold(),
    SortKey.CREATED_AT: lambda segment, _: segment.created_at,
    SortKey.UPDATED_AT: lambda segment, _: segment.updated_at,
    SortKey.PRIORITY: lambda segment, _: segment.priority,
}


class Reads:
    """The read side of one request."""

    def __init__(
        self, providers: Mapping[str, Provider], loaders: Loaders, languages: Sequence[str]
    ) -> None:
        """Read from these providers, in their order, through the request's loaders."""
        self._providers = providers
        self._loaders = loaders
        self._languages = languages

    async def segments(
        self,
        wanted: SegmentFilter,
        paging: Paging,
        sort: SortKey = SortKey.PROVIDER,
        *,
        reverse: bool = False,
    ) -> Connection[Segment]:
        """List segments of all providers in scope; a failed one stands in the sources."""
        checked(paging)
        scope = self._scope(
            wanted.providers,
            None if wanted.refs is None else [ref.provider for ref in wanted.refs],
            None if wanted.customer is None else [wanted.customer.provider],
            None if wanted.native_of is None else [self._known(wanted.native_of)],
        )
        listings = [self._segments_of_provider(provider, wanted) for provider in scope]
        languages = self._languages if sort is SortKey.NAME else ()
        of = identity("segments", [p.key for p in scope], wanted, sort, reverse, languages)
        if sort is SortKey.PROVIDER and not reverse:
            return await merged(
                listings, paging.first, paging.after, of=of, with_total=paging.with_total
            )
        if sort is SortKey.PROVIDER:
            # A provider's order cannot be read backwards: its place in it is the rank.
            places = {provider.key: place for place, provider in enumerate(scope)}
            counted: dict[str, int] = {}

            def rank(segment: Segment) -> tuple[int, int]:
                key = segment.ref.provider
                counted[key] = counted.get(key, 0) + 1
                return places[key], counted[key]

            order = Order(rank, reverse=True)
        else:
            by = SORTING[sort]
            order = Order(lambda segment: by(segment, self._languages), reverse)
        return await ordered(listings, paging.first, paging.after, of=of, order=order)

    def _segments_of_provider(self, provider: Provider, wanted: SegmentFilter) -> Listing[Segment]:
        """Return one provider's part of the list of segments, asked in its cheapest way."""
        key, adapter, query = provider.key, provider.adapter, wanted.query
        if (
            (query.membership is not None and not query.membership & adapter.memberships)
            or (query.status is not None and query.status not in adapter.statuses)
            or (query.site_code is not None and not adapter.has_sites)
        ):
            return empty_list(key)
        # What all its segments are need not be asked for, nor stand in the way of its total.
        if query.membership is not None and query.membership >= adapter.memberships:
            query = msgspec.structs.replace(query, membership=None)
        if query.status is not None and adapter.statuses == {query.status}:
            query = msgspec.structs.replace(query, status=None)

        if wanted.refs is not None or wanted.customer is not None:
            if query.native is not None:
                raise BadInput("filter.native cannot be combined with ids or customerId.")
            rows = partial(self._named_segments, provider, wanted, query)
            return settled_list(key, rows, provider.origin)
        holds = query.holds if query.is_local else None
        return Listing(key, self._segment_page(provider, query), holds)

    async def _named_segments(
        self, provider: Provider, wanted: SegmentFilter, query: SegmentQuery
    ) -> Sequence[Segment]:
        """Read segments that are named by their ids, by a customer who is in them, or by both."""
        refs: Sequence[Ref] | None = None
        if wanted.refs is not None:
            refs = [ref for ref in dict.fromkeys(wanted.refs) if ref.provider == provider.key]
        if wanted.customer is not None:
            rows = await self._loaders.assignments_of.load(wanted.customer) or ()
            within = [Ref(row.ref.provider, row.ref.segment) for row in rows]
            refs = within if refs is None else [ref for ref in refs if ref in within]
        found = await self._loaders.segment.load_many(list(refs or ()))
        return [segment for segment in found if segment is not None and query.holds(segment)]

    def _segment_page(
        self, provider: Provider, query: SegmentQuery
    ) -> Callable[[PageRequest], Awaitable[Page[Segment]]]:
        async def page(request: PageRequest) -> Page[Segment]:
            adapter = provider.wanted(ListsSegments, "SEGMENT_LIST")
            found = await self._loaders.fetch(provider, adapter.segments(query, request))
            self._loaders.prime_segments(found.rows)
            return found

        return page

    async def _whole(self, assignments: Sequence[Assignment]) -> Sequence[Segment]:
        """Return the segments of assignments, read whole where the answer told only a part."""
        found = await self._loaders.segment.load_many(
            [Ref(each.ref.provider, each.ref.segment) for each in assignments]
        )
        return [segment for segment in found if segment is not None]

    async def customers(self, wanted: CustomerFilter, paging: Paging) -> Connection[Customer]:
        """List customers of all providers in scope; a failed one stands in the sources."""
        checked(paging)
        scope = self._scope(
            wanted.providers, None if wanted.segment is None else [wanted.segment.provider]
        )
        listings = [self._customers_of_provider(provider, wanted) for provider in scope]
        of = identity("customers", [p.key for p in scope], wanted)
        return await merged(
            listings, paging.first, paging.after, of=of, with_total=paging.with_total
        )

    def _customers_of_provider(
        self, provider: Provider, wanted: CustomerFilter
    ) -> Listing[Customer]:
        key, email = provider.key, wanted.query.email

        def holds(customer: Customer) -> bool:
            return email is None or (customer.email or "").casefold() == email.casefold()

        async def by_key(wanted_key: str) -> Sequence[Customer]:
            customer = await self._loaders.customer.load(Ref(key, wanted_key))
            if customer is None or not holds(customer):
                return ()
            if wanted.segment is not None:
                rows = await self._loaders.assignments_of.load(customer.ref)
                if wanted.segment.key not in {row.ref.segment for row in rows or ()}:
                    return ()
            return (customer,)

        if (wanted_key := wanted.key) is not None:
            return settled_list(key, partial(by_key, wanted_key), provider.origin)
        if wanted.segment is not None:
            page = self._member_page(provider, wanted.segment.key, is_sifted=email is not None)
            return Listing(key, page, None if email is None else holds)
        return Listing(key, self._customer_page(provider, wanted))

    def _customer_page(
        self, provider: Provider, wanted: CustomerFilter
    ) -> Callable[[PageRequest], Awaitable[Page[Customer]]]:
        async def page(request: PageRequest) -> Page[Customer]:
            adapter = provider.wanted(ListsCustomers, "CUSTOMER_LIST")
            if wanted.query.email is not None and not provider.offers(FindsCustomersByEmail):
                raise Unsupported(provider.key, "CUSTOMER_SEARCH_EMAIL")
            found = await self._loaders.fetch(provider, adapter.customers(wanted.query, request))
            self._loaders.prime_customers(found.rows)
            return found

        return page

    async def members(self, segment: Segment, paging: Paging) -> Connection[Assignment]:
        """List the assignments of a segment. Raises what its provider fails with."""
        checked(paging)
        provider = self._providers[segment.ref.provider]
        kind = KIND_BY_MEMBERSHIP.get(segment.membership)

        async def page(request: PageRequest) -> Page[Assignment]:
            found = await self._assignment_page(provider, segment.ref.key, request)
            if kind is None:
                return found
            rows = [
                msgspec.structs.replace(row, kind=kind, is_partial=False)
                if row.is_partial
                else row
                for row in found.rows
            ]
            return msgspec.structs.replace(found, rows=rows)

        return await self._alone(provider, page, paging, identity("members", segment.ref))

    async def member_customers(self, ref: Ref, paging: Paging) -> Connection[Customer]:
        """List the customers of a segment, each once. Raises what its provider fails with."""
        checked(paging)
        provider = self._providers[ref.provider]
        page = self._member_page(provider, ref.key)
        return await self._alone(provider, page, paging, identity("member customers", ref))

    def _member_page(
        self, provider: Provider, segment: str, *, is_sifted: bool = False
    ) -> Callable[[PageRequest], Awaitable[Page[Customer]]]:
        """Return the list of a segment's customers; `is_sifted`: the caller leaves some out."""

        async def page(request: PageRequest) -> Page[Customer]:
            position, shown = read_member_position(request.position)
            request = request._replace(position=position)
            found = await self._assignment_page(provider, segment, request)
            # In B2B a customer may be there once for each legal entity, told one after the other.
            last = {row.ref.customer: place for place, row in enumerate(found.rows)}
            if shown is not None:
                last.pop(shown, None)
            places = sorted(last.values())
            customers = await self._loaders.customer.load_many(
                [Ref(provider.key, found.rows[place].ref.customer) for place in places]
            )
            kept = [
                (place, customer)
                for place, customer in zip(places, customers, strict=True)
                if customer is not None
            ]
            end, newest = found.goes_on_at, found.rows[-1].ref.customer if found.rows else shown
            counts_others = is_sifted or any(row.ref.legal_entity for row in found.rows)
            return Page(
                rows=[customer for _, customer in kept],
                position_after=lambda i: member_position(
                    found.position_after(kept[i][0]), found.rows[kept[i][0]].ref.customer
                ),
                is_last=found.is_last,
                total=None if counts_others else found.total,
                origin=found.origin,
                fetched_at=found.fetched_at,
                end=None if end is None else member_position(end, newest),
            )

        return page

    async def _assignment_page(
        self, provider: Provider, segment: str, request: PageRequest
    ) -> Page[Assignment]:
        adapter = provider.wanted(ListsMembers, "SEGMENT_MEMBERS")
        found = await self._loaders.fetch(provider, adapter.members(segment, request))
        self._loaders.prime_customers(
            row.customer for row in found.rows if row.customer is not None
        )
        return found

    async def member_count(self, ref: Ref) -> int:
        """Count the members of a segment. Raises what its provider fails with."""
        provider = self._providers[ref.provider]
        adapter = provider.wanted(ListsMembers, "SEGMENT_MEMBERS")
        return await self._loaders.fetch(provider, adapter.member_count(ref.key))

    async def items(self, ref: Ref, kind: ItemKind | None, paging: Paging) -> Connection[Item]:
        """List the items of a segment. Raises what its provider fails with."""
        checked(paging)
        provider = self._providers[ref.provider]

        async def page(request: PageRequest) -> Page[Item]:
            adapter = provider.wanted(ListsItems, "SEGMENT_ITEMS")
            return await self._loaders.fetch(provider, adapter.items(ref.key, kind, request))

        return await self._alone(provider, page, paging, identity("items", ref, kind))

    async def assignments_of(self, ref: Ref, paging: Paging) -> Connection[Assignment]:
        """List a customer's assignments; a provider that fails stands in the sources."""
        checked(paging)

        async def rows() -> Sequence[Assignment]:
            return await self._loaders.assignments_of.load(ref) or ()

        return await merged(
            [settled_list(ref.provider, rows, self._providers[ref.provider].origin)],
            paging.first,
            paging.after,
            of=identity("assignments", ref),
            with_total=paging.with_total,
        )

    async def segments_of(
        self,
        ref: Ref,
        paging: Paging,
        keep: Callable[[Segment], bool] | None = None,
        *,
        whole: bool,
    ) -> Connection[Segment]:
        """List a customer's segments; a provider that fails stands in the sources.

        `whole` reads what the provider tells only in part; without it a segment may be partial.
        """
        checked(paging)

        async def rows() -> Sequence[Segment]:
            assignments = await self._loaders.assignments_of.load(ref) or ()
            told = [row.segment for row in assignments if row.segment is not None]
            if len(told) < len(assignments) or (whole and any(each.is_partial for each in told)):
                told = list(await self._whole(assignments))
            return [segment for segment in told if keep is None or keep(segment)]

        return await merged(
            [settled_list(ref.provider, rows, self._providers[ref.provider].origin)],
            paging.first,
            paging.after,
            of=identity("segments of", ref, keep is None),
            with_total=paging.with_total,
        )

    async def primary_segment(self, ref: Ref) -> Segment | None:
        """Return the customer's segment that wins by priority; None where none is ranked."""
        assignments = await self._loaders.assignments_of.load(ref) or ()
        ranked = [
            row.segment
            for row in assignments
            if row.segment is not None and row.segment.priority is not None
        ]
        return min(ranked, key=lambda segment: segment.priority or 0, default=None)

    async def memberships(
        self, customers: Sequence[Ref], segments: Sequence[Ref]
    ) -> Sequence[Membership]:
        """Test every customer against every segment, customers first, in the order asked.

        Of a customer and a segment of different providers nothing is known.
        """
        if len(customers) * len(segments) > MOST_PAIRS:
            raise BadInput(
                f"customerIds x segmentIds is {len(customers) * len(segments)}; "
                f"at most {MOST_PAIRS} pairs can be tested at once."
            )
        asked = {segment.provider for segment in segments}
        needed = [ref for ref in dict.fromkeys(customers) if ref.provider in asked]
        answers = await self._loaders.assignments_of.answers(needed)
        known = dict(zip(needed, answers, strict=True))
        rows = []
        for customer in customers:
            found = known.get(customer)
            failed = found if isinstance(found, GatewayError) else None
            told = () if found is None or isinstance(found, GatewayError) else found
            within = {row.ref.segment for row in told}
            provider = self._providers.get(customer.provider)
            origin = (
                oldest([row.origin for row in told] or [provider.origin]) if provider else None
            )
            for segment in segments:
                if segment.provider != customer.provider or failed is not None:
                    is_ours = segment.provider == customer.provider
                    rows.append(
                        Membership(customer, segment, None, None, failed if is_ours else None)
                    )
                else:
                    rows.append(Membership(customer, segment, segment.key in within, origin))
        return rows

    async def match_items(
        self, provider: str, site: str, items: Sequence[str], segments: Sequence[Ref]
    ) -> Sequence[str]:
        """Return the ids of those items that belong to any active segment of these."""
        chosen = self._providers[self._known(provider)]
        adapter = chosen.wanted(MatchesItems, "ITEM_MATCH")
        if any(ref.provider != provider for ref in segments):
            raise BadInput(f"segmentIds must all be segments of provider {provider!r}.")
        exchange = adapter.match_items(site, items, [ref.key for ref in segments])
        return await self._loaders.fetch(chosen, exchange)

    async def limit_used(self, provider: str, limit: str) -> int | None:
        """Count what stands against a provider's limit; None when it cannot be asked."""
        chosen = self._providers[provider]
        if not chosen.offers(CountsLimits):
            return None
        exchange: Exchange[int] | None = chosen.wanted(CountsLimits, "LIMITS").used(limit)
        return None if exchange is None else await self._loaders.fetch(chosen, exchange)

    async def _alone(
        self,
        provider: Provider,
        page: Callable[[PageRequest], Awaitable[Page[T]]],
        paging: Paging,
        of: str,
    ) -> Connection[T]:
        """Page through one provider's list; what it fails with is raised."""
        found = await merged(
            [Listing(provider.key, page)],
            paging.first,
            paging.after,
            of=of,
            with_total=paging.with_total,
        )
        error = found.sources[0].error
        if error is not None:
            raise error
        return found

    def _known(self, key: str) -> str:
        if key not in self._providers:
            raise BadInput(f"No provider has the key {key!r}.")
        return key

    def _scope(self, *wanted: Sequence[str] | None) -> Sequence[Provider]:
        """Return the providers that stand in all given lists of keys, in configuration order."""
        given = [set(keys) for keys in wanted if keys is not None]
        for key in wanted[0] or ():
            self._known(key)
        return [
            provider
            for key, provider in self._providers.items()
            if all(key in keys for keys in given)
        ]


def member_position(position: str, customer: str | None) -> str:
    """Return a position in a segment's customers: in its assignments, and who was told last."""
    return msgspec.json.encode((position, customer)).decode()


def read_member_position(text: str | None) -> tuple[str | None, str | None]:
    """Return both parts of such a position; the start has neither."""
    if text is None:
        return None, None
    try:
        return msgspec.json.decode(text, type=tuple[str, str | None])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput("The cursor was not made by this gateway.") from error


def checked(paging: Paging) -> None:
    """Raise `BadInput` when `first` is out of range."""
    if not 1 <= paging.first <= LARGEST_FIRST:
        raise BadInput(f"first is {paging.first}; it must be from 1 to {LARGEST_FIRST}.")
