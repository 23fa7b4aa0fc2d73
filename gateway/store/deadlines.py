"""Run database work with a deadline that holds whatever the driver does.

psycopg delays a cancellation until the server answers, and a thread inside SQLite cannot be
cancelled at all. So each piece of work is a task of its own, and its caller waits for a future:
at the deadline the future fails, and the task ends later, without a commit.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, Final, Generic, TypeVar

from gateway.store.errors import StoreFailed, StoreState

T = TypeVar("T")

PATIENCE_S: Final = 1.0
"""Seconds that a server has to end a cancelled statement before its connection is closed.

A second cancellation makes psycopg close the connection (`AsyncConnection.wait`, 3.3.9).
"""


class Work(Generic[T]):
    """A coroutine in a task of its own, with a deadline on the loop's clock."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        deadline: float,
        ended: "Callable[[Work[T]], None]",
    ) -> None:
        """Start the task; call `ended` when it is done, which may be after the deadline."""
        self._loop = asyncio.get_running_loop()
        self.deadline = deadline
        self.is_over = False
        """The caller no longer waits: nothing may be committed."""
        self.may_be_cancelled = True
        """False during a commit, and while SQLite's thread runs, which cannot be stopped."""
        self.result: asyncio.Future[T] = self._loop.create_future()
        self._ended = ended
        context = copy_context()
        context.run(_CURRENT.set, self)
        self.task = self._loop.create_task(coroutine, context=context)
        self.task.add_done_callback(self._done)
        self._timer: asyncio.TimerHandle = self._loop.call_at(deadline, self.give_up)

    @property
    def is_late(self) -> bool:
        """Whether it succeeded after its caller got an error."""
        is_done = self.task.done() and not self.task.cancelled()
        return self.is_over and is_done and self.task.exception() is None

    @property
    def left_s(self) -> float:
        """The seconds until the deadline."""
        return self.deadline - self._loop.time()

    def check(self) -> None:
        """Raise `StoreFailed` after the deadline; call this before the start and a commit."""
        if self.is_over:
            raise _late()

    def give_up(self) -> None:
        """Fail the caller's future, and cancel the task as far as its driver allows."""
        self.is_over = True
        self._timer.cancel()
        if not self.result.done():
            self.result.set_exception(_late())
            self.result.exception()  # the caller may be gone
        if self.may_be_cancelled and not self.task.done():
            self.task.cancel()
            self._timer = self._loop.call_later(PATIENCE_S, self.task.cancel)

    def _done(self, task: asyncio.Task[T]) -> None:
        self._timer.cancel()
        self._ended(self)
        if task.cancelled():
            self.result.cancel()
            return
        error = task.exception()
        if self.result.done():
            return
        if error is None:
            self.result.set_result(task.result())
        else:
            self.result.set_exception(error)
            self.result.exception()  # as above


_CURRENT: ContextVar[Work[Any] | None] = ContextVar("store_work", default=None)


def current() -> Work[Any] | None:
    """Return the work that the running task is part of."""
    return _CURRENT.get()


def _late() -> StoreFailed:
    return StoreFailed(StoreState.FROZEN, "the database did not answer before the deadline")
