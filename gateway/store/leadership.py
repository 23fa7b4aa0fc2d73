"""Elect one of the processes that share a store, for work that only one should do.

On PostgreSQL the leader holds an advisory lock of a session, on SQLite a lock (`flock`) on a file
beside the database. The server or the kernel releases it with the process.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.failures import failing
from gateway.store.tables import CHANGE_HEAD

SUFFIX: Final = "-leader"
LOCK_CLASS: Final = 0x5E63_6C64
"""The first key of the advisory locks; the second identifies the store in its database."""

_LOCK: Final = text("SELECT pg_try_advisory_lock(:class, :store)")
_STILL: Final = text("SELECT 1")


class Leadership(Protocol):
    """The lock that makes this process the leader."""

    async def hold(self) -> bool:
        """Take the lock, or make sure that it is still held; False: another process leads.

        Raises `StoreFailed`; then the lock is not held.
        """
        ...

    async def release(self) -> None:
        """Let another process lead."""
        ...


class SessionLeadership:
    """Holds an advisory lock of a PostgreSQL session."""

    def __init__(self, database: Database) -> None:
        """Lead nobody yet."""
        self._database = database
        self._session: AsyncConnection | None = None

    async def hold(self) -> bool:
        """Take the lock, or make sure that its session is still there."""
        return await self._database.read(self._hold())

    async def _hold(self) -> bool:
        if self._session is not None:
            try:
                with failing():
                    await self._session.execute(_STILL)
            except BaseException:
                await self.release()
                raise
            return True
        session = await self._database.session()
        try:
            with failing():
                epoch: bytes = (await session.execute(select(CHANGE_HEAD.c.epoch))).scalar_one()
                # One database may hold several stores, in schemas of their own.
                store = int.from_bytes(epoch[:4], "big", signed=True)
                keys = {"class": LOCK_CLASS, "store": store}
                is_held = bool((await session.execute(_LOCK, keys)).scalar_one())
        except BaseException:
            await _end(session)
            raise
        if is_held:
            self._session = session
        else:
            await session.close()
        return is_held

    async def release(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            await _end(session)


async def _end(session: AsyncConnection) -> None:
    # Invalidated, not just returned: a pooled connection would keep the lock.
    with contextlib.suppress(Exception):  # it may be broken already
        await session.invalidate()
    await session.close()


class FileLeadership:
    """Holds a lock on a file beside an SQLite database."""

    def __init__(self, path: Path) -> None:
        """Lock beside this database; links to it share the lock."""
        self._path = os.path.realpath(path) + SUFFIX
        self._descriptor: int | None = None

    async def hold(self) -> bool:
        """Take the lock; the kernel never takes it back."""
        if self._descriptor is not None:
            return True
        with failing():
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    async def release(self) -> None:
        """Release the lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
