"""Bounds the calls to one provider: so many at once, a short queue, then refusal.

Operations that wait take turns, whatever each of them asks for: one with hundreds of calls cannot
make the next operation wait for all of them, nor keep the queue to itself.
"""

import asyncio
from collections import deque
from collections.abc import Hashable

WEIGHT = 0.1
"""Of the newest call in the running mean of how long a call takes."""


class Bulkhead:
    """So many places, and a queue that refuses once it is too long to be served in time."""

    def __init__(self, places: int, longest_queue: int) -> None:
        """Allow so many calls at once, and so many more to wait."""
        self._count = places
        self._longest_queue = longest_queue
        self._takes_s = 0.0
        self._queues: dict[Hashable, deque[asyncio.Future[bool]]] = {}
        """Calls that wait, by operation, in the order in which the operations have their turns."""
        self.in_use = 0
        self.waiting = 0

    def is_full(self, operation: Hashable, left_s: float) -> bool:
        """Tell whether a call of this operation cannot be made, and end, in the time left."""
        if self.in_use < self._count:
            return False
        own = len(self._queues.get(operation, ()))
        if self.waiting >= self._longest_queue and self._longest <= own + 1:
            return True
        before = sum(min(len(queue), own + 1) for queue in self._queues.values())
        rounds = before // self._count + 1  # of those before it, and then its own
        return (rounds + 1) * self._takes_s > left_s

    def take(self) -> bool:
        """Take a place if one is free; `leave` gives it back."""
        if self.in_use < self._count:
            self.in_use += 1
            return True
        return False

    async def enter(self, operation: Hashable) -> bool:
        """Wait for a place, each operation in its turn; `leave` gives it back.

        False: given up for another operation's call, the queue being full.
        """
        if self.take():
            return True
        if self.waiting >= self._longest_queue:
            self._make_room()
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(operation, deque())
        queue.append(turn)
        self.waiting += 1
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(operation, turn)
            elif turn.result():
                self._hand_on()
            raise

    def leave(self, took_s: float) -> None:
        """Give a place back that was held for so long."""
        self._takes_s += WEIGHT * (took_s - self._takes_s)
        self._hand_on()

    @property
    def _longest(self) -> int:
        return max(map(len, self._queues.values()), default=0)

    def _hand_on(self) -> None:
        """Give a place to the operation whose turn it is; it has its next after all others."""
        while self._queues:
            operation = next(iter(self._queues))
            queue = self._queues.pop(operation)
            turn = queue.popleft()
            if queue:
                self._queues[operation] = queue
            self.waiting -= 1
            if not turn.done():
                turn.set_result(True)
                return
        self.in_use -= 1

    def _make_room(self) -> None:
        """Give up the newest call of the operation that has most of them waiting."""
        operation = max(self._queues, key=lambda each: len(self._queues[each]))
        turn = self._queues[operation][-1]
        self._forget(operation, turn)
        if not turn.done():
            turn.set_result(False)

    def _forget(self, operation: Hashable, turn: "asyncio.Future[bool]") -> None:
        queue = self._queues.get(operation)
        if queue is not None and turn in queue:
            queue.remove(turn)
            self.waiting -= 1
            if not queue:
                del self._queues[operation]
