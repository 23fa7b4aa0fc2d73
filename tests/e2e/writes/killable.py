"""The server, made to stop at one step of a write and to wait there until it is killed.

`python -m tests.e2e.writes.killable STEP NUMBER LATER_S FD` serves `GATEWAY_CONFIG` on an
inherited socket. The NUMBER-th time that a replacement comes to the step it prints `paused` and
goes no further; other replacements do. Its record's clock is LATER_S ahead: what an earlier
process left behind is out of its lease.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import uvicorn

from gateway.store import store
from gateway.store.store import Store
from gateway.store.tag_rows import TagRows
from gateway.store.write_intents import WriteIntents

Method = Callable[..., Awaitable[Any]]

INTENT_WRITTEN = "intent written"
INTENT_COMMITTED = "intent committed"
ANSWER_READ = "answer read"
SETTLEMENT_WRITTEN = "settlement written"
SETTLEMENT_COMMITTED = "settlement committed"
STEPS = (INTENT_WRITTEN, INTENT_COMMITTED, ANSWER_READ, SETTLEMENT_WRITTEN, SETTLEMENT_COMMITTED)
"""Written is not yet committed."""


class Pause:
    """Where to stop: at the so many-th replacement, recovery not counted."""

    def __init__(self, number: int) -> None:
        """Count once the first replacement is begun: by then recovery is over."""
        self._left = number
        self._counts = False

    async def begun(self) -> None:
        """Count from now on."""
        self._counts = True

    async def here(self) -> None:
        """Go on, or say so and wait for ever."""
        self._left -= self._counts
        if self._counts and self._left == 0:
            sys.stdout.write("paused\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


def put(owner: type, name: str, method: Method) -> None:
    """Have this method from now on."""
    setattr(owner, name, method)


def around(
    method: Method,
    before: Callable[[], Awaitable[None]] | None = None,
    after: Callable[[], Awaitable[None]] | None = None,
) -> Method:
    """Return the method with something done before or after it."""

    async def surrounded(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            await before()
        result = await method(*arguments, **named)
        if after is not None:
            await after()
        return result

    return surrounded


def stop_at(step: str, pause: Pause) -> None:
    """Put the stop where the step is."""
    if step == INTENT_COMMITTED:
        put(WriteIntents, "begin", around(WriteIntents.begin, after=pause.here))
    elif step == ANSWER_READ:
        put(WriteIntents, "settle", around(WriteIntents.settle, before=pause.here))
    elif step == SETTLEMENT_COMMITTED:
        put(WriteIntents, "settle", around(WriteIntents.settle, after=pause.here))
    elif step in {INTENT_WRITTEN, SETTLEMENT_WRITTEN}:
        # Both transactions end with the change of what they have locked.
        stop_after_change(TagRows.free if step == INTENT_WRITTEN else TagRows.locked, pause)
    put(WriteIntents, "begin", around(WriteIntents.begin, before=pause.begun))


def stop_after_change(locks: Method, pause: Pause) -> None:
    """Put the stop behind the change by a ledger that was locked in this way."""
    change: Method = TagRows.change
    locked = set[int]()

    async def lock(ledger: TagRows, *arguments: Any) -> Any:
        locked.add(id(ledger))
        return await locks(ledger, *arguments)

    async def changed(ledger: TagRows, *arguments: Any) -> None:
        await change(ledger, *arguments)
        if id(ledger) in locked:
            locked.discard(id(ledger))
            await pause.here()

    put(TagRows, locks.__name__, lock)
    put(TagRows, "change", changed)


def set_ahead(later_s: float) -> None:
    """Set the store's clock ahead."""
    opened = Store.open

    def clock() -> datetime:
        return store.now() + timedelta(seconds=later_s)

    async def open_later(place: Any, **options: Any) -> Store:
        return await opened(place, clock, **options)

    put(Store, "open", open_later)


if __name__ == "__main__":
    _, chosen, number, later_s, fd = sys.argv
    stop_at(chosen, Pause(int(number)))
    set_ahead(float(later_s))
    uvicorn.run("gateway.asgi:create", factory=True, fd=int(fd), log_level="warning")
