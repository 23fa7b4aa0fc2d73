"""Store the outcome of a call even if the database fails at that moment.

What a provider has done cannot be undone, so the caller gets its result all the same. Storing the
outcome is repeated until it succeeds; meanwhile the lease keeps other processes away.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from gateway.store.database import Database
from gateway.store.errors import StoreFailed
from gateway.store.waiting import attempts

T = TypeVar("T")

ANSWERING_S: Final = 0.25
"""Seconds of a request's time that are reserved for its response if the database hangs."""
LEAST_S: Final = 0.1
"""The least number of seconds to wait for the first attempt."""
MAX_PAUSE_S: Final = 1.0
"""The longest pause between two attempts: a stopping server makes at least one more."""
CLOSING_S: Final = 2.0
"""Seconds that a stopping server waits for outcomes that are not stored yet."""

log = structlog.get_logger(__name__)


class Settling:
    """Transactions that must succeed, if necessary after the caller got its response."""

    def __init__(self, database: Database) -> None:
        """Write to this database."""
        self._database = database
        self._tasks: set[asyncio.Future[Any]] = set()

    async def attempt(
        self, work: Callable[[], Coroutine[Any, Any, T]], deadline: float, until: float
    ) -> T | None:
        """Run `work`; if it fails, return None and repeat it in the background.

        Waits for the first attempt only, until `deadline`, and repeats it until `until`; both are
        on the event loop's clock. Continues if the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        failed_once: asyncio.Future[Any] = loop.create_future()
        task: asyncio.Future[Any] = asyncio.create_task(self._repeated(work, failed_once, until))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        left_s = max(deadline - ANSWERING_S - loop.time(), LEAST_S)
        await asyncio.wait(
            {task, failed_once}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
        )
        return task.result() if task.done() else None

    async def _repeated(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        failed_once: "asyncio.Future[Any]",
        until: float,
    ) -> T | None:
        async for _ in attempts(until, MAX_PAUSE_S):
            try:
                return await self._database.finish(work())
            except StoreFailed as error:
                if not failed_once.done():
                    log.warning("an outcome could not be stored yet", cause=repr(error))
                    failed_once.set_result(None)
        log.error("an outcome could not be stored; recovery will settle it")
        return None

    async def close(self) -> None:
        """Wait up to `CLOSING_S` seconds for unfinished transactions, then cancel them."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSING_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
