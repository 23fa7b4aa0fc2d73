"""Follow the change log: one reader per process, which drops caches before it tells subscribers.

It reads after this process appends, when PostgreSQL notifies, and at least once a second.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from gateway.changes.subscriber_index import SubscriberIndex, Waiter
from gateway.domain.change_log import Cursor, Entry, provider_of
from gateway.errors import CursorExpired
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.store import Store
from gateway.upstream.provider import Provider

POLL_S: Final = 1.0
"""The interval of polling: the delay after a lost notification."""
NOTIFY_S: Final = 0.02
"""The shortest interval between two notifications by this process."""
TAIL: Final = 10_000
"""Entries in memory, shared by all subscribers of this process."""
BATCH: Final = 1000
"""Entries of one read."""
CATCHING_UP: Final = 4
"""Subscribers that read the log at once: the store's connections are for everybody."""

log = structlog.get_logger(__name__)

Listener = Callable[[Sequence[Entry]], None]


class ChangeFeed:
    """The part of the log that this process has read.

    Subscribers have no queues. Each has a cursor: it reads the entries after it with `since` (if
    that returns None, with `Store.changes.entries`), and waits with `wait` for one that concerns
    it. The caches of an entry's provider are dropped before it is visible.
    """

    def __init__(self, store: Store, providers: Mapping[str, Provider]) -> None:
        """Follow this store's log, and drop the caches of these providers, by key."""
        self._store = store
        self._providers = providers
        self._position: Cursor | None = None
        self._tail: deque[Entry] = deque(maxlen=TAIL)
        self._listeners: dict[Listener, None] = {}
        self._subscribers = SubscriberIndex()
        self._wake = asyncio.Event()
        self._appended = asyncio.Event()
        self._newest = 0
        self._reading = asyncio.Lock()
        self.catching_up = asyncio.Semaphore(CATCHING_UP)
        """Held by a subscriber while it reads what is not in memory."""
        self._fails = False
        self._tasks: Sequence[asyncio.Task[None]] = ()

    async def start(self) -> None:
        """Begin at the end of the log: this process has cached nothing. Raises `StoreFailed`."""
        position = self._position = await self._store.changes.position()
        self._store.changes.appended = self._note_appended
        notifications = self._store.notifications
        self._tasks = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._notify(position.epoch)),
            asyncio.create_task(notifications.listen(position.epoch, self._wake.set)),
        ]

    async def close(self) -> None:
        """Stop following."""
        self._store.changes.appended = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def position(self) -> Cursor:
        """The newest entry whose caches this process has dropped. Raises `StoreFailed`."""
        if self._position is None:
            raise StoreFailed(StoreState.DOWN, "the change log was not opened")
        return self._position

    def since(self, after: Cursor) -> Sequence[Entry] | None:
        """Return the entries after a cursor, oldest first, from memory.

        None if the cursor is older than the entries in memory: read `Store.changes.entries`, which
        raises `CursorExpired` for an unusable cursor. Deliver nothing beyond `position`.
        """
        if after == self._position:
            return ()
        count = self.position.position - after.position
        if after.epoch != self.position.epoch or not 0 < count < len(self._tail):
            return None
        *newest, before = itertools.islice(reversed(self._tail), count + 1)
        return newest[::-1] if before.cursor == after else None

    async def wait(self, waiter: Waiter, until: float) -> None:
        """Wait, from `position` on, for changes that concern a waiter; see there for the result.

        Ends when the loop's clock reaches `until`, too. While it waits, and after a wait without
        changes, the waiter stands at `position`.
        """
        timer = asyncio.get_running_loop().call_at(until, waiter.wake)
        self._subscribers.add(waiter)
        try:
            await waiter.woken
        finally:
            timer.cancel()
            self._subscribers.remove(waiter)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with all new entries, in order, before any waiter is woken.

        It must not block or raise. Returns a function that removes it. If the log is replaced
        (a restored database), it is not called: cursors expire.
        """
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)

    async def reach(self, cursor: Cursor) -> None:
        """Drop the caches for all entries up to a cursor that was read. Raises `StoreFailed`."""
        if not self._has(cursor):
            await self._advance(cursor)

    def _has(self, cursor: Cursor) -> bool:
        """Return whether this process has read up to a cursor."""
        position = self.position
        return position.epoch == cursor.epoch and position.position >= cursor.position

    def _note_appended(self, position: int) -> None:
        """Record that this process appended an entry, and notify the others."""
        self._newest = position
        self._wake.set()
        self._appended.set()

    async def _notify(self, epoch: bytes) -> None:
        while True:
            await self._appended.wait()
            self._appended.clear()
            await self._store.notifications.notify(epoch, self._newest)
            await asyncio.sleep(NOTIFY_S)

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._advance()
            except StoreFailed as error:
                if not self._fails:
                    log.warning("the change log cannot be read", cause=error.cause)
                self._fails = True
                await asyncio.sleep(POLL_S)
            except Exception:  # a bug; this process must not stop following
                log.exception("the change log cannot be followed")
                await asyncio.sleep(POLL_S)
            else:
                self._fails = False

    async def _advance(self, cursor: Cursor | None = None) -> None:
        """Read to the log's end, unless others have read up to `cursor` meanwhile."""
        async with self._reading:
            has_more = cursor is None or not self._has(cursor)
            while has_more:
                try:
                    page = await self._store.changes.entries(self.position, BATCH)
                except CursorExpired:
                    await self._restart()
                    return
                has_more = page.has_more
                if page.entries:
                    self._take(page.entries)

    def _take(self, entries: Sequence[Entry]) -> None:
        for key in dict.fromkeys(map(provider_of, entries)):
            if (provider := self._providers.get(key)) is not None:
                provider.invalidate()
        before, self._position = self.position, entries[-1].cursor
        self._tail.extend(entries)
        for listener in [*self._listeners]:
            listener(entries)
        self._subscribers.deliver(entries, before)

    async def _restart(self) -> None:
        """Begin again: the database was restored, or unread entries were deleted."""
        position = await self._store.changes.position()
        for provider in self._providers.values():
            provider.invalidate()
        self._tail.clear()
        before, self._position = self.position, position
        self._subscribers.restart(before)
        log.warning(
            "the change log does not continue from the last entry read; starting at its end"
        )
