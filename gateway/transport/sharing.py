"""Equal reads of one provider account: one call while it is under way, and a short memory of it.

What is kept is the answer as it came, not what was read of it: two exchanges with equal calls may
read different parts. One account has one of these, so nothing crosses credentials.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from gateway.wire import Call, Reply

T = TypeVar("T")

MOST_BYTES = 32 * 1024 * 1024
"""Bodies kept of one provider."""

MOST_REPLIES = 2000
"""Answers kept of one provider."""


def identity(call: Call) -> Hashable:
    """Return what two calls have in common that get the same answer."""
    return (call.method, call.path, call.query, call.body, *call.headers.items())


class Kept(NamedTuple):
    """An answer that went well, and when it was read on both clocks."""

    reply: Reply
    at: float
    fetched_at: datetime


class Memory:
    """The newest answers of a provider; times are seconds on the loop's clock."""

    def __init__(self, ttl_s: float, stale_s: float) -> None:
        """Keep answers fresh for `ttl_s` (0: keep none), and `stale_s` longer against failures."""
        self.ttl_s = ttl_s
        self._stale_s = stale_s
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._bytes = 0

    def fresh(self, key: Hashable, now: float) -> Kept | None:
        """Return an answer that is still good."""
        kept = self._kept.get(key)
        return kept if kept is not None and now - kept.at < self.ttl_s else None

    def stale(self, key: Hashable, now: float) -> Kept | None:
        """Return an answer that is better than none."""
        kept = self._kept.get(key)
        return kept if kept is not None and now - kept.at < self.ttl_s + self._stale_s else None

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Remember an answer, and forget the oldest that do not fit beside it."""
        if not self.ttl_s:
            return
        self._drop(key)
        self._kept[key] = kept
        self._bytes += len(kept.reply.body)
        while len(self._kept) > MOST_REPLIES or self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def forget(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.reply.body)


class _Flight(Generic[T]):
    """A call under way, and how many wait for it."""

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task
        self.waiting = 0


class Flights:
    """The reads under way at one provider."""

    def __init__(self) -> None:
        """Start with none."""
        self._flights: dict[Hashable, _Flight[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Count the calls that somebody new could join."""
        return len(self._flights)

    async def join(
        self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]], *, to_end: bool = False
    ) -> T:
        """Wait for the call of this key; start it when there is none.

        Whoever gives up leaves the others waiting; when all did, the call is ended, unless one
        wanted it to go on `to_end`.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(start()))
            self._tasks.add(flight.task)
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        flight.waiting += 1
        try:
            found: T = await asyncio.shield(flight.task)
        finally:
            flight.waiting -= not to_end
            if not flight.waiting and not flight.task.done():
                self._land(key, flight)
                flight.task.cancel()
        return found

    def part(self) -> None:
        """Let nobody new join those under way: what they read has been changed."""
        self._flights.clear()

    async def close(self) -> None:
        """End them all."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _land(self, key: Hashable, flight: _Flight[Any]) -> None:
        if flight.task.done():
            self._tasks.discard(flight.task)
            # Nobody may be waiting any more: its failure must not go unread.
            flight.task.cancelled() or flight.task.exception()
        if self._flights.get(key) is flight:
            del self._flights[key]
