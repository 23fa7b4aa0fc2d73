"""Lists of segments."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from gateway.domain.entities import Assignment, Ref, Segment
from gateway.domain.pages import CompleteList, Page, PageRequest
from gateway.domain.queries import SegmentFilter, SegmentQuery, SortKey
from gateway.errors import BadInput, GatewayError, LimitExceeded, settled
from gateway.providers.base.adapter import FindsSegmentsByItem, ListsMembers, ListsSegments
from gateway.providers.base.write_protocols import ReordersSegments
from gateway.reads.base import Paging, check_paging
from gateway.reads.cursor import identity
from gateway.reads.members import MemberReads
from gateway.reads.merged_list import (
    Connection,
    ListSource,
    Part,
    complete_list,
    empty_list,
    merge,
)
from gateway.reads.ordered_list import Order, reversed_page, sorted_page
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


COUNTS_AT_ONCE = 50
"""The most concurrent counts of one list, so that other operations get their turn."""


class SegmentReads(MemberReads):
    """Lists of segments, of all providers and of one customer."""

    async def segments(
        self,
        filters: SegmentFilter,
        paging: Paging,
        sort: SortKey = SortKey.PROVIDER,
        *,
        reverse: bool = False,
    ) -> Connection[Segment]:
        """List segments of the selected providers; failed ones are reported in the sources."""
        check_paging(paging)
        providers = self._select(
            filters.providers,
            None if filters.refs is None else [ref.provider for ref in filters.refs],
            None if filters.customer is None else [filters.customer.provider],
            None if filters.native_of is None else [filters.native_of],
        )
        sources = [self._segments_of_provider(provider, filters) for provider in providers]
        languages = self._languages if sort is SortKey.NAME else ()
        of = partial(
            identity, "segments", [p.key for p in providers], filters, sort, reverse, languages
        )
        if sort is SortKey.PROVIDER and not reverse:
            return await merge(
                sources, paging.first, paging.after, of=of, with_total=paging.with_total
            )
        if sort is SortKey.PROVIDER:
            return await reversed_page(sources, paging.first, paging.after, of=of, ref=_ref)
        if sort is SortKey.MEMBERS_COUNT:
            counts: dict[Ref, int] = {}
            count = partial(self._count, counts)
            order = Order[Segment](
                lambda segment: counts.get(segment.ref), int, reverse, _ref, count
            )
        else:
            by, kind = SORTING[sort], str if sort is SortKey.NAME else int
            order = Order(lambda segment: by(segment, self._languages), kind, reverse, _ref)
        return await sorted_page(sources, paging.first, paging.after, of=of, order=order)

    async def _count(self, counts: dict[Ref, int], parts: Sequence[Part[Segment]]) -> None:
        """Count the members of all segments whose providers can count them, a call for each.

        Raises `LimitExceeded` beyond `limits.counted_segments`. A failure is reported as that of
        the segment's provider.
        """
        counted = [
            (part, segment.ref)
            for part in parts
            if self._providers[part.list_source.provider].offers(ListsMembers)
            for segment in part.rows
        ]
        most = self._limits.counted_segments
        if len(counted) > most:
            raise LimitExceeded(
                f"The list has {len(counted)} segments; at most {most} are counted to sort by "
                "MEMBERS_COUNT (limits.counted_segments)."
            )
        limit = asyncio.Semaphore(COUNTS_AT_ONCE)

        async def count(part: Part[Segment], ref: Ref) -> None:
            async with limit:
                tally = await settled(self.member_count(ref))
            if isinstance(tally, GatewayError):
                part.gap = tally
            else:
                counts[ref] = tally.number

        await asyncio.gather(*(count(part, ref) for part, ref in counted))

    def _segments_of_provider(
        self, provider: Provider, filters: SegmentFilter
    ) -> ListSource[Segment]:
        """Return one provider's part of the list, by its cheapest calls."""
        key, adapter, query = provider.key, provider.adapter, filters.query
        if (
            (query.membership is not None and not query.membership & adapter.memberships)
            or (query.status is not None and query.status not in adapter.statuses)
            or (query.site_code is not None and not adapter.has_sites)
        ):
            return empty_list(key)
        # A filter that all its segments match is dropped: it would only hide the total.
        if query.membership is not None and query.membership >= adapter.memberships:
            query = msgspec.structs.replace(query, membership=None)
        if query.status is not None and adapter.statuses == {query.status}:
            query = msgspec.structs.replace(query, status=None)

        if filters.is_named:
            if query.native is not None:
                raise BadInput(
                    "filter.native cannot be combined with ids, customerId, externalId or "
                    "containsItem."
                )
            rows = partial(self._named_segments, provider, filters, query)
            return complete_list(key, rows, provider.origin)
        holds = query.holds if query.is_local else None
        return ListSource(key, self._segment_page(provider, query), holds)

    async def _named_segments(
        self, provider: Provider, filters: SegmentFilter, query: SegmentQuery
    ) -> Sequence[Segment]:
        """Read segments by their ids, by a customer or an item in them, or by several of these."""
        parts: list[Sequence[Ref]] = []
        if filters.refs is not None:
            parts.append([ref for ref in filters.refs if ref.provider == provider.key])
        if filters.key is not None:
            parts.append([Ref(provider.key, filters.key)])
        if filters.item is not None:
            finder = provider.require(FindsSegmentsByItem, "SEGMENT_SEARCH_ITEM")
            parts.append(
                await self._loaders.walk(provider, finder.segments_with_item, *filters.item)
            )
        if filters.customer is not None:
            rows = await self._loaders.assignments_of.load(filters.customer) or ()
            parts.append([Ref(row.ref.provider, row.ref.segment) for row in rows])
        every = set(parts[0]).intersection(*parts[1:])
        refs = [ref for ref in dict.fromkeys(parts[0]) if ref in every]
        segments = await self._loaders.segment.load_many(refs)
        return [
            segment
            for segment in segments
            if segment is not None
            and query.holds(segment)
            and filters.key in {None, segment.ref.key}
        ]

    def _segment_page(
        self, provider: Provider, query: SegmentQuery
    ) -> Callable[[PageRequest], Awaitable[Page[Segment]]]:
        async def page(
            request: PageRequest,
        ) -> "Page[Segment]":  # quoted: else evaluated each time
            adapter = provider.require(ListsSegments, "SEGMENT_LIST")
            segments = await self._loaders.fetch(provider, adapter.segments, query, request)
            self._loaders.prime_segments(segments.rows)
            return segments

        return page

    async def segments_of(
        self,
        refs: Sequence[Ref],
        paging: Paging,
        is_shown: Callable[[Segment], bool] | None = None,
        *,
        whole: bool,
    ) -> Connection[Segment]:
        """List the segments of customers, each once; a failed provider is in the sources.

        `whole` completes partial segments with further calls.
        """
        check_paging(paging)

        async def rows(ref: Ref) -> CompleteList[Segment]:
            assignments = await self._loaders.assignments_of.load(ref) or CompleteList()
            segments = [row.segment for row in assignments if row.segment is not None]
            if len(segments) < len(assignments) or (
                whole and any(each.is_partial for each in segments)
            ):
                segments = list(await self._whole(assignments))
            return assignments.with_rows(
                each for each in segments if is_shown is None or is_shown(each)
            )

        return await merge(
            self._lists_of(refs, rows),
            paging.first,
            paging.after,
            of=partial(identity, "segments of", refs, is_shown is None),
            with_total=paging.with_total,
        )

    async def primary_segment(self, ref: Ref) -> Segment | None:
        """Return the customer's segment of highest priority; None if none has a priority."""
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
        """Return the complete segments of these assignments."""
        segments = await self._loaders.segment.load_many(
            [Ref(each.ref.provider, each.ref.segment) for each in assignments]
        )
        return [segment for segment in segments if segment is not None]


def _ref(segment: Segment) -> Ref:
    return segment.ref
