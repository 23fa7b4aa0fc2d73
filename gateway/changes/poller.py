"""Compare what `[[watch]]` names, in one of the processes that share a store."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from gateway.changes.comparing import SegmentComparer
from gateway.changes.share import SharedProvider
from gateway.errors import GatewayError, ProviderError
from gateway.providers.base.watch_settings import EVERY_SEGMENT, WatchSettings
from gateway.store.errors import StoreFailed
from gateway.store.snapshot_reading import Superseded
from gateway.store.snapshots import SEGMENT_LIST
from gateway.store.store import Store
from gateway.upstream.provider import Provider

LEAD_S: Final = 1.0
"""How often a process looks whether it leads."""
PAUSE_S: Final = 1.0
"""The least time until the next call to a provider that failed."""
LONGEST_PAUSE_S: Final = 60.0
STORE: Final = "*"
"""What fails if the store does, instead of one segment."""

log = structlog.get_logger(__name__)


class Intervals(NamedTuple):
    """How often the segments of one provider are compared, in seconds."""

    segments: Mapping[str, float]
    """Those that are named."""
    others: float | None
    """All others, and the list of segments; None: they are not watched."""

    def of(self, segment: str) -> float:
        """Return the interval of a watched segment: the shortest that holds for it."""
        each = (self.segments.get(segment), self.others)
        return min(interval for interval in each if interval is not None)


def intervals(watch: Sequence[WatchSettings]) -> Mapping[str, Intervals]:
    """Return the intervals of each watched provider, by key."""
    named: dict[str, dict[str, float]] = {}
    others: dict[str, float] = {}
    for each in watch:
        segments = named.setdefault(each.provider, {})
        for segment in each.segments:
            if segment == EVERY_SEGMENT:
                shortest = others.get(each.provider, each.every_s)
                others[each.provider] = min(shortest, each.every_s)
            else:
                segments[segment] = min(segments.get(segment, each.every_s), each.every_s)
    return {key: Intervals(segments, others.get(key)) for key, segments in named.items()}


class Poller:
    """Compares while this process leads."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], watch: Sequence[WatchSettings]
    ) -> None:
        """Watch these providers, by key; disabled ones are not among them."""
        self._store = store
        self._intervals = intervals([each for each in watch if each.provider in providers])
        self._watched = [
            WatchedProvider(store, providers[key], each) for key, each in self._intervals.items()
        ]
        self._task: asyncio.Task[None] | None = None
        self._fails = False

    def start(self) -> None:
        """Begin in the background, if anything is watched."""
        if self._watched:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop comparing; the snapshots stay as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            if await self._leads():
                comparing = asyncio.create_task(self._compare())
                try:
                    while not comparing.done() and await self._leads():
                        await asyncio.wait((comparing,), timeout=LEAD_S)
                finally:
                    comparing.cancel()
                    await asyncio.gather(comparing, return_exceptions=True)
            await asyncio.sleep(LEAD_S)

    async def _leads(self) -> bool:
        try:
            return await self._store.leadership.hold()
        except StoreFailed as error:
            self._note_failure(error)
            return False

    async def _compare(self) -> None:
        """Compare until cancelled."""
        try:
            await self._store.snapshots.keep_only(
                {
                    key: None if each.others is not None else [*each.segments]
                    for key, each in self._intervals.items()
                }
            )
            self._fails = False
            async with asyncio.TaskGroup() as group:
                for each in self._watched:
                    group.create_task(each.run())
        except* StoreFailed as errors:
            self._note_failure(errors.exceptions[0])
        except* Exception:  # a bug, which must not end comparing for good
            log.exception("segments cannot be compared")

    def _note_failure(self, error: BaseException) -> None:
        """Log the first failure of the store in a row."""
        if not self._fails:
            log.warning("segments cannot be compared", cause=getattr(error, "cause", None))
        self._fails = True


class WatchedProvider:
    """Compares the segments of one provider, one after the other, whichever is due first."""

    def __init__(self, store: Store, provider: Provider, each: Intervals) -> None:
        """Compare at these intervals."""
        self._store = store
        self._key = provider.key
        self._intervals = each
        self._comparer = SegmentComparer(store, SharedProvider(provider, store.shared_calls))
        self._due: dict[str, float] = {}
        """When each segment is due, on the loop's clock."""
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Go on where the last process stopped, until cancelled."""
        now, wall = asyncio.get_running_loop().time(), self._store.now()
        states = await self._store.snapshots.states(self._key)
        checked = {segment: state.checked_at for segment, state in states.items()}
        self._due = {
            segment: now + self._left_s(segment, checked.get(segment), wall)
            for segment in self._intervals.segments
        }
        if self._intervals.others is not None:
            self._due[SEGMENT_LIST] = now  # it says which segments there are
        while True:
            segment = min(self._due, key=self._due.__getitem__)
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._due[segment] - loop.time())
            started = loop.time()
            if segment == SEGMENT_LIST:
                interval = self._intervals.others or 0
                pause_s = await self._attempt(segment, self._list(checked, wall, started))
            else:
                interval = self._intervals.of(segment)
                comparison = self._comparer.compare_members(segment)
                pause_s = await self._attempt(segment, comparison)
            self._due[segment] = started + interval
            await asyncio.sleep(pause_s)

    def _left_s(self, segment: str, checked_at: datetime | None, wall: datetime) -> float:
        if checked_at is None:
            return 0
        passed_s = (wall - checked_at).total_seconds()
        interval = self._intervals.of(segment)
        return min(max(interval - passed_s, 0), interval)

    async def _list(
        self, checked: Mapping[str, datetime | None], wall: datetime, now: float
    ) -> None:
        listed = await self._comparer.compare_segments()
        watched = {SEGMENT_LIST, *listed, *self._intervals.segments}
        due = {
            segment: self._due.get(
                segment, now + self._left_s(segment, checked.get(segment), wall)
            )
            for segment in watched
        }
        self._due = due

    async def _attempt(self, segment: str, comparison: Awaitable[None]) -> float:
        """Compare; return for how many seconds to leave the provider or the store alone."""
        try:
            await comparison
        except StoreFailed as error:
            self._note_failure(STORE, error.cause)
            return PAUSE_S
        except ProviderError as error:
            self._note_failure(segment, str(error))
            if not error.retryable:
                return 0
            return min(max(error.retry_after_s or 0, PAUSE_S), LONGEST_PAUSE_S)
        except GatewayError as error:
            self._note_failure(segment, str(error))
        except Superseded:
            log.info("a comparison was given up", provider=self._key, segment=segment)
        except Exception:  # a bug of one segment; the others are compared
            log.exception("a comparison failed", provider=self._key, segment=segment)
        else:
            self._failing -= {segment, STORE}
        return 0

    def _note_failure(self, what: str, cause: str | None) -> None:
        """Log the first failure in a row, of a segment or of the store."""
        if what not in self._failing:
            self._failing.add(what)
            log.warning("a comparison failed", provider=self._key, segment=what, cause=cause)
