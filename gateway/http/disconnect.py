"""Client disconnects: cancel reads, complete writes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Receive

from gateway.request_scope import Scope

T = TypeVar("T")

WATCH_AFTER_S = 0.02
"""A shorter operation is not worth a task: few clients disconnect so early."""


class ClientDisconnected(Exception):
    """The client has disconnected: there is nobody to respond to."""


@asynccontextmanager
async def watch_disconnect(receive: Receive, scope: Scope) -> AsyncIterator[None]:
    """Cancel the body of this context and raise `ClientDisconnected` if the client disconnects.

    The request's body must have been received. On exit, the scope is closed, which cancels its
    pending upstream calls down to their sockets.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("watch_disconnect needs a task")
    is_disconnected = False

    async def watch() -> None:
        nonlocal is_disconnected
        while (await receive())["type"] != "http.disconnect":
            pass
        is_disconnected = True
        task.cancel()

    watcher: asyncio.Task[None] | None = None

    def start() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, start)
    try:
        yield
    except asyncio.CancelledError:
        if is_disconnected and not task.uncancel():
            raise ClientDisconnected from None
        raise  # the server is shutting down
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()
        scope.close()


class ShieldedWrites:
    """Complete operations that write, also if the client disconnects or the request is cancelled.

    A cancelled write may have been sent, and its outcome would not be recorded. Its calls end with
    the request's deadline.
    """

    def __init__(self) -> None:
        """Start without operations."""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, operation: Awaitable[T], scope: Scope) -> T:
        """Run an operation to completion, then close its scope."""

        async def complete() -> T:
            try:
                return await operation
            finally:
                scope.close()

        task = asyncio.create_task(complete())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for all operations in progress."""
        if self._tasks:
            await asyncio.wait(self._tasks)
