"""A deadline for what one task awaits: each call to a provider has one."""

import asyncio
from types import TracebackType


class Deadline:
    """Ends its body with a `TimeoutError`; `asyncio.timeout_at` costs three times as much."""

    __slots__ = ("_cancelling", "_is_over", "_task", "_timer", "_until")

    def __init__(self, until: float) -> None:
        """Wait until then, on the loop's clock."""
        self._until = until
        self._is_over = False

    def __enter__(self) -> None:
        """Start the timer."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task, self._cancelling = task, task.cancelling()
        self._timer = asyncio.get_running_loop().call_at(self._until, self._end)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        """Stop it; tell the cancellation that it caused from those of others."""
        self._timer.cancel()
        if not self._is_over:
            return
        # Cancelled by somebody else, too, the task is to end as they wish.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()
