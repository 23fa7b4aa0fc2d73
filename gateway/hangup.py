"""Notice a client that hangs up, and end what was asked for it alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive

from gateway.scope import Scope


class HungUp(Exception):
    """The client is gone: nobody reads an answer any more."""


@asynccontextmanager
async def listened(receive: Receive, scope: Scope) -> AsyncIterator[None]:
    """Run the body while the client is there; raise `HungUp` when it leaves.

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

    listening = asyncio.create_task(listen())
    try:
        yield
    except asyncio.CancelledError:
        if is_gone and not task.uncancel():
            raise HungUp from None
        raise  # the server stops
    finally:
        listening.cancel()
        scope.close()
