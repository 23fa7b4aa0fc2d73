"""Brings a database to this program's schema, whoever else is starting at the same moment."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import Problem, SettingsError
from gateway.store.database import CONNECT_TIMEOUT_S, Database
from gateway.store.database_url import SETTING, DatabaseUrl
from gateway.store.tables import CUSTOMERS
from gateway.store.waiting import attempts

NEWEST: Final = "0005"
"""The step that this program's tables are at."""

CHECK_S: Final = 2.0
"""How long SQLite may look for damage at start; of a larger file it sees a part."""

# Any number that no other program is likely to lock in the same database.
LOCK: Final = 0x5E61_47E3


async def migrate(
    database: Database, place: DatabaseUrl, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> None:
    """Make or upgrade the database. One process does it, the others wait and find it done.

    Raises `SettingsError` when it cannot be made, is damaged, or was written by a newer program,
    and `RecordFailed` when it does not answer within `connect_timeout_s`.
    """
    deadline = asyncio.get_running_loop().time() + connect_timeout_s
    if place.path is not None:
        await _make(place.path, deadline)
    if await database.read(_is_newest(database), deadline):
        return
    from gateway.store.upgrade import upgrade  # noqa: PLC0415  # alembic: seldom needed

    async with database.writing() as connection:
        if place.path is None:  # a writing transaction of SQLite is a lock as it is
            await _take_turns(connection, connect_timeout_s)
        await connection.run_sync(upgrade)


async def _take_turns(connection: AsyncConnection, lock_timeout_s: float) -> None:
    """Wait for another replica's upgrade, however long it takes; for foreign locks briefly."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    await connection.execute(
        text("SELECT set_config('lock_timeout', :timeout, true)"),
        {"timeout": f"{round(lock_timeout_s * 1000)}ms"},
    )


async def _is_newest(database: Database) -> bool:
    """Tell whether nothing is to be done, without alembic: loading it takes 0.1 s."""
    async with database.reading() as connection:
        if not await connection.run_sync(_has_version):
            return False
        found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        return bool(found == NEWEST)


def _has_version(connection: Connection) -> bool:
    """Tell whether the database is one of ours. Raises `SettingsError` for half of one."""
    tables = inspect(connection)
    if tables.has_table("alembic_version"):
        query = text("SELECT count(*) FROM alembic_version")
        if connection.scalar(query):
            return True
    if tables.has_table(CUSTOMERS.name):
        problem = (
            "has this program's tables and no version of them (alembic_version): restore a "
            "backup, or name an empty database"
        )
        raise SettingsError([Problem(SETTING, problem)])
    return False


async def _make(path: Path, deadline: float) -> None:
    """Make an SQLite file that only its owner can read, in WAL mode, which it keeps."""
    try:
        # While others open the file too, SQLite may say "locked" here without waiting.
        async for _ in attempts(deadline):
            if await asyncio.to_thread(_opened, path):
                return
    except sqlite3.OperationalError as error:
        raise _unusable(path, str(error)) from error
    except sqlite3.DatabaseError as error:
        problem = str(error)
        if getattr(error, "sqlite_errorname", "") != "SQLITE_NOTADB":  # that is no record at all
            problem += "; restore a backup, or mend it as docs/store.md says"
        raise _unusable(path, problem) from error
    except OSError as error:
        raise _unusable(path, str(error)) from error
    raise _unusable(path, "another program has it locked")


def _unusable(path: Path, problem: str) -> SettingsError:
    return SettingsError([Problem(SETTING, f"cannot be opened: {path}: {problem}")])


def _opened(path: Path) -> bool:
    """Make the file, switch it to WAL and look for damage; False while somebody locks it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=0.1)) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode == ("wal",):
                _check(connection)
        except sqlite3.OperationalError as error:
            # The low byte is the primary code.
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
    return bool(mode == ("wal",))


def _check(connection: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` when the file is damaged, as far as can be seen quickly."""
    end = time.monotonic() + CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_INTERRUPT:
            return  # a large file: the part that was looked at is sound
        raise
    if found != "ok":
        problem = "database disk image is malformed"
        raise sqlite3.DatabaseError(problem)
