"""Share equal reads of one provider account: one call at a time for each.

Readers of the same exchange share the value as well: rows are frozen and must not be changed.
Another exchange reads the reply for itself, since equal calls may be read for different parts.
Each account has its own `SingleFlight`, so no result crosses credentials.
"""

import asyncio
from collections.abc import Coroutine, Hashable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Generic, TypeVar

from gateway.request_scope import Scope

T = TypeVar("T")


class _Waiter:
    """Waits until `left` calls are done."""

    __slots__ = ("future", "left")

    def __init__(self, left: int, future: "asyncio.Future[None]") -> None:
        self.left = left
        self.future = future

    def wake(self) -> None:
        """End the wait."""
        if not self.future.done():
            self.future.set_result(None)


class InFlightCall(Generic[T]):
    """A call in flight, and those waiting for it."""

    __slots__ = ("key", "runs_to_end", "task", "waiters")

    def __init__(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        """Start without waiters. Calls with the same `key` are equal."""
        self.key = key
        self.task = task
        self.waiters: set[_Waiter] = set()
        self.runs_to_end = False
        """Do not cancel it when the last waiter leaves."""


class SingleFlight:
    """The reads in flight at one provider."""

    def __init__(self) -> None:
        """Start without calls."""
        self._calls: dict[Hashable, InFlightCall[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Count the calls that can be joined."""
        return len(self._calls)

    def find(self, key: Hashable) -> InFlightCall[Any] | None:
        """Return the call in flight with this key, to `wait` for."""
        return self._calls.get(key)

    def start(self, key: Hashable, coroutine: Coroutine[Any, Any, T]) -> InFlightCall[T]:
        """Start a call with this key, to `wait` for."""
        call = self._calls[key] = InFlightCall(
            key, asyncio.get_running_loop().create_task(coroutine)
        )
        self._tasks.add(call.task)
        call.task.add_done_callback(partial(self._finish, call))
        return call

    async def wait(
        self,
        calls: AbstractSet[InFlightCall[Any]],
        until: float | None,
        scope: Scope,
        *,
        to_end: bool = False,
    ) -> None:
        """Wait until all of these calls are done, or until this time on the event loop's clock.

        A waiter that leaves does not affect the others; a call is cancelled with its last waiter,
        unless one of them passed `to_end`. Errors of the calls are not raised. Closing the scope
        cancels its waiters.
        """
        # One future per waiter: shielding the task costs 2 µs more.
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiter = _Waiter(len(calls), future)
        scope.pending.add(future)
        for call in calls:
            call.waiters.add(waiter)
            call.runs_to_end |= to_end
        timer = None if until is None else loop.call_at(until, waiter.wake)
        try:
            await future
        finally:
            scope.pending.discard(future)
            if timer is not None:
                timer.cancel()
            for call in calls:
                if not call.task.done():
                    self._leave(call, waiter)
        if scope.is_closed:  # it was woken before the scope was closed, so it was not cancelled
            raise asyncio.CancelledError

    def detach_all(self) -> None:
        """Let no new reader join the calls in flight: what they read has been changed."""
        self._calls.clear()

    async def close(self) -> None:
        """Cancel all calls."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _leave(self, call: InFlightCall[Any], waiter: _Waiter) -> None:
        call.waiters.discard(waiter)
        if not (call.waiters or call.runs_to_end):
            self._detach(call)
            call.task.cancel()

    def _finish(self, call: InFlightCall[T], task: "asyncio.Task[T]") -> None:
        self._tasks.discard(task)
        self._detach(call)
        # Retrieve the exception: there may be no waiter left to do it.
        task.cancelled() or task.exception()
        for waiter in call.waiters:
            waiter.left -= 1
            if not waiter.left:
                waiter.wake()

    def _detach(self, call: InFlightCall[Any]) -> None:
        """Let no new reader join this call."""
        if self._calls.get(call.key) is call:
            del self._calls[call.key]
