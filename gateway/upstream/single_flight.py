"""Share equal reads of one provider account: one call at a time for each.

Readers of the same exchange share the value as well: rows are frozen and must not be changed.
Another exchange reads the reply for itself, since equal calls may be read for different parts.
Each account has its own `SingleFlight`, so no result crosses credentials.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
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
        "_error",
        "_observers",
        "_value",
        "is_abandoned",
        "is_done",
        "key",
        "maker",
        "runs_to_end",
        "waiters",
    )

    _value: T
    """Set when it is done."""

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
        self._observers: list[Callable[[], object]] | None = None
        self._error: BaseException | None = None

    @property
    def error(self) -> BaseException | None:
        """Its error; None if it succeeded, or is not done."""
        return self._error

    def observe(self, ended: Callable[[], object]) -> None:
        """Call this when it is done."""
        if self._observers is None:  # few calls have any
            self._observers = []
        self._observers.append(ended)

    def result(self) -> T:
        """Return its result, or raise its error; call it only when it is done."""
        if self._error is not None:
            raise self._error
        return self._value

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Set the result or the error, and wake those who wait."""
        self.is_done, self.maker = True, None
        self._value = value
        if error is not None:
            self._error = error
        if self._observers is not None:
            for ended in self._observers:
                ended()
        for waiter in self.waiters:
            waiter.left -= 1
            if not waiter.left:
                waiter.wake()


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

    def find(self, key: Hashable) -> InFlightCall[Any] | None:
        """Return the call in flight with this key, to `wait` for."""
        return self._calls.get(key)

    def add(self, key: Hashable) -> InFlightCall[Any]:
        """Add a call with this key, to `wait` for. Somebody else makes it, and calls `end`."""
        call = self._calls[key] = InFlightCall(key)
        return call

    def run(self, call: InFlightCall[T], coroutine: Coroutine[Any, Any, T]) -> None:
        """Make a call by a task."""
        task = call.maker = self._loop.create_task(coroutine)
        task.add_done_callback(partial(self._end_with, call))

    def end(
        self, call: InFlightCall[T], value: T | None = None, error: BaseException | None = None
    ) -> None:
        """End a call, with its result or its error."""
        other = self._calls.pop(call.key, None)
        if other is not call:
            self._detached.discard(call)
            if other is not None:
                self._calls[call.key] = other
        call.settle(value, error)

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
        calls = (*self._calls.values(), *self._detached)
        makers = [call.maker for call in calls if call.maker is not None]
        for maker in makers:
            maker.cancel()
        tasks = [maker for maker in makers if isinstance(maker, asyncio.Task)]
        if tasks:
            await asyncio.wait(tasks)

    def _leave(self, call: InFlightCall[Any], waiter: _Waiter) -> None:
        call.waiters.remove(waiter)
        if not (call.waiters or call.runs_to_end) and call.maker is not None:
            if self._calls.get(call.key) is call:
                del self._calls[call.key]
            self._detached.add(call)
            call.is_abandoned = True
            call.maker.cancel()

    def _end_with(self, call: InFlightCall[T], task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self.end(call, error=asyncio.CancelledError())
            return
        error = task.exception()
        self.end(call, None if error else task.result(), error)
