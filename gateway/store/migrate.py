"""Create or upgrade the database's schema; several processes may start at the same moment."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import Problem, SettingsError
from gateway.store.database import CONNECT_TIMEOUT_S, Database
from gateway.store.database_url import SETTING, DatabaseUrl
from gateway.store.tables import COMPATIBILITY, CUSTOMERS
from gateway.store.waiting import attempts

NEWEST: Final = "0012"
"""The schema version of this program."""

OLDEST: Final = "0012"
"""The schema version of the oldest program that can use the tables of `NEWEST`.

Its processes keep serving after an upgrade, and may be started again. So raise it where a
migration changes what older programs read or write, not where it only adds tables that they need
not fill. Programs before 0012 do not know of this, and refuse every newer version.
"""

CHECK_S: Final = 2.0
"""The time limit of SQLite's check for damage at start; it may not reach all of a large file."""

# An arbitrary number that no other program is likely to lock in the same database.
LOCK: Final = 0x5E61_47E3


async def migrate(
    database: Database, location: DatabaseUrl, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> None:
    """Create or upgrade the database; one process does, the others wait.

    The tables of a newer version that this one can use are left as they are. Raises
    `SettingsError` if the database cannot be created, is damaged, or is of a newer version that
    this one cannot use, and `StoreFailed` if it does not answer within `connect_timeout_s`.
    """
    deadline = asyncio.get_running_loop().time() + connect_timeout_s
    if location.path is not None:
        await _create(location.path, deadline)
    if await database.read(_is_usable(database), deadline):
        return
    from gateway.store.upgrade import upgrade  # noqa: PLC0415  # alembic: seldom needed

    async with database.writing() as connection:
        if location.path is None:  # SQLite's write transaction is a lock already
            await _lock(connection, connect_timeout_s)
        await connection.run_sync(upgrade)


async def _lock(connection: AsyncConnection, lock_timeout_s: float) -> None:
    """Wait for another replica's upgrade without a limit, for other locks `lock_timeout_s`."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    await connection.execute(
        text("SELECT set_config('lock_timeout', :timeout, true)"),
        {"timeout": f"{round(lock_timeout_s * 1000)}ms"},
    )


async def _is_usable(database: Database) -> bool:
    """Return as `is_usable`, without alembic: importing it takes 0.1 s."""
    async with database.reading() as connection:
        return await connection.run_sync(is_usable)


def is_usable(connection: Connection) -> bool:
    """Return whether this program can use the schema as it is; False: it must be upgraded.

    Raises `SettingsError` for tables without a version, and for those of a newer program that
    this one cannot use.
    """
    version = version_of(connection)
    if version is None or version <= NEWEST:
        return version == NEWEST
    if is_compatible(connection):
        return True
    problem = (
        f"was written by a newer version of this program (schema version {version}); "
        "run that version"
    )
    raise SettingsError([Problem(SETTING, problem)])


def is_compatible(connection: Connection) -> bool:
    """Return whether this program can use the tables of a newer one."""
    if not inspect(connection).has_table(COMPATIBILITY.name):
        return False
    oldest = connection.scalar(select(COMPATIBILITY.c.oldest))
    return oldest is not None and oldest <= NEWEST


def version_of(connection: Connection) -> str | None:
    """Return the version of the schema; None: the database is empty. Raises `SettingsError`."""
    if not _has_version(connection):
        return None
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if version is None else str(version)


def _has_version(connection: Connection) -> bool:
    """Return whether the database has a version. Raises `SettingsError` for tables without one."""
    tables = inspect(connection)
    if tables.has_table("alembic_version"):
        query = text("SELECT count(*) FROM alembic_version")
        if connection.scalar(query):
            return True
    if tables.has_table(CUSTOMERS.name):
        problem = (
            "has this program's tables but not their version (alembic_version): restore a "
            "backup, or name an empty database"
        )
        raise SettingsError([Problem(SETTING, problem)])
    return False


async def _create(path: Path, deadline: float) -> None:
    """Create an SQLite file that only its owner can read, in WAL mode, which is persistent."""
    try:
        # While other processes open the file, SQLite may report "locked" without waiting.
        async for _ in attempts(deadline):
            if await asyncio.to_thread(_open, path):
                return
    except sqlite3.OperationalError as error:
        raise _unusable(path, str(error)) from error
    except sqlite3.DatabaseError as error:
        problem = str(error)
        if getattr(error, "sqlite_errorname", "") != "SQLITE_NOTADB":  # some other file
            problem += "; restore a backup, or repair it as described in docs/store.md"
        raise _unusable(path, problem) from error
    except OSError as error:
        raise _unusable(path, str(error)) from error
    raise _unusable(path, "another program has it locked")


def _unusable(path: Path, problem: str) -> SettingsError:
    return SettingsError([Problem(SETTING, f"cannot be opened: {path}: {problem}")])


def _open(path: Path) -> bool:
    """Create the file, switch it to WAL and check it; return False while it is locked."""
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
    """Raise `sqlite3.DatabaseError` if `CHECK_S` seconds of checking show damage."""
    end = time.monotonic() + CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    try:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_INTERRUPT:
            return  # a large file: the part that was checked is sound
        raise
    if result != "ok":
        problem = "database disk image is malformed"
        raise sqlite3.DatabaseError(problem)
