"""Turns of this process's writes to one customer: first come, first served.

The database alone would let whoever looks at the right moment go next. Between processes it does.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager


class Turn:
    """One write's places in the queues of its customers."""

    def __init__(self, queues: "Turns", keys: Iterable[Hashable]) -> None:
        """Use `Turns.queued`."""
        self._queues = queues
        self.keys = dict.fromkeys(keys)
        self.event = asyncio.Event()

    def is_first(self, key: Hashable) -> bool:
        """Tell whether it is this one's turn with a customer."""
        return self._queues.first(key) is self

    def leave(self, keys: Iterable[Hashable]) -> None:
        """Let the next ones have their turns."""
        for key in keys:
            if key in self.keys:
                del self.keys[key]
                self._queues.leave(key, self)

    async def changed(self, longest_s: float) -> bool:
        """Wait until it may be this one's turn; False: not before so long had passed."""
        try:
            async with asyncio.timeout(longest_s):
                await self.event.wait()
        except TimeoutError:
            return False
        self.event.clear()
        return True


class Turns:
    """The queues of all customers that somebody waits for."""

    def __init__(self) -> None:
        """Start with none."""
        self._queues: dict[Hashable, deque[Turn]] = {}

    @contextmanager
    def queued(self, keys: Sequence[Hashable]) -> Iterator[Turn]:
        """Stand in the queues of these customers, each as long as `Turn.leave` is not called."""
        turn = Turn(self, keys)
        for key in turn.keys:
            self._queues.setdefault(key, deque()).append(turn)
        try:
            yield turn
        finally:
            turn.leave(list(turn.keys))

    def first(self, key: Hashable) -> Turn | None:
        """Return whose turn it is."""
        queue = self._queues.get(key)
        return queue[0] if queue else None

    def leave(self, key: Hashable, turn: Turn) -> None:
        """Take one out of a queue, and wake the next where it was the first."""
        queue = self._queues[key]
        was_first = queue[0] is turn
        queue.remove(turn)
        if not queue:
            del self._queues[key]
        elif was_first:
            queue[0].event.set()
