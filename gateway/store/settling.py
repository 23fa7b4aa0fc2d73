"""Writing down what came of a call, also when the database fails just then.

What a provider has done cannot be taken back, so that its caller is answered all the same. The
outcome is written again and again until it is there: nobody else may act on it meanwhile.
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
"""What is left of a request's time for its answer when the database does not end."""
LEAST_S: Final = 0.1
"""How long the first attempt is waited for at least."""
CLOSING_S: Final = 2.0
"""How long a server that stops waits for what is not written yet."""

log = structlog.get_logger(__name__)


class Settling:
    """Transactions that have to come about, if need be after their caller was answered."""

    def __init__(self, database: Database) -> None:
        """Write to this database."""
        self._database = database
        self._tasks: set[asyncio.Future[Any]] = set()

    async def attempt(
        self, work: Callable[[], Coroutine[Any, Any, T]], deadline: float, until: float
    ) -> T | None:
        """Do this once; where that fails, go on without the caller until it is done.

        Waits for the first attempt alone, and not beyond `deadline`; repeats it until `until`.
        Both are on the event loop's clock. Returns None when it is not done yet. Goes on when its
        caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        tried: asyncio.Future[Any] = loop.create_future()
        task: asyncio.Future[Any] = asyncio.create_task(self._repeated(work, tried, until))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        left_s = max(deadline - ANSWERING_S - loop.time(), LEAST_S)
        await asyncio.wait({task, tried}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None

    async def _repeated(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        tried: "asyncio.Future[Any]",
        until: float,
    ) -> T | None:
        async for _ in attempts(until):
            try:
                return await self._database.finish(work())
            except StoreFailed as error:
                if not tried.done():
                    log.warning("an outcome could not be recorded yet", cause=repr(error))
                    tried.set_result(None)
        log.error("an outcome was never recorded; recovery will settle it")
        return None

    async def close(self) -> None:
        """Wait a moment for what is not written yet, then give it up."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSING_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
