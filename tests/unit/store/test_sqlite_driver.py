"""Statements that reach SQLite in one turn of the driver's thread."""

import asyncio
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from gateway.store.database import Database
from gateway.store.database_url import database_url


async def test_statements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, counts and errors are those of SQLite; one turn each."""
    turns = 0
    execute: Any = aiosqlite.Connection._execute  # noqa: SLF001  # each turn

    async def counted(self: aiosqlite.Connection, *arguments: object) -> object:
        nonlocal turns
        turns += 1
        return await execute(self, *arguments)

    (tmp_path / "a.db").touch()
    database = Database(database_url(f"sqlite:///{tmp_path}/a.db", {}))
    async with database.writing() as connection:
        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        await connection.execute(text("CREATE TABLE a (n INTEGER PRIMARY KEY)"))
        many = await connection.execute(text("INSERT INTO a VALUES (:n)"), [{"n": 1}, {"n": 2}])
        returned = await connection.execute(text("INSERT INTO a VALUES (3) RETURNING n, -n AS m"))
        deleted = await connection.execute(text("DELETE FROM a WHERE n < 3"))
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO a VALUES (3)"))
        rows = await connection.execute(text("SELECT n FROM a"))
        monkeypatch.undo()
    await database.close()

    assert turns == 6
    assert (many.rowcount, deleted.rowcount) == (2, 2)
    assert (list(returned.keys()), returned.all()) == (["n", "m"], [(3, -3)])
    assert rows.scalars().all() == [3]


async def test_at_once(tmp_path: Path) -> None:
    """Statements of one connection wait for each other."""
    (tmp_path / "a.db").touch()
    database = Database(database_url(f"sqlite:///{tmp_path}/a.db", {}))
    async with database.reading() as connection:
        queries = [text(f"SELECT {n}") for n in range(10)]
        results = await asyncio.gather(*(connection.scalar(each) for each in queries))
    await database.close()
    assert results == list(range(10))
