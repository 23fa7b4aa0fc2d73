"""The event streams of subscriptions.

A stream has no queue. It remembers a position in the change log, and reads on from there when its
subscriber has taken the previous event: a slow subscriber costs no memory per event.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from gateway.changes.feed import ChangeFeed
from gateway.changes.health import HealthWatch, ProviderState
from gateway.changes.subscriber_index import Waiter
from gateway.domain.change_log import Change, ChangeFilter, Cursor, Entry, Visibility
from gateway.errors import CursorExpired
from gateway.store.change_log import ChangeLog
from gateway.store.errors import StoreFailed
from gateway.upstream.provider import Provider

AHEAD: Final = 50
"""Changes that one subscription reads ahead."""
RETRY_S: Final = 1.0
"""The delay before the log is read again after a failure of the store."""


class EventStream(Protocol):
    """The events of one subscription, in order."""

    has_ids: bool
    """Whether each event has a position to resume from."""
    visible: Visibility | None
    """The changes that the subscriber may see, if known: the rest is passed over."""

    @property
    def cursor(self) -> str:
        """The position behind the last event that was taken, or that was passed over."""

    async def next(self, until: float) -> Any:
        """Return the next event, without taking it; None: there is none yet.

        Waits until the loop's clock reaches `until`. Raises `CursorExpired`.
        """

    def take(self) -> None:
        """Move on behind the event that `next` returned."""


class ChangeStream:
    """The changes behind a cursor: first those in the log, then new ones as they happen."""

    has_ids = True

    def __init__(
        self,
        log: ChangeLog,
        feed: ChangeFeed,
        start: Cursor,
        wanted: ChangeFilter,
        visible: Visibility | None,
    ) -> None:
        """Start behind a cursor."""
        self.visible = visible
        self._log = log
        self._feed = feed
        self._position = start
        self._wanted = wanted
        self._ahead: list[Change] = []
        """A list: an empty deque takes ten times the memory."""
        self._end = start
        """The end of the scan that `_ahead` comes from."""
        self._waiter: Waiter | None = None

    @property
    def cursor(self) -> str:
        """The position behind the last event that was taken, or that was passed over."""
        waiter = self._waiter
        position = self._position if waiter is None else waiter.start or self._feed.position
        return position.text

    async def next(self, until: float) -> Change | None:
        """Return the next change that is wanted. Raises `CursorExpired`."""
        loop = asyncio.get_running_loop()
        while not self._ahead:
            try:
                await self.scan()
            except StoreFailed:
                if loop.time() >= until:
                    return None
                await asyncio.sleep(min(RETRY_S, until - loop.time()))
                continue
            if not self._ahead and self._position == self._feed.position:
                await self._wait(until)
                if not self._ahead and loop.time() >= until:
                    return None
        return self._ahead[0]

    async def _wait(self, until: float) -> None:
        """Wait at the end of the log for a change that is wanted."""
        waiter = self._waiter = Waiter(self._wanted, self.visible)
        try:
            await self._feed.wait(waiter, until)
        finally:
            self._waiter = None
            self._position = waiter.start or self._feed.position
        if waiter.end is not None:
            self._read_ahead(waiter.changes, waiter.end)

    def take(self) -> None:
        """Move on behind the first change."""
        change = self._ahead.pop(0)
        self._position = change.cursor if self._ahead else self._end

    async def scan(self) -> None:
        """Read on, from memory or from the log. Raises `CursorExpired` and `StoreFailed`."""
        entries = self._feed.since(self._position)
        if entries is None:
            try:
                async with self._feed.catching_up:
                    page = await self._log.read(self._position, self._wanted, self.visible, AHEAD)
            except CursorExpired as error:
                # Where the client can go on, after it has read its list again.
                raise CursorExpired((await self._log.position()).text) from error
            # This process drops its caches first: nested fields must not show older values.
            await self._feed.reach(page.end)
            self._read_ahead(page.changes, page.end)
        elif entries:
            wanted: list[Any] = list(islice(filter(self._shows, entries), AHEAD))
            self._read_ahead(wanted, entries[-1].cursor)

    def _read_ahead(self, changes: Sequence[Change], end: Cursor) -> None:
        """Continue with the first of these changes, all that there are up to `end`."""
        self._ahead.extend(changes[:AHEAD])
        if len(changes) >= AHEAD:
            self._end = self._ahead[-1].cursor
        elif changes:
            self._end = end
        else:
            self._position = end

    def _shows(self, entry: Entry) -> bool:
        return self._wanted.matches(entry) and (self.visible is None or self.visible.shows(entry))


class HealthStream:
    """Providers whose status or circuit changed. It starts with the next change."""

    has_ids = False
    visible: Visibility | None = None

    def __init__(self, watch: HealthWatch, feed: ChangeFeed, keys: Collection[str]) -> None:
        """Follow the providers with these keys."""
        self._watch = watch
        self._feed = feed
        self._keys = keys
        self._seen = self._states()

    @property
    def cursor(self) -> str:
        """The position of the change log: health itself has none."""
        return self._feed.position.text

    async def next(self, until: float) -> Provider | None:
        """Return a provider whose state differs from the last event about it."""
        while True:
            states = self._states()
            for key, state in states.items():
                if state != self._seen.get(key):
                    return self._watch.providers[key]
            try:
                async with asyncio.timeout_at(until):
                    await self._watch.change()
            except TimeoutError:
                return None

    def take(self) -> None:
        """Remember the state of the first provider that differs."""
        for key, state in self._states().items():
            if state != self._seen.get(key):
                self._seen[key] = state
                return

    def _states(self) -> dict[str, ProviderState]:
        states, known = self._watch.states, self._watch.providers
        return {key: states[key] for key in self._keys if key in states and key in known}


class EventSource:
    """The source of a subscription's events, as its root field returns it to graphql-core."""

    def __init__(self, stream: EventStream, view: Callable[[Any], Any]) -> None:
        """Show each event of a stream by `view`."""
        self.stream = stream
        self.view = view

    def __aiter__(self) -> AsyncIterator[Any]:
        """Refuse: graphql-core only checks that it is async iterable, and `stream` is read."""
        raise TypeError(self)
