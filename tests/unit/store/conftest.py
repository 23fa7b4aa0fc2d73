"""A record of its own for every test, on SQLite and on PostgreSQL."""

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from gateway.store import database, settling
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.store import Store

POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


class Clock:
    """The wall's clock, which moves only when told to."""

    def __init__(self) -> None:
        """Start on some day."""
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.now

    def pass_by(self, **parts: float) -> None:
        """Let time pass: the parts of a timedelta."""
        self.now += timedelta(**parts)


@pytest.fixture(autouse=True)
def _time_for_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes end on a busy machine: many tests give a deadline for its lease alone."""
    monkeypatch.setattr(database, "LEAST_S", 20)
    monkeypatch.setattr(settling, "LEAST_S", 20)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'state' / 'record.db'}"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """Return the URL of an empty schema; without a server fail in CI and skip elsewhere."""
    schema = f"record_{uuid.uuid4().hex}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL at TEST_POSTGRES or on 127.0.0.1: {error}")
    with server:
        server.execute(f"CREATE SCHEMA {schema}")
        yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
        server.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, of either kind."""
    url = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(url, str)
    return url


@pytest.fixture
def place(url: str) -> DatabaseUrl:
    """Return the place of an empty database."""
    return database_url(url, {})


@pytest.fixture
async def record(place: DatabaseUrl, clock: Clock, store_file: Path) -> AsyncIterator[Store]:
    """Return an open store."""
    if place.path is not None:
        place.path.parent.mkdir(mode=0o700)
        shutil.copy(store_file, place.path)
    opened = await Store.open(place, clock)
    yield opened
    await opened.close()
