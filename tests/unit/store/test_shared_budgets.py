"""The budgets of several processes, in both databases."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select, text, update

from gateway.limits.slices import Claim, Terms
from gateway.store import database
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import StoreFailed
from gateway.store.shared_budgets import SharedBudgets
from gateway.store.store import Store
from gateway.store.tables import BUDGET_CALLS, BUDGETS
from tests.unit.store.shop_writes import soon

BUCKET = Terms(6000, 6000, refills=True)
WINDOW = Terms(100, 60, refills=False)


def claim(name: str, change: float = 0, want: float = 0, need: float = 0) -> Claim:
    """Return a claim on a budget that gets one each second."""
    return Claim(name, BUCKET, change, want, need, 0)


@pytest.fixture
async def connected(record: Store, place: DatabaseUrl) -> AsyncIterator[Database]:
    """Return another connection to the record's database."""
    del record
    connected = Database(place)
    yield connected
    await connected.close()


@asynccontextmanager
async def opened(place: DatabaseUrl) -> AsyncIterator[tuple[SharedBudgets, Database]]:
    """Open the budgets of one process, whose database exists."""
    connected = Database(place)
    yield SharedBudgets(connected), connected
    await connected.close()


async def test_an_exchange(record: Store, place: DatabaseUrl) -> None:
    """New budgets are full; grants, debts and what goes back count for the next process.

    A second, in which one comes back, may pass.
    """
    first = await record.budgets.exchange(
        [claim("b", want=100), claim("a", change=-50, want=20)], 3, soon()
    )
    assert [(each.granted, round(each.left)) for each in first] == [(100, 5900), (20, 5930)]
    async with opened(place) as (other, _):
        assert await other.exchange([], 3, soon()) == []
        (second,) = await other.exchange([claim("a", change=-5000, want=600)], 3, soon())
        assert [*second[:2]] == pytest.approx([310, 620], abs=2)
        (third,) = await other.exchange([claim("a", need=1000, want=1000)], 3, soon())
        assert [third.granted, third.wait_s] == pytest.approx([0, 380], abs=2)
        (fourth,) = await other.exchange([claim("a", change=310)], 3, soon())
        assert [*fourth[:2]] == pytest.approx([0, 930], abs=3)


async def test_a_limit_on_calls(record: Store) -> None:
    """Calls count in the second of their grant; what goes back was part of it."""
    (first,) = await record.budgets.exchange(
        [Claim("p", WINDOW, change=-3, want=2, need=0, second=0)], 1, soon()
    )
    assert (first.granted, first.left) == (2, 95)
    back = Claim("p", WINDOW, change=1, want=0, need=0, second=first.second)
    (second,) = await record.budgets.exchange([back], 1, soon())
    assert (second.granted, second.left) == (0, 96)
    every = Claim("p", WINDOW, change=0, want=200, need=1, second=0)
    (third,) = await record.budgets.exchange([every], 1, soon())
    assert (third.granted, third.left, third.wait_s) == (96, 0, 0)
    (fourth,) = await record.budgets.exchange([every], 1, soon())
    assert (fourth.granted, fourth.left) == (0, 0)
    assert 55 < fourth.wait_s <= 61


async def test_the_time_is_the_databases(record: Store, connected: Database) -> None:
    """The clocks of processes do not matter: this one's stands still on another day."""
    before = time.time()
    (grant,) = await record.budgets.exchange([claim("a", change=-5000)], 2, soon())
    async with connected.writing() as connection:
        at = (await connection.execute(select(BUDGETS.c.at))).scalar_one()
        assert before - 1 <= at <= time.time() + 1
        await connection.execute(update(BUDGETS).values(at=at - 100))
    (later,) = await record.budgets.exchange([claim("a")], 2, soon())
    assert later.left - grant.left == pytest.approx(100, abs=20)
    async with connected.writing() as connection:
        await connection.execute(update(BUDGETS).values(at=at + 10_000))
    (set_back,) = await record.budgets.exchange([claim("a")], 2, soon())
    assert set_back.left == pytest.approx(later.left, abs=1)


async def test_many_at_once_take_no_more_than_there_is(record: Store, place: DatabaseUrl) -> None:
    """Processes that begin at the same time get what one alone would get."""
    names = [f"caller {number}" for number in range(20)]
    async with opened(place) as (second, _), opened(place) as (third, _):
        grants = await asyncio.gather(
            *(
                each.exchange([claim(name, want=2500) for name in reversed(names)], 1, soon(20))
                for each in (record.budgets, second, third)
                for _ in range(2)
            )
        )
    for each in zip(*grants, strict=True):
        assert sum(grant.granted for grant in each) == pytest.approx(6000, abs=60)


async def test_what_is_stored_names_nobody(record: Store, connected: Database) -> None:
    """Callers may be known by their address; and what is not used for an hour is deleted."""
    await record.budgets.exchange([claim("requests 203.0.113.7"), claim("x")], 1, soon())
    async with connected.writing() as connection:
        names = (await connection.execute(select(BUDGETS.c.name))).scalars().all()
        assert [len(name) for name in names] == [32, 32]
        assert all(set(name) <= set("0123456789abcdef") for name in names)
        old = update(BUDGETS).where(BUDGETS.c.name == names[0])
        await connection.execute(old.values(at=time.time() - 4000))
        calls = [{"name": "p", "second": int(time.time()) - ago, "calls": 1} for ago in (1, 4000)]
        await connection.execute(BUDGET_CALLS.insert(), calls)
    await record.sweep()
    async with connected.reading() as connection:
        kept = (await connection.execute(select(BUDGETS.c.name))).scalars().all()
        assert kept == [names[1]]
        assert len((await connection.execute(select(BUDGET_CALLS.c.calls))).all()) == 1


@pytest.mark.postgres
async def test_a_locked_table(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange, or the test whether there can be one, ends in time; nothing is stored."""
    monkeypatch.setattr(database, "LEAST_S", 0.2)
    place = database_url(postgres_url, {})
    store = await Store.open(place)
    async with opened(place) as (_, other):
        async with other.writing() as connection:
            await connection.execute(text("LOCK TABLE budgets"))
            for claims in ([claim("a", change=-500)], []):
                started = time.monotonic()
                with pytest.raises(StoreFailed):
                    await store.budgets.exchange(claims, 2, soon(0.2))
                assert time.monotonic() - started < 5
        (grant,) = await store.budgets.exchange([claim("a")], 2, soon())
        assert grant.left == 6000
    await store.close()


async def test_processes_are_counted(record: Store, place: DatabaseUrl) -> None:
    """Each that has this store open counts, until it closes it; those of other stores do not."""
    assert record.owners.processes == 1
    second = await Store.open(place)
    assert second.owners.processes == 2
    await record.owners.look()
    assert record.owners.processes == 2
    await second.close()
    async with asyncio.timeout(30):
        while record.owners.processes > 1:  # PostgreSQL ends a session a moment later
            await record.owners.look()
