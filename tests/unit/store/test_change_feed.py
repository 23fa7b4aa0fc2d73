"""Processes that follow the log: caches are dropped first; lost notifications cost little."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from gateway.changes.feed import CATCHING_UP, ChangeFeed
from gateway.changes.streams import ChangeStream
from gateway.changes.subscriber_index import Waiter
from gateway.domain.change_log import EVERY_CHANGE, Cursor, Entry
from gateway.store.change_log import ChangePage, EntryPage
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.store import Store
from tests.unit.store.conftest import POSTGRES, Clock
from tests.unit.store.shop_writes import SHOP
from tests.unit.store.test_change_log import IN, append, member

PATIENCE_S = 30


class Cache:
    """A provider of which only the cache matters."""

    def __init__(self, events: list[str]) -> None:
        """Write down in this list what happens."""
        self._events = events

    def invalidate(self) -> None:
        """Drop everything."""
        self._events.append("dropped")


@asynccontextmanager
async def following(store: Store) -> AsyncIterator[tuple[ChangeFeed, list[str]]]:
    """Follow a store's log; return the feed, and what happens in it."""
    events: list[str] = []
    providers: Any = {SHOP: Cache(events), "other": Cache([])}
    feed = ChangeFeed(store, providers)

    def listener(entries: Sequence[Entry]) -> None:
        events.extend(f"entry {entry.cursor.position}" for entry in entries)

    feed.listen(listener)
    await feed.start()
    try:
        yield feed, events
    finally:
        await feed.close()


async def reached(feed: ChangeFeed, cursor: Cursor) -> None:
    """Wait until the feed has read an entry."""
    while feed.position != cursor:
        await feed.wait(Waiter(EVERY_CHANGE, None), asyncio.get_running_loop().time() + PATIENCE_S)


async def test_two_processes(record: Store, place: DatabaseUrl, clock: Clock) -> None:
    """What one process appends, another drops from its caches before it passes it on."""
    other = await Store.open(place, clock)
    async with following(record), following(other) as (feed, events):
        start = feed.position
        cursor = (await append(record, member(IN, "ada"), member(IN, "bob"))).cursor
        async with asyncio.timeout(PATIENCE_S):
            await reached(feed, cursor)
        assert events == ["dropped", "entry 1", "entry 2"]
        assert feed.since(feed.position) == ()
        page = await other.changes.entries(start)
        assert feed.since(page.entries[0].cursor) == page.entries[1:]
        assert feed.since(start) is None, "memory does not reach back: the log does"
    await other.close()


async def test_reach(
    record: Store, place: DatabaseUrl, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever read an entry itself has the caches dropped before it shows the entry, once."""
    monkeypatch.setattr("gateway.changes.feed.POLL_S", 3600)
    other = await Store.open(place, clock)
    entries, reads = other.changes.entries, []

    async def counted(after: Cursor, limit: int) -> EntryPage:
        reads.append(after)
        return await entries(after, limit)

    async with following(other) as (feed, events):
        monkeypatch.setattr(other.changes, "entries", counted)
        cursor = (await append(record, member(IN))).cursor
        await asyncio.gather(*(feed.reach(cursor) for _ in range(5)))
        assert (events, feed.position) == (["dropped", "entry 1"], cursor)
        await feed.reach(cursor)
        assert events == ["dropped", "entry 1"]
        assert len(reads) <= 2, "once for all of them, and once when the feed starts to listen"
    await other.close()


async def test_catching_up(record: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many subscribers read the log, they leave connections to everybody else."""
    start = await record.changes.position()
    cursor = (await append(record, member(IN))).cursor
    read, running, counts = record.changes.read, 0, []

    async def counted(*parts: Any) -> ChangePage:
        nonlocal running
        running += 1
        counts.append(running)
        try:
            return await read(*parts)
        finally:
            running -= 1

    monkeypatch.setattr(record.changes, "read", counted)
    async with following(record) as (feed, _):
        streams = [
            ChangeStream(record.changes, feed, start, EVERY_CHANGE, None) for _ in range(20)
        ]
        await asyncio.gather(*(each.scan() for each in streams))
        changes = [await each.next(0) for each in streams]
    assert [each and each.cursor for each in changes] == [cursor] * 20
    assert (len(counts), max(counts)) == (20, CATCHING_UP)


@pytest.mark.postgres
async def test_listener_killed(postgres_url: str, clock: Clock) -> None:
    """While no notification comes polling delivers, and the process listens again."""
    place = database_url(postgres_url, {})
    record = await Store.open(place, clock)
    channel = f"change_log_{(await record.changes.position()).epoch.hex()}"
    query = "SELECT pid FROM pg_stat_activity WHERE query = %s AND pid <> pg_backend_pid()"
    async with (
        await psycopg.AsyncConnection.connect(POSTGRES, autocommit=True) as server,
        following(record) as (feed, _),
    ):

        async def listener(unlike: int | None = None) -> int:
            while True:
                rows = await (await server.execute(query, [f"LISTEN {channel}"])).fetchall()
                pids = [pid for (pid,) in rows if pid != unlike]
                if pids:
                    return int(pids[0])
                await asyncio.sleep(0.02)

        async with asyncio.timeout(PATIENCE_S):
            first = await listener()
            await server.execute("SELECT pg_terminate_backend(%s)", [first])
            record.changes.appended = None  # nobody notifies, not even within the process
            cursor = (await append(record, member(IN))).cursor
            await reached(feed, cursor)
            assert await listener(first) != first
    await record.close()
