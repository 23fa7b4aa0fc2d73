"""Equal reads of one provider account: one call while it is under way, and a short memory of it.

What was read of an answer is shared, too, among those who asked by the same exchange: rows are
frozen, and nobody may change what is in them. Another exchange reads for itself, since equal calls
may be read for different parts. One account has one of these, so nothing crosses credentials.
"""

import asyncio
from collections.abc import Coroutine, Hashable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Generic, TypeVar

from gateway.request_scope import Scope

T = TypeVar("T")


class _Waiter:
    """Somebody who waits until so many calls have landed."""

    __slots__ = ("left", "turn")

    def __init__(self, left: int, turn: "asyncio.Future[None]") -> None:
        self.left = left
        self.turn = turn

    def go(self) -> None:
        """Wait no longer."""
        if not self.turn.done():
            self.turn.set_result(None)


class InFlightCall(Generic[T]):
    """A call under way, and who waits for it."""

    __slots__ = ("goes_on", "key", "parties", "task")

    def __init__(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        """Start with nobody waiting; `key` is what others find it by."""
        self.key = key
        self.task = task
        self.parties: set[_Waiter] = set()
        self.goes_on = False
        """Whether it shall land though nobody waits any more."""


class SingleFlight:
    """The reads under way at one provider."""

    def __init__(self) -> None:
        """Start with none."""
        self._flights: dict[Hashable, InFlightCall[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Count the calls that somebody new could join."""
        return len(self._flights)

    def find(self, key: Hashable) -> InFlightCall[Any] | None:
        """Return the call of this key that is under way: wait for it by `landed`."""
        return self._flights.get(key)

    def start(self, key: Hashable, call: Coroutine[Any, Any, T]) -> InFlightCall[T]:
        """Start a call that others find by this key: wait for it by `landed`."""
        flight = self._flights[key] = InFlightCall(
            key, asyncio.get_running_loop().create_task(call)
        )
        self._tasks.add(flight.task)
        flight.task.add_done_callback(partial(self._land, flight))
        return flight

    async def landed(
        self,
        flights: AbstractSet[InFlightCall[Any]],
        until: float | None,
        scope: Scope,
        *,
        to_end: bool = False,
    ) -> None:
        """Wait until these, under way now, are all done, or until then on the loop's clock.

        Whoever gives up leaves the others waiting; a call that nobody waits for is ended, unless
        one wanted it to go on `to_end`. What the calls fail with is not raised. When the scope is
        closed, whoever waits for it is cancelled.
        """
        # A future for each who waits: shielding the task costs 2 µs more.
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        party = _Waiter(len(flights), turn)
        scope.pending.add(turn)
        for flight in flights:
            flight.parties.add(party)
            flight.goes_on |= to_end
        timer = None if until is None else loop.call_at(until, party.go)
        try:
            await turn
        finally:
            scope.pending.discard(turn)
            if timer is not None:
                timer.cancel()
            for flight in flights:
                if not flight.task.done():
                    self._leave(flight, party)
        if scope.is_closed:  # when its turn had come already, so that it was not cancelled
            raise asyncio.CancelledError

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

    def _leave(self, flight: InFlightCall[Any], party: _Waiter) -> None:
        flight.parties.discard(party)
        if not (flight.parties or flight.goes_on):
            self._close(flight)
            flight.task.cancel()

    def _land(self, flight: InFlightCall[T], task: "asyncio.Task[T]") -> None:
        self._tasks.discard(task)
        self._close(flight)
        # Nobody may be waiting any more: its failure must not go unread.
        task.cancelled() or task.exception()
        for party in flight.parties:
            party.left -= 1
            if not party.left:
                party.go()

    def _close(self, flight: InFlightCall[Any]) -> None:
        """Let nobody new join this one."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
