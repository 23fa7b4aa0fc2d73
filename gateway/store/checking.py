"""Look at a store for the operator, without changing it."""

import asyncio
import os
from pathlib import Path

from sqlalchemy import text

from gateway.errors import SettingsError
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.migrate import NEWEST, OLDEST, is_compatible, version_of
from gateway.store.reporting import advice


async def check_store(location: DatabaseUrl, connect_timeout_s: float) -> tuple[str, bool]:
    """Return the state of a store in words, and whether a gateway could serve from it."""
    if location.path is not None and not _exists(location.path):
        return _creatable(location.path)
    deadline = asyncio.get_running_loop().time() + connect_timeout_s
    database = Database(location, connect_timeout_s)
    try:
        version, is_usable = await database.read(_version_if_writable(database), deadline)
    except StoreFailed as error:
        return advice(error, location.shown), False
    except SettingsError as error:
        return error.problems[0].text, False
    finally:
        await database.close()
    return _compared(version, is_usable=is_usable)


def _creatable(path: Path) -> tuple[str, bool]:
    """Return whether the start could create the file, and the folders above it."""
    above = next(each for each in path.parents if _exists(each))
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return "ok: it does not exist yet, and is created at the start", True
    text = f"it cannot be created: {above} is not a folder that this user may write to"
    return f"{text}. Correct store.url, or run as the user that owns the folder.", False


def _exists(path: Path) -> bool:
    """Return whether a path exists, as far as this user may see."""
    try:
        return path.exists()
    except PermissionError:
        return False


async def _version_if_writable(database: Database) -> tuple[str | None, bool]:
    """Return the version, and whether this program could use the tables if it is a newer one.

    Raises as `version_of`, and `StoreFailed` also if the database is read-only.
    """
    async with database.reading() as connection:
        version = await connection.run_sync(version_of)
        is_usable = await connection.run_sync(is_compatible)
        if database.file is not None:
            database.file.check_writable()
        elif await connection.scalar(text("SHOW transaction_read_only")) == "on":
            raise StoreFailed(StoreState.READ_ONLY)
    return version, is_usable


def _compared(version: str | None, *, is_usable: bool) -> tuple[str, bool]:
    if version is None:
        return f"ok: it is empty; the start creates schema version {NEWEST}", True
    if version < NEWEST:
        text = f"ok: schema version {version}; the start upgrades it to {NEWEST}"
        then = "stay" if version >= OLDEST else "are not"
        return f"{text}. Running processes of the version before {then} ready then.", True
    if version > NEWEST and is_usable:
        return f"ok: schema version {version} of a newer gateway, which this one can use", True
    if version > NEWEST:
        text = f"schema version {version} is of a newer gateway; this one has {NEWEST}"
        return f"{text}. Run that version, or restore a backup from before its upgrade.", False
    return f"ok: schema version {version}", True
