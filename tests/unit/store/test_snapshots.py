"""Snapshots of watched segments: readings that break off, compete, or are large; leadership."""

import tracemalloc
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gateway.domain.change_log import ChangeKind, ChangeSource, Cursor, SegmentObservation
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.bit_set import BitSet
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.leadership import LOCK_CLASS
from gateway.store.snapshot_reading import SnapshotReading, Superseded
from gateway.store.store import Store
from tests.sizes import size

GOLD = Ref("shop", "gold")
MANY = size("SNAPSHOT_ROWS", 3_000, 1_000_000)
PAGE = 200


def refs(keys: Iterable[str]) -> Sequence[AssignmentRef]:
    """Return the assignments of customers."""
    return [AssignmentRef("shop", "gold", key) for key in keys]


async def started(record: Store) -> SnapshotReading:
    """Start to read."""
    return await record.snapshots.start(GOLD, await record.changes.revision())


async def finish(reading: SnapshotReading) -> None:
    """Finish a reading of a list that did not change."""
    await reading.finish(reading.count, counts_customers=True, is_consistent=True, is_whole=True)


async def read(record: Store, keys: Iterable[str]) -> None:
    """Read these members."""
    reading = await started(record)
    page: list[str] = []
    for key in keys:
        page.append(key)
        if len(page) == PAGE:
            await reading.add(refs(page))
            page.clear()
    await reading.add(refs(page))
    await finish(reading)


async def shown(record: Store) -> Sequence[str] | None:
    """Return who is in the snapshot."""
    members = await record.snapshots.members(GOLD)
    return None if members is None else [*members.keys]


async def log(record: Store) -> Sequence[str]:
    """Return the changes."""
    changes: list[str] = []
    after: Cursor | None = None
    while True:
        page = await record.changes.read(after, limit=250)
        changes += [
            f"{each.kind.value} {getattr(each.ref, 'customer', each.ref.provider)}"
            for each in page.changes
        ]
        after = page.end
        if not page.has_more:
            return changes


async def test_reading_that_breaks_off(record: Store) -> None:
    """Nothing of it shows; the next one takes its rows over, and forgets who is not there."""
    reading = await started(record)
    await reading.add(refs(["ada", "gone"]))
    assert await shown(record) is None
    await read(record, ["ada", "bea"])
    assert await shown(record) == ["ada", "bea"]
    reading = await started(record)
    await reading.add(refs(["ada", "cid", "dan"]))
    assert await shown(record) == ["ada", "bea"]
    await read(record, ["ada", "bea", "dan"])
    assert await shown(record) == ["ada", "bea", "dan"]
    assert await log(record) == ["ENTERED dan"]


async def test_two_readings(record: Store) -> None:
    """Of two processes that take themselves for the leader, the one that started first ends."""
    await read(record, ["ada"])
    first = await started(record)
    await first.add(refs(["bea"]))
    await read(record, ["ada", "cid"])
    for step in (finish(first), first.add(refs(["dan"]))):
        with pytest.raises(Superseded):
            await step
    assert await log(record) == ["ENTERED cid"]
    assert await shown(record) == ["ada", "cid"]


async def test_deleted_meanwhile(record: Store) -> None:
    """A segment that is deleted while it is read has no snapshot, and nobody left it."""
    await read(record, ["ada", "bea"])
    reading = await started(record)
    await reading.add(refs(["ada"]))
    deleted = SegmentObservation(
        ref=GOLD, kind=ChangeKind.DELETED, source=ChangeSource.DIFF, occurred_at=None
    )
    await record.snapshots.report_deleted(deleted, await record.changes.revision())
    with pytest.raises(Superseded):
        await finish(reading)
    assert await shown(record) is None
    assert await log(record) == ["DELETED shop"]
    await read(record, ["cid"])
    assert await shown(record) == ["cid"]


async def test_failure_between_chunks(record: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended is in the snapshot; the next reading appends the rest, each once."""
    keys = [f"c{n:04}" for n in range(550)]
    await read(record, keys)
    new = [f"n{n:04}" for n in range(550)]
    append, calls = record.changes.append, 0

    async def failing(*parts: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls in {2, 4}:
            raise StoreFailed(StoreState.DOWN)
        return await append(*parts, **named)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(record.changes, "append", failing)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await read(record, new)
    await read(record, new)
    assert sorted(await log(record)) == [
        *(f"ENTERED {key}" for key in new),
        *(f"LEFT {key}" for key in keys),
    ]
    assert await shown(record) == new
    state = await record.snapshots.state(GOLD)
    assert state is not None
    assert (state.size, state.customers) == (550, 550)


async def test_no_longer_watched(record: Store) -> None:
    """Snapshots of what is not watched any more are deleted, with their members."""
    await read(record, ["ada"])
    await record.snapshots.keep_only({"shop": ["gold"], "other": None})
    assert await shown(record) == ["ada"]
    await record.snapshots.keep_only({"shop": ["silver"]})
    assert await shown(record) is None
    await read(record, ["bea"])
    assert await shown(record) == ["bea"]
    assert await log(record) == []


async def test_memory(record: Store) -> None:
    """A reading takes a bit for each member, whatever their number; differences are found."""
    await read(record, (f"customer-{n:012}" for n in range(MANY)))
    tracemalloc.start()
    await read(record, (f"customer-{n:012}" for n in range(1, MANY + 1)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000 + MANY
    assert await log(record) == [
        f"ENTERED customer-{MANY:012}",
        f"LEFT customer-{0:012}",
    ]


@given(st.sets(st.integers(1, 300)), st.integers(0, 400))
def test_bit_set(numbers: set[int], high: int) -> None:
    """It has what was added, counts it once, and yields what is missing in order."""
    bits = BitSet()
    for number in [*numbers, *numbers]:
        bits.add(number)
    assert len(bits) == len(numbers)
    assert [*bits.missing(high)] == [n for n in range(1, high + 1) if n not in numbers]
    assert all((n in bits) == (n in numbers) for n in range(1, 400))


async def test_one_leader(record: Store, place: DatabaseUrl) -> None:
    """One process leads until it ends; a store of its own has a leader of its own."""
    other = await Store.open(place)
    assert await record.leadership.hold()
    assert await record.leadership.hold()
    assert not await other.leadership.hold()
    await record.leadership.release()
    assert await other.leadership.hold()
    assert not await record.leadership.hold()
    await other.close()
    assert await record.leadership.hold()


@pytest.mark.postgres
async def test_analyzed(postgres_url: str) -> None:
    """PostgreSQL knows of the first thousand members while the first reading goes on."""
    place = database_url(postgres_url, {})
    store, database = await Store.open(place), Database(place)
    reading = await started(store)
    for page in range(5):
        await reading.add(refs(f"customer-{page * PAGE + n}" for n in range(PAGE)))
    async with database.reading() as connection:
        query = "SELECT reltuples FROM pg_class WHERE oid = CAST('members' AS regclass)"
        assert await connection.scalar(text(query)) == 5 * PAGE
    await database.close()
    await store.close()


@pytest.mark.postgres
async def test_lost_session(postgres_url: str) -> None:
    """A leader whose session ended leads no longer, until it holds the lock again."""
    place = database_url(postgres_url, {})
    store, database = await Store.open(place), Database(place)
    assert await store.leadership.hold()
    store_number = int.from_bytes((await store.changes.position()).epoch[:4], "big")
    async with database.writing() as connection:
        ended = await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND classid = CAST(:class AS oid) AND objid = CAST(CAST("
                " :store AS bigint) AS oid)"
            ),
            {"class": LOCK_CLASS, "store": store_number},
        )
        assert ended.scalars().all() == [True]
    with pytest.raises(StoreFailed):
        await store.leadership.hold()
    assert await store.leadership.hold()
    await database.close()
    await store.close()
