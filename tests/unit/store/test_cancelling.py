"""Requests are cancelled all the time: by deadlines, and by clients that hang up."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.providers.base.store_lookup import Lookup
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.store.write_intents import Settlement
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import (
    CONFIRMED,
    SHOP,
    begin,
    counts,
    overdue,
    settle,
    shown,
    soon,
    wanted,
    write,
)


async def _read(record: Store, _: int) -> None:
    await record.look_up(SHOP, Lookup("customers", size=50, with_total=True))


async def _write(record: Store, number: int) -> None:
    begun = await begin(record, wanted(f"c{number}", "x", "y"), deadline=soon(60))
    await settle(record, begun.claim, Settlement.CONFIRMED)


@pytest.mark.parametrize("work", [_read, _write])
async def test_storm(
    record: Store, clock: Clock, work: Callable[[Store, int], Awaitable[None]]
) -> None:
    """After a hundred calls that are cancelled wherever they are, all connections work."""
    dice = random.Random(3)  # noqa: S311  # a test's
    running = [asyncio.ensure_future(work(record, number)) for number in range(100)]
    for task in dice.sample(running, 100):
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0.0005)
        task.cancel()
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}
    # More than there are connections, at the same moment.
    await asyncio.gather(*(_read(record, 0) for _ in range(30)))
    clock.pass_by(hours=1)
    await overdue(record, 100)
    clock.pass_by(hours=1)
    for claim in await record.write_intents.overdue([SHOP], 0):
        assert await settle(record, claim, Settlement.CONFIRMED) == set()
    await write(record, wanted("c0", "x", "y"))
    assert await shown(record, "c0") == (CONFIRMED, {"x", "y"})
    totals = await counts(record)
    assert totals == dict.fromkeys(("customers", "x", "y"), totals["customers"]) | {"tags": 2}


async def test_while_connecting(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing waits for a connection that is being opened for a read that was cancelled."""
    store = await Store.open(database_url(sqlite_url, {}))
    loop, connects = asyncio.get_running_loop(), sqlite3.connect
    began, opened = asyncio.Event(), threading.Event()

    def connect(*args: Any, **options: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        opened.wait()
        return connects(*args, **options)

    monkeypatch.setattr("sqlite3.connect", connect)
    reads = [asyncio.create_task(_read(store, 0)) for _ in range(3)]
    await began.wait()
    for each in reads:
        each.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    loop.call_later(0.05, opened.set)
    await store.close()
    assert opened.is_set(), "or else the thread may outlive the loop"
