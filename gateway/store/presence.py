"""Detect which processes have the store open: each holds a lock that ends with the process.

On PostgreSQL it is an advisory lock of a session, on SQLite a lock (`flock`) on a file of its own
beside the database. The server or the kernel releases it. A frozen process keeps its lock.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.failures import failing
from gateway.store.tables import CHANGE_HEAD

GRACE_S: Final = 5.0
"""Seconds that a PostgreSQL session may be missing while its process reconnects.

When the server restarts, all sessions end at once; each process looks every second.
"""
SUFFIX: Final = "-owners"
LOCK_CLASS: Final = 0x5E63_6174
"""The first key of the advisory locks; the second identifies the process."""
OWNER: Final = 2
"""`objsubid` of an advisory lock with two keys."""
PEER: Final = 1
"""`objsubid` of one with a single key."""

_LOCK: Final = text("SELECT pg_try_advisory_lock(:class, :owner)")
# Not what is in the table, which may be damaged.
_TABLE: Final = text("SELECT CAST(CAST(:name AS regclass) AS oid)")
_LOCK_PEER: Final = text("SELECT pg_try_advisory_lock(CAST(:key AS bigint))")
_HOLDERS: Final = text(
    "SELECT objid, objsubid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND (objsubid = 2 AND classid = CAST(:class AS oid)"
    " OR objsubid = 1 AND classid = CAST(:store AS oid))"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Look(NamedTuple):
    """The ids of processes that one look showed."""

    alive: frozenset[str]
    gone: frozenset[str] = frozenset()
    """Those that left a file behind; others may be gone as well."""
    processes: int = 1
    """How many have this store open; a PostgreSQL database may have several stores."""


class Presence(Protocol):
    """The lock of this process, and a way to see the locks of others."""

    owner: str
    """The id of this process; empty if it could not take a lock: its leases end by time."""
    grace_s: float
    """Seconds for which a lock must be missing before its process counts as gone."""

    async def look(self) -> Look:
        """Return the processes that hold their locks. Raises `StoreFailed`."""
        ...

    def forget(self, owner: str) -> None:
        """Remove what a process that is gone left behind."""
        ...

    async def close(self) -> None:
        """Release the lock."""
        ...


class SessionPresence:
    """Holds an advisory lock of a PostgreSQL session."""

    grace_s = GRACE_S

    def __init__(self, database: Database) -> None:
        """Take the lock with the first look."""
        self._number = secrets.randbelow(2**31)
        self.owner = f"{self._number:08x}"
        self._database = database
        self._connection: AsyncConnection | None = None
        self._is_locked = False
        self._store: int | None = None
        """Identifies the store among those of its database."""
        self._lock = asyncio.Lock()
        """A connection runs one statement at a time, and a cancelled look ends later."""

    async def look(self) -> Look:
        """Return the processes that hold their locks; take this one's again if it was lost."""
        async with self._lock:
            if self._connection is None:
                self._connection = await self._database.session()
            try:
                with failing():
                    return await self._look(self._connection)
            except BaseException:
                await self._end_session()
                raise

    async def _look(self, connection: AsyncConnection) -> Look:
        keys = {"class": LOCK_CLASS, "owner": self._number}
        if not self._is_locked:
            # This fails as long as the server still has the lost session.
            self._is_locked = bool((await connection.execute(_LOCK, keys)).scalar_one())
            if self._store is None:
                table = await connection.execute(_TABLE, {"name": CHANGE_HEAD.name})
                self._store = int(table.scalar_one())
            # A second lock, of another kind: processes of earlier versions have only the first.
            key = (self._store << 32 | self._number).to_bytes(8, "big")
            await connection.execute(_LOCK_PEER, {"key": int.from_bytes(key, "big", signed=True)})
        locks = {"class": LOCK_CLASS, "store": self._store}
        rows = (await connection.execute(_HOLDERS, locks)).all()
        alive = frozenset(f"{int(row.objid):08x}" for row in rows if row.objsubid == OWNER)
        return Look(alive, processes=max(sum(row.objsubid == PEER for row in rows), 1))

    def forget(self, owner: str) -> None:
        """Do nothing: a session leaves nothing behind."""

    async def close(self) -> None:
        """End the session, once a look that was cancelled is over."""
        async with self._lock:
            await self._end_session()

    async def _end_session(self) -> None:
        # Invalidated, not just returned: a pooled connection would keep the lock.
        connection, self._connection, self._is_locked = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(Exception):  # it may be broken already
                await connection.invalidate()
            await connection.close()


class FilePresence:
    """Holds a lock on a file beside an SQLite database."""

    grace_s = 0.0

    def __init__(self, folder: Path, owner: str, descriptor: int) -> None:
        """Use `take` instead."""
        self.owner = owner
        self._folder = folder
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Lock a new file; if none can be created, the leases of this process end by time."""
        folder = Path(os.path.realpath(path) + SUFFIX)
        owner = secrets.token_hex(4)
        # Locked before others can see it: one that is free is that of a process that is gone.
        unseen = folder.with_name(f"{folder.name}.{owner}")
        descriptor = -1
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(unseen, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unseen.rename(folder / owner)
        except OSError:
            if descriptor != -1:
                unseen.unlink()
                os.close(descriptor)
            return cls(folder, "", -1)
        return cls(folder, owner, descriptor)

    async def look(self) -> Look:
        """Try the lock of every file: that of a process that is gone is free."""
        with failing():
            names = {each.name for each in self._folder.iterdir()} if self.owner else set()
            gone = {name for name in names if name != self.owner and self._is_free(name)}
        alive = frozenset(names - gone)
        return Look(alive, frozenset(gone), max(len(alive), 1))

    def _is_free(self, name: str) -> bool:
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def forget(self, owner: str) -> None:
        """Remove the file of a process that is gone."""
        with contextlib.suppress(OSError):
            (self._folder / owner).unlink(missing_ok=True)

    async def close(self) -> None:
        """Release the lock, and remove its file."""
        if self._descriptor != -1:
            self.forget(self.owner)
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):  # other processes have files there
                self._folder.rmdir()
