"""The change log: order of commits, cursors, what is known, retention, restored databases."""

import asyncio
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeFilter,
    ChangeKind,
    ChangeSource,
    Cursor,
    Observation,
    SegmentObservation,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.errors import CursorExpired
from gateway.store.change_log import Appended, Retention
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.store import Store
from tests.sizes import size
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import SHOP, soon

IN, OUT = ChangeKind.ENTERED, ChangeKind.LEFT
UPDATED, CREATED, DELETED = ChangeKind.UPDATED, ChangeKind.CREATED, ChangeKind.DELETED
WRITE, HOOK, DIFF = ChangeSource.WRITE, ChangeSource.WEBHOOK, ChangeSource.DIFF

PROCESSES, WRITES = 3, size("CHANGES", 20, 500)

APPEND = """
import asyncio, sys
from gateway.domain.change_log import AssignmentObservation, ChangeKind, ChangeSource
from gateway.domain.entities import AssignmentRef
from gateway.store.database_url import database_url
from gateway.store.store import Store

async def main():
    store = await Store.open(database_url(sys.argv[1], {}))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[3])):
        seen = [
            AssignmentObservation(
                ref=AssignmentRef("shop", f"s{part}", f"{sys.argv[2]}-{number}"),
                kind=ChangeKind.ENTERED,
                source=ChangeSource.WRITE,
            )
            for part in range(2)
        ]
        deadline = asyncio.get_running_loop().time() + 60
        assert await store.changes.settle(seen, deadline, deadline) is not None
    await store.close()

asyncio.run(main())
"""


def member(
    kind: ChangeKind,
    customer: str = "ada",
    *,
    entity: str | None = None,
    source: ChangeSource = WRITE,
    at: datetime | None = None,
    version: int | None = None,
) -> AssignmentObservation:
    """Return an observation of a member of segment `s`."""
    ref = AssignmentRef(SHOP, "s", customer, entity)
    return AssignmentObservation(
        ref=ref, kind=kind, source=source, occurred_at=at, version=version
    )


def segment(
    kind: ChangeKind, source: ChangeSource = WRITE, version: int | None = None
) -> SegmentObservation:
    """Return an observation of segment `s`."""
    return SegmentObservation(ref=Ref(SHOP, "s"), kind=kind, source=source, version=version)


async def append(record: Store, *seen: Observation) -> Appended:
    """Append in a transaction of its own."""
    appended = await record.changes.settle(seen, soon(30), soon(30))
    assert appended is not None
    return appended


async def kinds(record: Store, after: Cursor | None = None) -> list[ChangeKind]:
    """Return the kinds of all changes behind a cursor."""
    return [each.kind for each in (await record.changes.read(after, limit=250)).changes]


async def test_order_of_commits(url: str, record: Store) -> None:
    """A reader that follows three writing processes sees every entry once, without a gap."""
    pipe = asyncio.subprocess.PIPE
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", APPEND, url, f"w{n}", str(WRITES), stdin=pipe, stdout=pipe
        )
        for n in range(PROCESSES)
    ]
    for each in writers:
        assert each.stdout
        assert await each.stdout.readline() == b"ready\n"
    running = [asyncio.create_task(each.communicate(b"go\n")) for each in writers]
    cursor, positions, customers = await record.changes.position(), [], []
    while True:
        is_over = all(task.done() for task in running)
        page = await record.changes.entries(cursor, 7)
        positions += [entry.cursor.position for entry in page.entries]
        customers += [entry.ref.customer for entry in page.entries]  # type: ignore[union-attr]  # assignments alone
        cursor = page.end
        if is_over and not page.has_more:
            break
    assert [each.returncode for each in writers] == [0] * PROCESSES
    assert positions == list(range(1, 2 * PROCESSES * WRITES + 1))
    assert customers[::2] == customers[1::2], "the changes of one write stand together"
    for writer in range(PROCESSES):
        own = [each for each in customers[::2] if each.startswith(f"w{writer}-")]
        assert own == [f"w{writer}-{number}" for number in range(WRITES)]


LATER = datetime.fromisoformat("2026-11-22T10:00:00+00:00")
EARLIER = LATER - timedelta(minutes=1)
RULES: dict[str, tuple[Sequence[Observation], list[ChangeKind]]] = {
    "in twice": ([member(IN), member(IN, source=HOOK)], [IN]),
    "webhook first": ([member(IN, source=HOOK), member(IN)], [IN]),
    "out twice": ([member(OUT), member(OUT)], [OUT]),
    "in, out, in": ([member(IN), member(OUT), member(IN)], [IN, OUT, IN]),
    "two entities": (
        [member(IN, entity="a"), member(IN, entity="b"), member(OUT, entity="a")],
        [IN, UPDATED, UPDATED],
    ),
    "the last entity": (
        [
            member(IN, entity="a"),
            member(IN, entity="b"),
            member(OUT, entity="a"),
            member(OUT, entity="b"),
        ],
        [IN, UPDATED, UPDATED, OUT],
    ),
    "a known version": ([segment(UPDATED, version=3), segment(UPDATED, HOOK, 3)], [UPDATED]),
    "a new version": (
        [segment(CREATED, version=1), segment(UPDATED, HOOK, 2)],
        [CREATED, UPDATED],
    ),
    "created twice": ([segment(CREATED), segment(CREATED, HOOK)], [CREATED]),
    "deleted with members": (
        [segment(CREATED), member(IN), segment(DELETED), member(OUT, source=HOOK)],
        [CREATED, IN, DELETED],
    ),
    "deleted twice": ([segment(DELETED), segment(DELETED, HOOK)], [DELETED]),
    "created anew": (
        [segment(CREATED), member(IN), segment(DELETED), segment(CREATED), member(IN)],
        [CREATED, IN, DELETED, CREATED, IN],
    ),
    "an older webhook": (
        [member(IN, source=HOOK, at=LATER), member(OUT, source=HOOK, at=EARLIER)],
        [IN],
    ),
    "a webhook older than a write": (
        [member(IN, at=LATER), member(OUT, source=HOOK, at=EARLIER)],
        [IN],
    ),
    "a webhook newer than a write": (
        [member(IN, at=EARLIER), member(OUT, source=HOOK, at=LATER)],
        [IN, OUT],
    ),
    "a version of another life": (
        [
            member(IN, version=5, source=HOOK, at=EARLIER),
            member(OUT, source=HOOK, at=LATER),
            member(IN, version=1, source=HOOK, at=LATER),
        ],
        [IN, OUT, IN],
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_known(record: Store, rule: str, at_once: bool) -> None:  # noqa: FBT001  # a parameter
    """Only what changes what is known is appended, in one transaction or in several."""
    seen, expected = RULES[rule]
    for part in [seen] if at_once else [[each] for each in seen]:
        await append(record, *part)
    assert await kinds(record) == expected


async def test_comparison(record: Store) -> None:
    """A comparison passes over customers of whom something was reported since it began."""
    read_since = await record.changes.revision()
    await append(record, member(IN, "ada"))
    database = record._database  # noqa: SLF001  # as whoever compares has it
    seen = [member(OUT, "ada", source=DIFF), member(IN, "bob", source=DIFF)]
    async with database.writing() as connection:
        appended = await record.changes.append(connection, seen, read_since=read_since)
    assert appended.kinds == [None, IN]
    assert await record.changes.members(SHOP, "s") == [
        AssignmentRef(SHOP, "s", "ada"),
        AssignmentRef(SHOP, "s", "bob"),
    ]


async def test_retention(record: Store, clock: Clock) -> None:
    """Entries beyond their number or age expire with their cursors; the newest never does."""
    cursors = [(await append(record, member(IN, f"c{n}"))).cursor for n in range(6)]
    record.changes.retention = Retention(rows=3)
    assert await record.changes.sweep() == 3
    assert len(await kinds(record)) == 3
    assert len(await kinds(record, cursors[3])) == 2
    with pytest.raises(CursorExpired):
        await kinds(record, cursors[2])
    clock.pass_by(days=8)
    assert await record.changes.sweep() == 2
    assert await kinds(record, cursors[5]) == []
    assert await record.changes.change(cursors[5]) is not None
    assert await record.changes.change(cursors[4]) is None
    with pytest.raises(CursorExpired):
        await record.changes.entries(cursors[4])


async def test_restored(sqlite_url: str, tmp_path: Path, clock: Clock) -> None:
    """Cursors of after a backup expire when it is restored, also once it has grown again."""
    place = database_url(sqlite_url, {})
    assert place.path
    first = await Store.open(place, clock)
    kept = (await append(first, member(IN, "a"))).cursor
    await first.close()
    backup = tmp_path / "backup.db"
    shutil.copy(place.path, backup)
    second = await Store.open(place, clock)
    lost = [(await append(second, member(IN, f"b{n}"))).cursor for n in range(2)]
    await second.close()
    for each in place.path.parent.glob(f"{place.path.name}-*"):
        each.unlink()
    shutil.copy(backup, place.path)
    third = await Store.open(place, clock)
    for grown in range(4):
        for cursor in lost:
            with pytest.raises(CursorExpired):
                await third.changes.entries(cursor)
            with pytest.raises(CursorExpired):
                await third.changes.read(cursor)
            assert await third.changes.change(cursor) is None
        assert len((await third.changes.entries(kept)).entries) == grown
        await append(third, member(IN, f"d{grown}"))
    await third.close()


async def test_another_database(record: Store, tmp_path: Path) -> None:
    """A cursor of another database is none here, whatever its position."""
    other = await Store.open(database_url(f"sqlite:///{tmp_path / 'other.db'}", {}))
    cursors = [await other.changes.position(), (await append(other, member(IN))).cursor]
    await other.close()
    for _ in range(2):
        for cursor in cursors:
            with pytest.raises(CursorExpired):
                await record.changes.read(cursor)
        await append(record, member(IN))


async def test_stock(record: Store, place: DatabaseUrl) -> None:
    """What a first comparison sees is known afterwards and no change."""
    seen = AssignmentObservation(
        ref=AssignmentRef(SHOP, "s", "ada"), kind=IN, source=DIFF, is_stock=True
    )
    assert (await append(record, seen)).kinds == [None]
    assert place
    await append(record, member(IN), member(OUT))
    assert await kinds(record) == [OUT]


async def test_filter_in_sql(record: Store) -> None:
    """The database and `ChangeFilter.matches` select the same changes."""
    await append(record, segment(CREATED), member(IN, "ada"), member(IN, "bob"), member(OUT))
    whole = (await record.changes.read(None)).changes
    for wanted in (
        ChangeFilter(providers=frozenset({SHOP})),
        ChangeFilter(providers=frozenset()),
        ChangeFilter(segments=frozenset({Ref(SHOP, "s")}), kinds=frozenset({IN})),
        ChangeFilter(customers=frozenset({Ref(SHOP, "bob"), Ref("other", "ada")})),
        ChangeFilter(customers=frozenset()),
        ChangeFilter(since=whole[0].recorded_at),
        ChangeFilter(since=whole[0].recorded_at + timedelta(microseconds=1)),
    ):
        matching = (await record.changes.read(None, wanted)).changes
        assert list(matching) == [each for each in whole if wanted.matches(each)]
