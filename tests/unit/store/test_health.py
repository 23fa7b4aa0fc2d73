"""How the store is, for /readyz: one look a second, shared, and never for long."""

import asyncio
import math
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.store import database, health
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import StoreState
from gateway.store.migrate import NEWEST
from gateway.store.store import Store


async def set_version(place: DatabaseUrl, version: str, oldest: str | None = None) -> None:
    """Change the step that the tables say they are at, and the oldest that can use them."""
    database = Database(place)
    async with database.writing() as connection:
        statement = text("UPDATE alembic_version SET version_num = :version")
        await connection.execute(statement, {"version": version})
        statement = text("UPDATE compatibility SET oldest = :oldest")
        await connection.execute(statement, {"oldest": oldest or version})
    await database.close()


@pytest.mark.parametrize(
    ("version", "state"),
    [("0000", StoreState.TOO_OLD), ("9999", StoreState.TOO_NEW)],
    ids=["older", "newer"],
)
async def test_versions(
    record: Store,
    place: DatabaseUrl,
    version: str,
    state: StoreState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tables of another version are seen while the gateway runs, and when they are put right."""
    monkeypatch.setattr(health, "EVERY_S", 0)
    monkeypatch.setattr(health, "CHECK_S", 10)  # on a busy machine
    assert await record.state() is StoreState.READY
    await set_version(place, version)
    with capture_logs() as lines:
        assert await record.state() is state
        assert await record.state() is state
        await set_version(place, NEWEST)
        assert await record.state() is StoreState.READY
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("store cannot be used", "error"),
        ("store can be used again", "info"),
    ]


async def test_a_newer_version_that_can_be_used(
    record: Store, place: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica stays ready while another one upgrades tables that both can use."""
    monkeypatch.setattr(health, "EVERY_S", 0)
    monkeypatch.setattr(health, "CHECK_S", 10)  # on a busy machine
    with capture_logs() as lines:
        await set_version(place, "9999", oldest=NEWEST)
        assert await record.state() is StoreState.READY
    assert lines == []


async def test_one_look_for_all(record: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes at the same time share a look, and those of the next second its result."""
    looks = []
    look = health.StoreHealth._run_check  # noqa: SLF001  # to count

    async def counted(self: Any) -> StoreState:
        looks.append(self)
        return await look(self)

    monkeypatch.setattr(health, "EVERY_S", 1000)
    monkeypatch.setattr(health.StoreHealth, "_run_check", counted)
    states = await asyncio.gather(*(record.state() for _ in range(50)))
    assert len(states) == 50
    await record.state()
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("answered_at", "state"), [(math.inf, StoreState.READY), (-math.inf, StoreState.FROZEN)]
)
async def test_a_check_without_a_reply(
    record: Store, answered_at: float, state: StoreState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Load alone makes no replica unready.

    Probes get the last state until the deadline, and also then if others were answered.
    """
    always = property(lambda _: answered_at, lambda *_: None)
    monkeypatch.setattr(Database, "answered_at", always, raising=False)
    monkeypatch.setattr(health, "EVERY_S", 1000)
    monkeypatch.setattr(health, "ANSWER_S", 0)
    monkeypatch.setattr(health, "CHECK_S", 0.5)
    monkeypatch.setattr(database, "LEAST_S", 0)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any) -> Any:
        begun.set()
        await may_end.wait()

    monkeypatch.setattr(health.StoreHealth, "_row", wait)
    assert await record.state() is StoreState.READY
    await begun.wait()
    assert await record.state() is StoreState.READY
    monkeypatch.setattr(health, "ANSWER_S", 20)
    assert await record.state() is state
    may_end.set()


async def test_a_file_that_goes_is_noticed_unasked(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a request or a probe the log says within a second that the file is gone."""
    monkeypatch.setattr(health, "EVERY_S", 0.01)
    place = database_url(sqlite_url, {})
    assert place.path is not None
    record = await Store.open(place)
    aside = place.path.with_suffix(".aside")
    with capture_logs() as lines:
        place.path.rename(aside)
        await logged(lines, "store cannot be used")
        aside.rename(place.path)
        await logged(lines, "store can be used again")
    assert lines[0]["state"] == "REPLACED"
    assert lines[0]["cause"] == "the file cannot be examined: No such file or directory"
    await record.close()


async def logged(lines: list[Any], event: str) -> None:
    """Wait for a line in the log."""
    async with asyncio.timeout(20):
        while event not in [line["event"] for line in lines]:  # noqa: ASYNC110  # a log has no event
            await asyncio.sleep(0.01)
