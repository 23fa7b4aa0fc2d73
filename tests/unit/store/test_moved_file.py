"""An SQLite file that is moved away while the gateway opens a connection."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store.database import Database
from gateway.store.database_url import database_url
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.file import StoreFile
from gateway.store.store import Store

VERSION = text("SELECT version_num FROM alembic_version")


@pytest.mark.parametrize(
    ("is_replaced", "state"), [(False, StoreState.DOWN), (True, StoreState.REPLACED)]
)
async def test_between_check_and_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool, state: StoreState
) -> None:
    """Nothing is created in its place, its log is not deleted, and no pool keeps another file."""
    path, aside = tmp_path / "gateway.db", tmp_path / "gateway.aside"
    location = database_url(f"sqlite:///{path}", {})
    await (await Store.open(location)).close()
    database = Database(location)
    assert database.file is not None
    database.file.remember()
    check = StoreFile.check

    def moved(file: StoreFile) -> None:
        check(file)
        if path.exists() and not aside.exists():
            path.rename(aside)
            if is_replaced:
                path.write_bytes(aside.read_bytes())

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE logged (x)")
        log = path.with_name("gateway.db-wal")
        size = log.stat().st_size
        monkeypatch.setattr(StoreFile, "check", moved)
        with pytest.raises(StoreFailed) as failure:
            async with database.reading():
                raise AssertionError
        monkeypatch.undo()
        assert failure.value.state is state
        assert path.exists() == is_replaced
        if not is_replaced:
            assert log.stat().st_size == size > 0
        aside.rename(path)
        async with database.reading() as connection:
            assert await connection.scalar(VERSION)
    await database.close()
