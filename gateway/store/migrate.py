"""Brings a database to this program's schema, whoever else is starting at the same moment."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import Problem, SettingsError
from gateway.store.database import BUSY_S, Database
from gateway.store.database_url import SETTING, Place
from gateway.store.waiting import attempts

NEWEST: Final = "0001"
"""The step that this program's tables are at."""

# Any number that no other program is likely to lock in the same database.
LOCK: Final = 0x5E61_47E3


async def migrate(database: Database, place: Place) -> None:
    """Make or upgrade the database. One process does it, the others wait and find it done.

    Raises `SettingsError` when it cannot be made, or was written by a newer program.
    """
    if place.path is not None:
        await _make(place.path)
    async with database.reading() as connection:
        if await connection.run_sync(_is_newest):
            return
    from gateway.store.upgrade import upgrade  # noqa: PLC0415  # alembic: seldom needed

    async with database.writing() as connection:
        if place.path is None:  # a writing transaction of SQLite is a lock as it is
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(upgrade)


def _is_newest(connection: Connection) -> bool:
    """Tell whether nothing is to be done, without alembic: loading it takes 0.1 s."""
    try:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError:  # a new database has no such table
        return False
    return bool(found == NEWEST)


async def _make(path: Path) -> None:
    """Make an SQLite file that only its owner can read, in WAL mode, which it keeps."""
    deadline = asyncio.get_running_loop().time() + BUSY_S
    try:
        # While others open the file too, SQLite may say "locked" here without waiting.
        async for _ in attempts(deadline):
            if await asyncio.to_thread(_switched_to_wal, path):
                return
    except (OSError, sqlite3.Error) as error:
        problem = f"cannot be opened: {path}: {error}"
        raise SettingsError([Problem(SETTING, problem)]) from error
    raise SettingsError([Problem(SETTING, f"cannot be opened: {path} is locked")])


def _switched_to_wal(path: Path) -> bool:
    """Make the file and switch it to WAL; False when somebody else has the file locked."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # The low byte is the primary code.
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
    return bool(mode == ("wal",))
