"""The members and items of segments."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Customer,
    Item,
    ItemKind,
    Membership,
    Origin,
    Ref,
    Segment,
)
from gateway.domain.lazy_rows import column
from gateway.domain.pages import MAX_SIZE_POINTS, Page, PageRequest
from gateway.domain.sizes import SizeInterval, SizePoint
from gateway.errors import BadInput, GatewayError, settled
from gateway.loaders.reads_by_key import KIND_BY_MEMBERSHIP
from gateway.providers.base.adapter import (
    ListsAssignmentsOfCustomers,
    ListsItems,
    ListsMembers,
    MatchesItems,
    ReadsMembers,
)
from gateway.providers.base.exchange import ReadPlan
from gateway.reads.base import Paging, RequestReads, check_paging, first_page
from gateway.reads.cursor import identity
from gateway.reads.merged_list import Connection
from gateway.reads.source_rows import MAX_INT
from gateway.upstream.provider import Provider

COUNTED_ROWS = 199
"""Assignments read to count customers: one less than a page of Emporix."""


class Tally(NamedTuple):
    """A count; a lower bound if it is not exact."""

    number: int
    is_exact: bool


class MemberReads(RequestReads):
    """The members and items of segments."""

    async def members(
        self, segments: Sequence[Segment], paging: Paging
    ) -> Sequence[Connection[Assignment] | GatewayError]:
        """List the assignments of each segment; an error affects only its provider's segments."""
        check_paging(paging)
        refs: Sequence[Ref] = column(segments, "ref", _refs)
        kinds = map(KIND_BY_MEMBERSHIP.get, column(segments, "membership", _memberships))
        owners = [*zip(refs, kinds, strict=True)]
        pages = {} if paging.after is not None else await self._first_pages(refs, paging)
        lists = [self._first_members(ref, kind, pages.get(ref), paging) for ref, kind in owners]
        remaining = [
            settled(self._members(ref, kind, paging))
            for (ref, kind), connection in zip(owners, lists, strict=True)
            if connection is None
        ]
        others = iter(await asyncio.gather(*remaining) if remaining else ())
        return [next(others) if each is None else each for each in lists]

    async def _first_pages(
        self, segments: Sequence[Ref], paging: Paging
    ) -> Mapping[Ref, Page[Assignment] | GatewayError]:
        """Read the first pages of these lists concurrently; return those not read before."""
        request = PageRequest(paging.first, None, paging.with_total)
        keys: dict[str, dict[str, None]] = {}
        for ref in segments:
            keys.setdefault(ref.provider, {})[ref.key] = None
        pages: dict[Ref, Page[Assignment] | GatewayError] = {}

        async def read(provider: Provider) -> None:
            if not provider.offers(ReadsMembers):
                return  # reading the list by itself raises the error
            method = provider.require(ReadsMembers, "SEGMENT_MEMBERS").members
            calls = [(segment, request) for segment in keys[provider.key]]
            results = await self._loaders.fetch_all(provider, method, calls)
            for (key, _), page in results:
                pages[Ref(provider.key, key)] = page
                if isinstance(page, Page):
                    self._note_total(Ref(provider.key, key), page)

        reads = [read(self._providers[key]) for key in keys]
        await (reads[0] if len(reads) == 1 else asyncio.gather(*reads))
        return pages

    def _first_members(
        self,
        segment: Ref,
        kind: AssignmentKind | None,
        page: Page[Assignment] | GatewayError | None,
        paging: Paging,
    ) -> Connection[Assignment] | GatewayError | None:
        """Return the connection if the first page suffices."""
        if page is None or isinstance(page, GatewayError):
            return page
        self._prime_customers_of(page)
        of = partial(identity, "members", segment)
        return first_page(segment.provider, _with_kinds(page, kind), paging.first, of)

    async def _members(
        self, segment: Ref, kind: AssignmentKind | None, paging: Paging
    ) -> Connection[Assignment]:
        provider = self._providers[segment.provider]

        async def page(request: PageRequest) -> Page[Assignment]:
            return _with_kinds(await self._assignment_page(provider, segment.key, request), kind)

        return await self._page_of(provider, page, paging, partial(identity, "members", segment))

    async def member_customers(self, ref: Ref, paging: Paging) -> Connection[Customer]:
        """List the customers of a segment, each once. Raises its provider's error."""
        check_paging(paging)
        provider = self._providers[ref.provider]
        page = self._member_page(provider, ref.key)
        return await self._page_of(
            provider, page, paging, partial(identity, "member customers", ref)
        )

    def _member_page(
        self, provider: Provider, segment: str, *, is_filtered: bool = False
    ) -> Callable[[PageRequest], Awaitable[Page[Customer]]]:
        """Return a segment's list of customers; `is_filtered`: the caller omits some of them."""

        async def page(request: PageRequest) -> Page[Customer]:
            assignments = await self._assignment_page(provider, segment, request)
            first = await self._first_assignments(provider, segment, assignments.rows)
            indexes = [
                index
                for index, row in enumerate(assignments.rows)
                if first.get(row.ref.customer, row.ref) == row.ref
            ]
            customers = await self._loaders.customer.load_many(
                [Ref(provider.key, assignments.rows[index].ref.customer) for index in indexes]
            )
            shown = [
                (index, customer)
                for index, customer in zip(indexes, customers, strict=True)
                if customer is not None
            ]
            return Page(
                rows=[customer for _, customer in shown],
                position_after=lambda i: assignments.position_after(shown[i][0]),
                is_last=assignments.is_last,
                total=None if is_filtered or first else assignments.total,
                origin=assignments.origin,
                fetched_at=assignments.fetched_at,
                end=assignments.next_position,
                skipped=assignments.skipped,
            )

        return page

    async def _first_assignments(
        self, provider: Provider, segment: str, rows: Sequence[Assignment]
    ) -> Mapping[str, AssignmentRef]:
        """Return the assignment that represents each customer with possibly several.

        In B2B a customer may be in a segment once per legal entity, on any page of the list: which
        row represents the customer must not depend on the page.
        """
        several = sorted({row.ref.customer for row in rows if row.ref.legal_entity is not None})
        if not several:
            return {}
        first: dict[str, AssignmentRef] = {}
        for row in await self._loaders.within(provider, segment, tuple(several)):
            lowest = first.get(row.ref.customer)
            if lowest is None or (row.ref.legal_entity or "") < (lowest.legal_entity or ""):
                first[row.ref.customer] = row.ref
        return first

    async def _assignment_page(
        self, provider: Provider, segment: str, request: PageRequest
    ) -> Page[Assignment]:
        adapter = provider.require(ReadsMembers, "SEGMENT_MEMBERS")
        page = await self._loaders.fetch(provider, adapter.members, segment, request)
        self._note_total(Ref(provider.key, segment), page)
        self._prime_customers_of(page)
        return page

    def _note_total(self, ref: Ref, page: Page[Assignment]) -> None:
        # Where customers may have several assignments, the total counts those.
        if not self._providers[ref.provider].offers(ListsAssignmentsOfCustomers):
            self._note_size(ref, page.total, page.origin)

    def _prime_customers_of(self, page: Page[Assignment]) -> None:
        customers = [row.customer for row in page.rows if row.customer is not None]
        if customers:
            self._loaders.prime_customers(customers)

    async def member_count(self, ref: Ref) -> Tally:
        """Count the customers in a segment. Raises its provider's error."""
        tally, origin = await self._tally(ref)
        self._note_size(ref, tally.number, origin, is_exact=tally.is_exact)
        return tally

    async def _tally(self, ref: Ref) -> tuple[Tally, Origin | None]:
        """Count the customers in a segment; also return where their number is from."""
        provider = self._providers[ref.provider]
        adapter = provider.require(ReadsMembers, "SEGMENT_MEMBERS")
        counts_customers = not provider.offers(ListsAssignmentsOfCustomers)
        if counts_customers and provider.offers(ListsMembers):
            page = await self._loaders.fetch(provider, _count, provider, ref.key)
            count = page.total or 0
            return Tally(min(count, MAX_INT), is_exact=count <= MAX_INT), page.origin
        # Otherwise it counts assignments, or nothing: one page shows whether customers have
        # several, and whether there are more.
        page = await self._loaders.fetch(
            provider, adapter.members, ref.key, PageRequest(COUNTED_ROWS, None, with_total=True)
        )
        customers = len({row.ref.customer for row in page.rows})
        if page.is_last or any(row.ref.legal_entity is not None for row in page.rows):
            return Tally(customers, is_exact=page.is_last and not page.skipped), page.origin
        return Tally(max(customers, page.total or 0), is_exact=False), page.origin

    async def size_history(
        self, ref: Ref, start: datetime, end: datetime, interval: SizeInterval, deadline: float
    ) -> Sequence[SizePoint]:
        """Return the recorded sizes of a segment, oldest first.

        Raises `Unsupported` if the provider cannot count members, and `StoreFailed`.
        """
        self._providers[ref.provider].require(ListsMembers, "SEGMENT_MEMBERS")
        if start > end:
            raise BadInput("from is later than to.")
        if (end - start) / interval.length > MAX_SIZE_POINTS:
            raise BadInput(f"There are more than {MAX_SIZE_POINTS} points between from and to.")
        if self._sizes is None:
            return ()
        return await self._sizes.history(ref, start, end, interval, deadline)

    async def items(self, ref: Ref, kind: ItemKind | None, paging: Paging) -> Connection[Item]:
        """List the items of a segment. Raises its provider's error."""
        check_paging(paging)
        provider = self._providers[ref.provider]

        async def page(request: PageRequest) -> Page[Item]:
            adapter = provider.require(ListsItems, "SEGMENT_ITEMS")
            return await self._loaders.fetch(provider, adapter.items, ref.key, kind, request)

        return await self._page_of(provider, page, paging, partial(identity, "items", ref, kind))

    async def match_items(
        self, provider: str, site: str, items: Sequence[str], segments: Sequence[Ref]
    ) -> Sequence[str]:
        """Return the ids of the items that belong to any of these segments that is active."""
        chosen = self._providers[provider]
        adapter = chosen.require(MatchesItems, "ITEM_MATCH")
        if any(ref.provider != provider for ref in segments):
            raise BadInput(f"segmentIds must all be segments of provider {provider!r}.")
        keys = tuple(ref.key for ref in segments)
        return await self._loaders.fetch(chosen, adapter.match_items, site, tuple(items), keys)


def _count(provider: Provider, segment: str) -> ReadPlan[Page[Assignment]]:
    """Count the assignments of a segment, as a page without rows: it says where it is from."""
    plan = provider.require(ListsMembers, "SEGMENT_MEMBERS").member_count(segment)

    def read(reply: Any) -> Page[Assignment]:
        total = plan.read(reply)
        return Page(rows=(), position_after=str, is_last=True, total=total, origin=provider.origin)

    return msgspec.structs.replace(plan, read=read)  # type: ignore[return-value]  # reads a page


def _refs(segments: Sequence[Segment]) -> Sequence[Ref]:
    return [each.ref for each in segments]


def _memberships(segments: Sequence[Segment]) -> Sequence[Membership]:
    return [each.membership for each in segments]


def _with_kinds(page: Page[Assignment], kind: AssignmentKind | None) -> Page[Assignment]:
    """Return the page with the kind of partial assignments, which is that of their segment."""
    if kind is None or not any([row.is_partial for row in page.rows]):  # noqa: C419  # half its time for few
        return page
    rows = [
        msgspec.structs.replace(row, kind=kind, is_partial=False) if row.is_partial else row
        for row in page.rows
    ]
    return msgspec.structs.replace(page, rows=rows)
