"""Locks by key: one at a time changes an object that has to be read first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class KeyedLocks:
    """The locks of one process; each exists while somebody holds it or waits for it."""

    def __init__(self) -> None:
        """Start without locks."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.releases = 0
        """Counts up whenever a lock is released: what was read before may have changed."""

    @asynccontextmanager
    async def hold(self, key: str, deadline: float) -> AsyncIterator[None]:
        """Hold the lock with this key. Raises `TimeoutError` if it is not free by `deadline`.

        The deadline is on the event loop's clock. Who waits longest is next.
        """
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with asyncio.timeout_at(deadline):
            await lock.acquire()
        try:
            yield
        finally:
            self.releases += 1
            lock.release()
