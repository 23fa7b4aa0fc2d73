"""Whether a process has an SQLite file to itself: then nobody else is at what stands open in it.

Each process holds a lock on a file beside the database as long as it lives: the kernel lets go of
it however the process ends. Who gets it exclusively is alone.
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
"""How long another process is waited for that looks after what stands open, at start as well."""
SUFFIX: Final = "-held"
NOT_OPEN: Final = -1


class Hold:
    """A lock of this process on a database file; closed with the record."""

    def __init__(self, descriptor: int, *, is_alone: bool) -> None:
        """Use `take`."""
        self._descriptor = descriptor
        self.is_alone = is_alone
        """No other process had the file when this was taken, and none has before `share`."""

    @classmethod
    async def take(cls, path: Path) -> Self:
        """Take the lock of the database at this path: alone if nobody has it, else with others."""
        try:
            descriptor = _opened(path)
        except OSError:  # where nothing can be written, nothing stands open
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
        """Let others have it, too."""
        self.is_alone = False
        async for _ in attempts(asyncio.get_running_loop().time() + PATIENCE_S):
            if _lock(self._descriptor, fcntl.LOCK_SH):
                return
        raise SettingsError([Problem(SETTING, "another process keeps the record to itself")])

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor != NOT_OPEN:
            os.close(self._descriptor)
            self._descriptor = NOT_OPEN


def _opened(path: Path) -> int:
    """Open the file beside the database, by whatever name that is called."""
    file = os.path.realpath(path) + SUFFIX
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


async def take_over(database: Database, now: datetime) -> None:
    """End all leases and pauses: only for who is alone, since nobody is at anything then."""
    is_leased, is_running = CUSTOMERS.c.due_at.is_not(None), KEYS.c.answer.is_(None)

    async def look() -> bool:
        async with database.reading() as connection:
            found = select(exists().where(is_leased) | exists().where(is_running))
            return bool((await connection.execute(found)).scalar_one())

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
