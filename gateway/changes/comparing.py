"""Compare a provider's segments and members with what is known, and append the differences."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final, TypeVar

from gateway.changes.share import SharedProvider
from gateway.domain.change_log import (
    ChangeKind,
    ChangeSource,
    SegmentObservation,
    microseconds,
    version_of,
)
from gateway.domain.entities import Assignment, AssignmentState, Membership, Ref, Segment
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import Malformed, ProviderError
from gateway.loaders.request_fetches import WHOLE_LIST_PAGE_SIZE
from gateway.providers.base.adapter import (
    ListsAssignmentsOfCustomers,
    ListsMembers,
    ListsSegments,
    ReadsSegments,
)
from gateway.providers.base.exchange import ReadPlan
from gateway.store.limits import is_storable
from gateway.store.snapshots import SEGMENT_LIST, SnapshotState
from gateway.store.store import Store

READ_EVERY: Final = timedelta(days=1)
"""Members are read this often although their number has not moved: it hides who is exchanged."""
ATTEMPTS: Final = 3
"""How often a page is requested; else one failure would end a reading of thousands of pages."""
RETRY_S: Final = 1.0
"""The shortest time between two attempts."""
IDLE_PAGES: Final = 20
"""Successive pages without a new row, after which a list without an end is `Malformed`."""

T = TypeVar("T")


class SegmentComparer:
    """Compares the segments of one provider."""

    def __init__(self, store: Store, shared: SharedProvider) -> None:
        """Call the provider within its share."""
        self._store = store
        self._shared = shared
        self._key = shared.provider.key
        self._members = shared.provider.require(ListsMembers, "SEGMENT_MEMBERS")
        self._counts_customers = not shared.provider.offers(ListsAssignmentsOfCustomers)
        # Tags come and go with their customers: they have no changes of their own.
        self._has_tags = shared.provider.adapter.memberships == {Membership.TAG}

    async def compare_members(self, key: str) -> None:
        """Compare the members of a segment: all of them only if their number has moved.

        Raises `ProviderError`, `StoreFailed` and `Superseded`; then the snapshot is as before.
        """
        ref = Ref(self._key, key)
        read_since = await self._store.changes.revision()
        state = await self._store.snapshots.state(ref)
        if state is not None and state.taken_at is None:
            state = None
        try:
            count = await self._shared.read(self._members.member_count(key))
        except ProviderError as error:
            is_gone = error.status == HTTPStatus.NOT_FOUND and state is not None
            if not is_gone or await self._exists(key):
                raise
            await self._report_deleted(ref, read_since)
            return
        # Of a segment that was deleted, a provider may list no members instead of an error.
        may_be_gone = count == 0 and state is not None and state.customers and not self._has_tags
        if may_be_gone and not await self._exists(key):
            await self._report_deleted(ref, read_since)
            return
        if state is not None and state.size == count and not self._is_old(state):
            await self._store.snapshots.note_size(
                ref, count if self._counts_customers else state.customers
            )
            return
        await self._read_members(ref, count, read_since)

    def _is_old(self, state: SnapshotState) -> bool:
        return state.taken_at is None or self._store.now() - state.taken_at >= READ_EVERY

    async def _read_members(self, ref: Ref, count: int, read_since: int) -> None:
        reading = await self._store.snapshots.start(ref, read_since)
        totals: list[int | None] = []
        skipped = 0

        def page_of(request: PageRequest) -> ReadPlan[Page[Assignment]]:
            return self._members.members(ref.key, request)

        async for page in self._pages(page_of, lambda: reading.count):
            states: Mapping[bool, list[Assignment]] = {True: [], False: []}
            for row in page.rows:
                states[row.state is AssignmentState.CONFIRMED].append(row)
            await reading.add(
                (row.ref for row in states[True]), (row.ref for row in states[False])
            )
            totals.append(page.total)
            skipped += page.skipped
        await reading.finish(
            count,
            counts_customers=self._counts_customers,
            is_consistent=_is_consistent(totals, reading.count + skipped),
            is_whole=not skipped,
        )

    async def compare_segments(self) -> Sequence[str]:
        """Compare the list of segments; return their ids.

        Raises `ProviderError` and `StoreFailed`; then nothing is known of the list.
        """
        adapter = self._shared.provider.require(ListsSegments, "SEGMENT_LIST")
        read_since = await self._store.changes.revision()
        state = await self._store.snapshots.state(Ref(self._key, SEGMENT_LIST))
        segments: dict[str, Segment] = {}
        totals: list[int | None] = []
        skipped = 0

        def page_of(request: PageRequest) -> ReadPlan[Page[Segment]]:
            return adapter.segments(EVERY_SEGMENT, request)

        async for page in self._pages(page_of, lambda: len(segments)):
            segments.update((each.ref.key, each) for each in page.rows)
            totals.append(page.total)
            skipped += page.skipped
        keys = [key for key in segments if is_storable((self._key, key))]
        versions = {} if self._has_tags else {key: _version(segments[key]) for key in keys}
        known = await self._store.snapshots.compare_segments(self._key, versions)
        missing = [] if skipped else [key for key in known.missing if key not in segments]
        deleted = [
            SegmentObservation(
                ref=Ref(self._key, key), kind=ChangeKind.DELETED, source=ChangeSource.DIFF
            )
            for key in await self._gone(missing)
        ]
        observations = [*known.observations, *deleted]
        if state is None:
            if not _is_consistent(totals, len(segments) + skipped):
                return keys  # a segment that was passed over would be created next time
            observations = [_stock(each) for each in observations]
        await self._store.snapshots.settle_segments(self._key, observations, read_since)
        for each in deleted:
            await self._store.snapshots.delete_rows(each.ref)
        return keys

    async def _report_deleted(self, ref: Ref, read_since: int) -> None:
        deleted = SegmentObservation(ref=ref, kind=ChangeKind.DELETED, source=ChangeSource.DIFF)
        await self._store.snapshots.report_deleted(deleted, read_since)

    async def _exists(self, key: str) -> bool:
        return not await self._gone([key])

    async def _gone(self, keys: Sequence[str]) -> Sequence[str]:
        """Return those of the segments that the provider does not have any more."""
        if not keys or not self._shared.provider.offers(ReadsSegments):
            return ()
        adapter = self._shared.provider.require(ReadsSegments, "SEGMENT_GET")
        there: set[str] = set()
        for batch in adapter.segments_by_key(keys):
            there.update(await self._shared.read(batch.exchange))
        return [key for key in keys if key not in there]

    async def _pages(
        self, plan: Callable[[PageRequest], ReadPlan[Page[T]]], count: Callable[[], int]
    ) -> AsyncIterator[Page[T]]:
        """Yield all pages of a list; `count` returns the number of different rows so far."""
        position: str | None = None
        idle = 0
        while True:
            exchange = plan(PageRequest(WHOLE_LIST_PAGE_SIZE, position, with_total=True))
            before = count()
            page = await self._page(exchange)
            yield page
            if page.is_last:
                return
            idle = idle + 1 if count() == before else 0
            if page.next_position in {None, position} or idle > IDLE_PAGES:
                detail = "the list does not end"
                raise Malformed(self._key, exchange.operation, detail=detail)
            position = page.next_position

    async def _page(self, plan: ReadPlan[Page[T]]) -> Page[T]:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._shared.read(plan)
            except ProviderError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(max(error.retry_after_s or 0, RETRY_S))
        return await self._shared.read(plan)


def _is_consistent(totals: Sequence[int | None], count: int) -> bool:
    """Return whether a list did not change while it was read, by the totals of its pages."""
    return totals[0] == count and not {*totals} - {count, None}


def _version(segment: Segment) -> int | None:
    """Return its version; a segment that was never changed has that of its creation."""
    version = version_of(segment)
    if version is None and segment.created_at is not None:
        return microseconds(segment.created_at)
    return version


def _stock(seen: SegmentObservation) -> SegmentObservation:
    return SegmentObservation(
        ref=seen.ref, kind=seen.kind, source=seen.source, version=seen.version, is_stock=True
    )
