"""Share equal reads of one provider account: one call at a time for each.

Readers of the same exchange share the value as well: rows are frozen and must not be changed.
Another exchange reads the reply for itself, since equal calls may be read for different parts.
Each account has its own `SingleFlight`, so no result crosses credentials.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

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


class Cancellable(Protocol):
    """A task, or a call that has none."""

    def cancel(self) -> object:
        """Cancel it."""


class InFlightCall(Generic[T]):
    """A call in flight, and those waiting for it. It has a task only if it has to wait itself."""

    __slots__ = (
        "error",
        "is_abandoned",
        "is_done",
        "key",
        "maker",
        "observers",
        "runs_to_end",
        "value",
        "waiters",
    )

    value: T
    """Its result; set when it is done."""

    def __init__(self, key: Hashable) -> None:
        """Start without waiters. Calls with the same `key` are equal."""
        self.key = key
        self.maker: Cancellable | None = None
        """What makes the call; None: it has not started, or is done."""
        self.waiters: list[_Waiter] = []
        self.runs_to_end = False
        """Do not cancel it when the last waiter leaves."""
        self.is_done = False
        self.is_abandoned = False
        """Its last waiter has left, so it was cancelled."""
        self.observers: Sequence[Callable[[], object]] = ()
        """Called when it is done."""
        self.error: BaseException | None = None
        """None if it succeeded, or is not done."""


class SingleFlight:
    """The reads in flight at one provider."""

    def __init__(self) -> None:
        """Start without calls, inside the running loop."""
        self._loop = asyncio.get_running_loop()
        self._calls: dict[Hashable, InFlightCall[Any]] = {}
        """Those that can be joined."""
        self._detached: set[InFlightCall[Any]] = set()
        """Those that cannot be joined any more, and are not done."""

    def __len__(self) -> int:
        """Count the calls that can be joined."""
        return len(self._calls)

    def join(self, key: Hashable) -> InFlightCall[Any]:
        """Return the call in flight with this key, to `wait` for.

        If there is none, it is a new one without a `maker`: have it made, and call `end`.
        """
        return self._calls.setdefault(key, InFlightCall(key))  # hashes the key once

    def makers(self) -> Sequence[Cancellable]:
        """Return what makes the calls that are not done."""
        calls = (*self._calls.values(), *self._detached)
        return [call.maker for call in calls if call.maker is not None]

    def can_join(self, call: InFlightCall[Any]) -> bool:
        """Return whether new readers can still join this call."""
        return self._calls.get(call.key) is call

    def run(self, call: InFlightCall[T], coroutine: Coroutine[Any, Any, T]) -> None:
        """Make a call by a task."""
        task = call.maker = self._loop.create_task(coroutine)
        task.add_done_callback(partial(self._end_with, call))

    def end(self, call: InFlightCall[T], value: Any, error: BaseException | None = None) -> None:
        """End a call with its result or its error, and wake those who wait."""
        other = self._calls.pop(call.key, None)
        if other is not call:
            self._detached.discard(call)
            if other is not None:
                self._calls[call.key] = other
        call.is_done, call.maker = True, None
        call.value, call.error = value, error
        for ended in call.observers:
            ended()
        for waiter in call.waiters:
            waiter.left -= 1
            if not waiter.left:
                waiter.wake()

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
        future = self._loop.create_future()
        waiter = _Waiter(len(calls), future)
        scope.pending.add(future)
        for call in calls:
            call.waiters.append(waiter)
            call.runs_to_end |= to_end
        timer = None if until is None else self._loop.call_at(until, waiter.wake)
        try:
            await future
        finally:
            scope.pending.discard(future)
            if timer is not None:
                timer.cancel()
            if waiter.left:
                for call in calls:
                    if not call.is_done:
                        self._leave(call, waiter)
        if scope.is_closed:  # it was woken before the scope was closed, so it was not cancelled
            raise asyncio.CancelledError

    def detach_all(self) -> None:
        """Let no new reader join the calls in flight: what they read has been changed."""
        self._detached.update(self._calls.values())
        self._calls.clear()

    async def close(self) -> None:
        """Cancel all calls."""
        makers = self.makers()
        for maker in makers:
            maker.cancel()
        tasks = [maker for maker in makers if isinstance(maker, asyncio.Task)]
        if tasks:
            await asyncio.wait(tasks)

    def _leave(self, call: InFlightCall[Any], waiter: _Waiter) -> None:
        call.waiters.remove(waiter)
        if not (call.waiters or call.runs_to_end) and call.maker is not None:
            if self.can_join(call):
                del self._calls[call.key]
            self._detached.add(call)
            call.is_abandoned = True
            call.maker.cancel()

    def _end_with(self, call: InFlightCall[T], task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self.end(call, None, asyncio.CancelledError())
            return
        error = task.exception()
        self.end(call, None if error else task.result(), error)
