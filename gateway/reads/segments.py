"""Lists of segments."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from gateway.domain.entities import Assignment, Ref, Segment
from gateway.domain.pages import Page, PageRequest, Walked
from gateway.domain.queries import SegmentFilter, SegmentQuery, SortKey
from gateway.errors import BadInput
from gateway.providers.base.adapter import (
    ListsSegments,
)
from gateway.providers.base.write_protocols import ReordersSegments
from gateway.reads.base import Paging, RequestReads, checked
from gateway.reads.cursor import identity
from gateway.reads.merged_list import (
    Connection,
    ListSource,
    empty_list,
    merge,
    settled_list,
)
from gateway.reads.ordered_list import Order, backwards, ordered
from gateway.upstream.provider import Provider

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def _since_epoch(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // MICROSECOND


SORTING: Mapping[SortKey, Callable[[Segment, Sequence[str]], str | int | None]] = {
    SortKey.NAME: lambda segment, languages: (segment.names.best(languages) or "").casefold(),
    SortKey.CREATED_AT: lambda segment, _: _since_epoch(segment.created_at),
    SortKey.UPDATED_AT: lambda segment, _: _since_epoch(segment.updated_at),
    SortKey.PRIORITY: lambda segment, _: segment.priority,
}


class SegmentReads(RequestReads):
    """Lists of segments, of all providers and of one customer."""

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
        of = partial(
            identity, "segments", [p.key for p in scope], wanted, sort, reverse, languages
        )
        if sort is SortKey.PROVIDER and not reverse:
            return await merge(
                listings, paging.first, paging.after, of=of, with_total=paging.with_total
            )
        if sort is SortKey.PROVIDER:
            return await backwards(listings, paging.first, paging.after, of=of, ref=_ref)
        by, kind = SORTING[sort], str if sort is SortKey.NAME else int
        order = Order(lambda segment: by(segment, self._languages), kind, reverse, _ref)
        return await ordered(listings, paging.first, paging.after, of=of, order=order)

    def _segments_of_provider(
        self, provider: Provider, wanted: SegmentFilter
    ) -> ListSource[Segment]:
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
        return ListSource(key, self._segment_page(provider, query), holds)

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
            adapter = provider.require(ListsSegments, "SEGMENT_LIST")
            found = await self._loaders.fetch(provider, adapter.segments, query, request)
            self._loaders.prime_segments(found.rows)
            return found

        return page

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
            assignments = await self._loaders.assignments_of.load(ref) or Walked()
            told = [row.segment for row in assignments if row.segment is not None]
            if len(told) < len(assignments) or (whole and any(each.is_partial for each in told)):
                told = list(await self._whole(assignments))
            return assignments.but(each for each in told if keep is None or keep(each))

        return await merge(
            [settled_list(ref.provider, rows, self._providers[ref.provider].origin)],
            paging.first,
            paging.after,
            of=partial(identity, "segments of", ref, keep is None),
            with_total=paging.with_total,
        )

    async def primary_segment(self, ref: Ref) -> Segment | None:
        """Return the customer's segment that wins by priority; None where none is ranked."""
        provider = self._providers.get(ref.provider)
        if provider is None or not provider.offers(ReordersSegments):
            return None
        assignments = await self._loaders.assignments_of.load(ref) or ()
        ranked = [
            row.segment
            for row in assignments
            if row.segment is not None and row.segment.priority is not None
        ]
        return min(ranked, key=lambda segment: segment.priority or 0, default=None)

    async def _whole(self, assignments: Sequence[Assignment]) -> Sequence[Segment]:
        """Return the segments of assignments, read whole where the answer told only a part."""
        found = await self._loaders.segment.load_many(
            [Ref(each.ref.provider, each.ref.segment) for each in assignments]
        )
        return [segment for segment in found if segment is not None]


def _ref(segment: Segment) -> Ref:
    return segment.ref
