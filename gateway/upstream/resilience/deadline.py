"""Deadlines of upstream calls: of the code that one task runs, and of calls without a task."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol


class Deadline:
    """Raises `TimeoutError` in its body; `asyncio.timeout_at` costs three times as much."""

    __slots__ = ("_cancelling", "_has_expired", "_loop", "_task", "_timer", "_until")

    def __init__(self, until: float, loop: asyncio.AbstractEventLoop) -> None:
        """Set the deadline, on the clock of the running event loop."""
        self._until = until
        self._loop = loop
        self._has_expired = False

    def __enter__(self) -> None:
        """Start the timer."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task, self._cancelling = task, task.cancelling()
        self._timer = self._loop.call_at(self._until, self._expire)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        """Stop the timer; raise `TimeoutError` only for the cancellation that it caused."""
        self._timer.cancel()
        if not self._has_expired:
            return
        # If the task was also cancelled from elsewhere, that cancellation stands.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._has_expired = True
        self._task.cancel()


class Expiring(Protocol):
    """Something that ends at its deadline at the latest."""

    @property
    def deadline(self) -> float:
        """When it ends, on the event loop's clock."""

    def expire(self) -> None:
        """End it: its deadline is now."""


class Deadlines:
    """The deadlines of many calls that may all take equally long; one timer for all of them."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, early_s: float, calls: Callable[[], list[Expiring]]
    ) -> None:
        """Use the timers of this loop, which may be early; `calls` returns those not ended."""
        self._loop, self._early_s, self._calls = loop, early_s, calls
        self._timer: asyncio.TimerHandle | None = None

    def add(self, deadline: float) -> None:
        """Expire a call at its deadline, which is not before that of the last one."""
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time() + self._early_s
        for call in self._calls():
            if call.deadline <= now:
                call.expire()
        later = [call.deadline for call in self._calls() if call.deadline > now]
        if later:
            self.add(min(later))
