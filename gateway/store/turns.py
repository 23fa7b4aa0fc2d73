"""Queue this process's writes to one customer: first come, first served.

Between processes the database decides, and the one that polls at the right moment is next.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager


class Turn:
    """One write in the queues of its customers."""

    def __init__(self, queues: "Turns", keys: Iterable[Hashable]) -> None:
        """Use `Turns.queued` instead."""
        self._queues = queues
        self.keys = dict.fromkeys(keys)
        self.event = asyncio.Event()

    def is_first(self, key: Hashable) -> bool:
        """Return whether this write is next for a customer."""
        return self._queues.first(key) is self

    def leave(self, keys: Iterable[Hashable]) -> None:
        """Leave the queues of these customers."""
        for key in keys:
            if key in self.keys:
                del self.keys[key]
                self._queues.leave(key, self)

    async def changed(self, longest_s: float) -> bool:
        """Wait until this write may be next; return False after `longest_s` seconds."""
        try:
            async with asyncio.timeout(longest_s):
                await self.event.wait()
        except TimeoutError:
            return False
        self.event.clear()
        return True


class Turns:
    """The queues of all customers with waiting writes."""

    def __init__(self) -> None:
        """Start without queues."""
        self._queues: dict[Hashable, deque[Turn]] = {}

    @contextmanager
    def queued(self, keys: Sequence[Hashable]) -> Iterator[Turn]:
        """Wait in the queues of these customers until the block ends or `Turn.leave` is called."""
        turn = Turn(self, keys)
        for key in turn.keys:
            self._queues.setdefault(key, deque()).append(turn)
        try:
            yield turn
        finally:
            turn.leave(list(turn.keys))

    def first(self, key: Hashable) -> Turn | None:
        """Return the write that is next for a customer."""
        queue = self._queues.get(key)
        return queue[0] if queue else None

    def leave(self, key: Hashable, turn: Turn) -> None:
        """Remove a write from a queue; if it was the first, wake the next."""
        queue = self._queues[key]
        was_first = queue[0] is turn
        queue.remove(turn)
        if not queue:
            del self._queues[key]
        elif was_first:
            queue[0].event.set()
