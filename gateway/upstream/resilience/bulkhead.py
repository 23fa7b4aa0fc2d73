"""Limit the concurrent calls to one provider, with a short queue; refuse calls beyond it.

Waiting operations take turns (round-robin): one with hundreds of calls can neither make the next
operation wait for all of them nor fill the queue alone.
"""

import asyncio
from collections import deque
from collections.abc import Hashable

WEIGHT = 0.1
"""The weight of the newest call in the moving average of call durations."""


class Bulkhead:
    """A concurrency limit, and a queue that refuses calls it cannot serve in time."""

    def __init__(self, max_concurrency: int, max_queue: int) -> None:
        """Allow `max_concurrency` calls at a time, and `max_queue` more to wait."""
        self._max_concurrency = max_concurrency
        self._max_queue = max_queue
        self._average_s = 0.0
        self._queues: dict[Hashable, deque[asyncio.Future[bool]]] = {}
        """Waiting calls by operation, in the order of the operations' turns."""
        self.in_use = 0
        self.waiting = 0

    def is_full(self, operation: Hashable, left_s: float) -> bool:
        """Return whether a call of this operation cannot start and end within `left_s`."""
        if self.in_use < self._max_concurrency:
            return False
        own = len(self._queues.get(operation, ()))
        if self.waiting >= self._max_queue and self._longest <= own + 1:
            return True
        if (self.waiting // self._max_concurrency + 2) * self._average_s <= left_s:
            return False  # even if all that wait were before it
        before = sum(min(len(queue), own + 1) for queue in self._queues.values())
        rounds = before // self._max_concurrency + 1  # those before it, then its own
        return (rounds + 1) * self._average_s > left_s

    def try_enter(self) -> bool:
        """Start a call if the limit allows it; `leave` ends it."""
        if self.in_use < self._max_concurrency:
            self.in_use += 1
            return True
        return False

    async def enter(self, operation: Hashable) -> bool:
        """Start a call, in the operation's turn if it has to wait; `leave` ends it.

        False: the queue is full, and another operation's call took this one's position.
        """
        if self.try_enter():
            return True
        turn = self.queue(operation)
        try:
            return await turn
        except asyncio.CancelledError:
            self.leave_queue(operation, turn)
            raise

    def queue(self, operation: Hashable) -> "asyncio.Future[bool]":
        """Queue a call; the result is that of `enter`. Do not cancel it: call `leave_queue`."""
        if self.waiting >= self._max_queue:
            self._evict()
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(operation, deque())
        queue.append(turn)
        self.waiting += 1
        return turn

    def leave_queue(self, operation: Hashable, turn: "asyncio.Future[bool]") -> None:
        """Give up a queued call, or the turn that it was just given."""
        if turn.cancelled() or not turn.done():
            turn.cancel()
            self._remove(operation, turn)
        elif turn.result():
            self._start_next()

    def leave(self, took_s: float) -> None:
        """End a call that took `took_s`."""
        self._average_s += WEIGHT * (took_s - self._average_s)
        if self._queues:
            self._start_next()
        else:
            self.in_use -= 1

    @property
    def _longest(self) -> int:
        return max(map(len, self._queues.values()), default=0)

    def _start_next(self) -> None:
        """Start a call of the operation whose turn it is, and put that operation last."""
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

    def _evict(self) -> None:
        """Refuse the newest call of the operation with the most waiting calls."""
        operation = max(self._queues, key=lambda each: len(self._queues[each]))
        turn = self._queues[operation][-1]
        self._remove(operation, turn)
        if not turn.done():
            turn.set_result(False)

    def _remove(self, operation: Hashable, turn: "asyncio.Future[bool]") -> None:
        queue = self._queues.get(operation)
        if queue is not None and turn in queue:
            queue.remove(turn)
            self.waiting -= 1
            if not queue:
                del self._queues[operation]
