"""A client that hangs up: what it read is ended, what it writes goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Receive

from gateway.request_scope import Scope

T = TypeVar("T")

LISTENS_AFTER_S = 0.02
"""An operation that takes less is not worth a task: nearly all would end before their clients."""


class ClientDisconnected(Exception):
    """The client is gone: nobody reads an answer any more."""


@asynccontextmanager
async def watch_disconnect(receive: Receive, scope: Scope) -> AsyncIterator[None]:
    """Run the body while the client is there; raise `ClientDisconnected` when it leaves.

    `receive` is the request's, its body read to the end. In the end, however it comes, the scope's
    upstream calls that are still under way are cancelled, down to their sockets.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("listened needs a task")
    is_gone = False

    async def listen() -> None:
        nonlocal is_gone
        while (await receive())["type"] != "http.disconnect":
            pass
        is_gone = True
        task.cancel()

    listening: asyncio.Task[None] | None = None

    def start() -> None:
        nonlocal listening
        listening = asyncio.create_task(listen())

    starting = asyncio.get_running_loop().call_later(LISTENS_AFTER_S, start)
    try:
        yield
    except asyncio.CancelledError:
        if is_gone and not task.uncancel():
            raise ClientDisconnected from None
        raise  # the server stops
    finally:
        starting.cancel()
        if listening is not None:
            listening.cancel()
        scope.close()


class Unbroken:
    """Operations that write: each goes on to its end, whoever hangs up or is cancelled meanwhile.

    A write torn in two may have been sent, and then what came of it would not be recorded. No call
    of it outlasts the request's deadline.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, operation: Awaitable[T], scope: Scope) -> T:
        """Run an operation to its end, then end what its scope has still under way."""

        async def whole() -> T:
            try:
                return await operation
            finally:
                scope.close()

        task = asyncio.create_task(whole())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for all that are under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)
