"""Detect whether a process is the only one with an SQLite file: no other then has open writes.

Each process holds a lock on a file beside the database while it lives; the kernel releases it
however the process ends. The process that can lock it exclusively is alone.
"""

import asyncio
import fcntl
import os
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from sqlalchemy import exists, select, update

from gateway.errors import Problem, SettingsError
from gateway.store.database import Database
from gateway.store.database_url import SETTING
from gateway.store.tables import CUSTOMERS, KEYS
from gateway.store.waiting import attempts

PATIENCE_S: Final = 10.0
"""Seconds to wait for another process that is taking over open writes at its start."""
SUFFIX: Final = "-held"
NOT_OPEN: Final = -1


class Hold:
    """This process's lock on a database file; closed with the store."""

    def __init__(self, descriptor: int, *, is_alone: bool) -> None:
        """Use `take` instead."""
        self._descriptor = descriptor
        self.is_alone = is_alone
        """No other process has the file, until `share` is called."""

    @classmethod
    async def take(cls, path: Path) -> Self:
        """Lock the database at this path: exclusively if no other process has it, else shared."""
        try:
            descriptor = _opened(path)
        except OSError:  # where nothing can be written, no write is open
            return cls(NOT_OPEN, is_alone=False)
        hold = cls(descriptor, is_alone=_lock(descriptor, fcntl.LOCK_EX))
        try:
            if not hold.is_alone:
                await hold.share()
        except BaseException:
            hold.close()
            raise
        return hold

    async def share(self) -> None:
        """Share the lock with other processes."""
        self.is_alone = False
        async for _ in attempts(asyncio.get_running_loop().time() + PATIENCE_S):
            if _lock(self._descriptor, fcntl.LOCK_SH):
                return
        raise SettingsError([Problem(SETTING, "another process has the store locked")])

    def close(self) -> None:
        """Release the lock."""
        if self._descriptor != NOT_OPEN:
            os.close(self._descriptor)
            self._descriptor = NOT_OPEN


def _opened(path: Path) -> int:
    """Open the lock file; links to the database share one."""
    file = os.path.realpath(path) + SUFFIX
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


async def take_over(database: Database, now: datetime) -> None:
    """End all leases and pauses. Only the only process may do this."""
    is_leased, is_running = CUSTOMERS.c.due_at.is_not(None), KEYS.c.answer.is_(None)

    async def look() -> bool:
        async with database.reading() as connection:
            statement = select(exists().where(is_leased) | exists().where(is_running))
            return bool((await connection.execute(statement)).scalar_one())

    async def end() -> None:
        async with database.writing() as connection:
            await connection.execute(update(CUSTOMERS).where(is_leased).values(due_at=now))
            await connection.execute(update(KEYS).where(is_running).values(claimed_until=now))

    if await database.read(look()):
        await database.finish(end())


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
