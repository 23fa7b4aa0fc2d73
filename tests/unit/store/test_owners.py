"""What a process that is gone has claimed is free within seconds; of one that lives, nothing."""

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store import owners, presence
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import OutcomeUnknown
from gateway.store.store import Store
from gateway.store.write_intents import Settlement
from tests.unit.store.shop_writes import CONFIRMED, begin, overdue, settle, shown, soon, wanted
from tests.unit.store.test_processes import process

HOLD = """
async def run():
    rows = [Replacement("ada", [Tag("t", "new")])]
    await record.write_intents.begin("shop", rows, "write", deadline())
    print("begun", flush=True)
    await asyncio.Event().wait()

async def main():
    global record
    record = await Store.open(place)
    await record.once("key", "input", run, deadline())

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "EVERY_S", 0.05)
    monkeypatch.setattr(presence.SessionPresence, "grace_s", 0.3)


@asynccontextmanager
async def holder(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that is in the middle of a write, with an idempotency key."""
    async with process(HOLD, url) as started:
        assert started.stdin
        assert started.stdout
        started.stdin.write(b"go\n")
        assert await started.stdout.readline() == b"begun\n"
        yield started


async def looks(record: Store, count: int = 12) -> None:
    """Let the store look at its owners so many times."""
    for _ in range(count):
        await record.owners.look()
        await asyncio.sleep(0.05)


@pytest.fixture
async def other(place: DatabaseUrl) -> AsyncIterator[Store]:
    """Return a store that is open in this process, by the right time."""
    opened = await Store.open(place)
    yield opened
    await opened.close()


async def test_killed(other: Store, url: str) -> None:
    """Its customer can be taken over, and its key answers, long before the lease ends."""
    async with holder(url) as started:
        await looks(other)
        assert await overdue(other) == {}
        started.kill()
        await other.owners.freed(30)
        assert await overdue(other) == {"ada": {"new"}}
        with pytest.raises(OutcomeUnknown):
            await other.once("key", "input", never, soon())


async def test_frozen_and_thawed(other: Store, url: str) -> None:
    """A process that is stopped keeps its lock: its lease ends by time, not sooner."""
    async with holder(url) as started:
        os.kill(started.pid, signal.SIGSTOP)
        try:
            await looks(other)
            assert await overdue(other) == {}
        finally:
            os.kill(started.pid, signal.SIGCONT)
        await looks(other)
        assert await overdue(other) == {}


async def test_gone_before(url: str, place: DatabaseUrl) -> None:
    """A process that was gone when this one started is noticed as well."""
    # On SQLite a third process keeps the file, so that nobody is alone. It would notice first.
    third = await Store.open(place)
    for looking in third._watching:  # noqa: SLF001  # it has the file and looks at nothing
        looking.cancel()
    async with holder(url) as started:
        started.kill()
        await started.wait()
    late = await Store.open(place)
    await late.owners.freed(30)
    await third.close()
    await late.close()
    again = await Store.open(place)
    assert await shown(again, "ada") is not None
    assert await overdue(again) == {"ada": {"new"}}
    await again.close()


def names(folder: Path) -> list[str]:
    """Return the names of what is in a folder."""
    return [each.name for each in folder.iterdir()]


async def test_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not seen before it has its lock, or it would be taken for one that is gone."""
    path = tmp_path / "record.db"
    first, lock = presence.FilePresence.take(path), fcntl.flock
    folder, seen = Path(f"{path}{presence.SUFFIX}"), list[list[str]]()

    def flock(descriptor: int, operation: int) -> None:
        seen.append(names(folder))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    second = presence.FilePresence.take(path)
    monkeypatch.undo()
    assert seen == [[first.owner]]
    assert await first.look() == (frozenset({first.owner, second.owner}), frozenset(), 2)
    await second.close()
    await first.close()
    assert names(tmp_path) == []


async def test_no_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leases of a process that can have none end by time, and no file is left behind."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    alone = presence.FilePresence.take(tmp_path / "record.db")
    assert alone.owner == ""
    assert await alone.look() == (frozenset(), frozenset(), 1)
    await alone.close()
    assert names(tmp_path) == [f"record.db{presence.SUFFIX}"]


async def test_late_settlement(other: Store, place: DatabaseUrl) -> None:
    """Who is believed gone and settles after another took over has lost: nothing is invented."""
    lost = await Store.open(place)
    mine = (await begin(lost, wanted("ada", "old"), deadline=soon(30))).claim
    owner = mine.token[: owners.ID_LENGTH]
    await other.owners._end_leases(owner)  # noqa: SLF001  # as if its lock were gone
    theirs = (await begin(other, wanted("ada", "new"), deadline=soon(30))).claim
    assert await settle(other, theirs, Settlement.CONFIRMED) == set()
    assert await shown(other, "ada") == (CONFIRMED, {"new"})
    assert await settle(lost, mine, Settlement.CONFIRMED) == {"ada"}
    # Which of the two came last is not known, and the newest is repeated.
    assert (await shown(other, "ada") or [None])[0] is not CONFIRMED
    await lost.close()


@pytest.mark.postgres
async def test_a_lost_session(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose session was ended takes its lock again and keeps what it has claimed."""
    monkeypatch.setattr(presence.SessionPresence, "grace_s", float("inf"))
    place = database_url(postgres_url, {})
    first, second = await Store.open(place), await Store.open(place)
    mine = (await begin(first, wanted("ada", "new"), deadline=soon(30))).claim
    owner = mine.token[: owners.ID_LENGTH]
    database = Database(place)
    async with database.writing() as connection:
        ended = await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks"
                " WHERE locktype = 'advisory' AND objid = CAST(:number AS oid) AND objsubid = 2"
            ),
            {"number": int(owner, 16)},
        )
        assert ended.scalars().all() == [True]
    await database.close()
    look = second.owners._presence.look  # noqa: SLF001  # `owners.look` would end leases, too
    async with asyncio.timeout(60):
        while owner not in (await look()).alive:
            pass
    monkeypatch.setattr(presence.SessionPresence, "grace_s", 0.0)
    await second.owners.look()
    assert await overdue(second) == {}
    assert await settle(first, mine, Settlement.CONFIRMED) == set()
    assert await shown(second, "ada") == (CONFIRMED, {"new"})
    await first.close()
    await second.close()


async def never() -> bytes:
    """Fail: a key that another process has used is not run again."""
    raise AssertionError
