"""The server, made to stop at one step of a write and to wait there until it is killed.

`python -m tests.writes.killable STEP NUMBER LATER_S FD` serves what `GATEWAY_CONFIG` says on an
inherited socket. The NUMBER-th time a replacement comes to the step it prints `paused` and goes no
further; other replacements do. Its record's clock is LATER_S ahead: what an earlier process
left behind is out of its lease.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import uvicorn

from gateway.store import record
from gateway.store.ledger import Ledger
from gateway.store.record import Record
from gateway.store.tags import Tags

Method = Callable[..., Awaitable[Any]]

STEPS = ("intent begun", "intent committed", "answer read", "settlement begun", "settled")


class Pause:
    """Where to stop."""

    def __init__(self, number: int) -> None:
        """Stop the so many-th that comes by."""
        self._left = number

    async def here(self) -> None:
        """Go on, or say so and wait for ever."""
        self._left -= 1
        if self._left == 0:
            sys.stdout.write("paused\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


def after(method: Method, pause: Pause) -> Method:
    """Return the method with a stop behind it."""

    async def paused(*arguments: Any, **named: Any) -> Any:
        found = await method(*arguments, **named)
        await pause.here()
        return found

    return paused


def before(method: Method, pause: Pause) -> Method:
    """Return the method with a stop in front of it."""

    async def paused(*arguments: Any, **named: Any) -> Any:
        await pause.here()
        return await method(*arguments, **named)

    return paused


def install(step: str, number: int) -> None:
    """Put the stop where the step is."""
    pause = Pause(number)
    if step == "intent committed":
        setattr(Tags, "begin", after(Tags.begin, pause))
    elif step == "answer read":
        setattr(Tags, "settle", before(Tags.settle, pause))
    elif step == "settled":
        setattr(Tags, "settle", after(Tags.settle, pause))
    elif step in {"intent begun", "settlement begun"}:
        # Both change the ledger as the last thing of their transaction.
        locks = Ledger.free if step == "intent begun" else Ledger.locked
        setattr(Ledger, locks.__name__, marked(locks))
        setattr(Ledger, "change", after_if_marked(Ledger.change, pause))


def marked(method: Method) -> Method:
    """Return a method of a ledger that leaves a mark on it."""

    async def marking(ledger: Any, *arguments: Any) -> Any:
        ledger.is_marked = True
        return await method(ledger, *arguments)

    return marking


def after_if_marked(method: Method, pause: Pause) -> Method:
    """Return a method of a ledger with a stop behind it, for ledgers that have the mark."""

    async def paused(ledger: Any, *arguments: Any) -> Any:
        found = await method(ledger, *arguments)
        if getattr(ledger, "is_marked", False):
            await pause.here()
        return found

    return paused


def shift(later_s: float) -> None:
    """Set the record's clock ahead."""
    opened = Record.open

    def clock() -> datetime:
        return record.now() + timedelta(seconds=later_s)

    async def later(place: Any) -> Record:
        return await opened(place, clock)

    setattr(Record, "open", later)


if __name__ == "__main__":
    _, chosen, number, later_s, fd = sys.argv
    install(chosen, int(number))
    shift(float(later_s))
    uvicorn.run("gateway.asgi:create", factory=True, fd=int(fd), log_level="warning")
