"""Check the store's health, at most once a second, and share the result."""

import asyncio
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.migrate import NEWEST, is_compatible

EVERY_S: Final = 1.0
"""The least number of seconds between two checks."""
CHECK_S: Final = 5.0
"""The deadline of a check. With a shorter one a replica under heavy load, whose checks wait for
their turn like everything else, would be taken out, and its load would go to the others."""
ANSWER_S: Final = 0.9
"""How long a probe waits for a check: Kubernetes gives it one second."""
DAMAGE_S: Final = 60.0
"""Seconds for which PostgreSQL counts as damaged after it reported damage.

An SQLite file counts as damaged until the gateway is restarted.
"""

_READ: Final = {
    True: text("SELECT version_num, 'off' FROM alembic_version"),
    False: text(
        "SELECT version_num, current_setting('transaction_read_only') FROM alembic_version"
    ),
}
"""By whether the database is SQLite."""
_WRITE: Final = text("UPDATE alembic_version SET version_num = version_num")

log = structlog.get_logger(__name__)


class StoreHealth:
    """Checks a database, and logs when its state changes."""

    def __init__(self, database: Database) -> None:
        """Assume that the database is ready."""
        self._database = database
        self._check: asyncio.Task[StoreState] | None = None
        self._checked_at = 0.0
        self._state = StoreState.READY
        self._failures_at_success = 0
        """`write_failures` when this check last wrote successfully."""

    async def state(self) -> StoreState:
        """Return the state of the database at the last check, within `ANSWER_S` seconds.

        Checks begin at least a second apart.
        """
        now = asyncio.get_running_loop().time()
        check = self._check
        if check is None or (check.done() and now - self._checked_at >= EVERY_S):
            check = self._check = asyncio.create_task(self._run_check())
            self._checked_at = now
        done, _ = await asyncio.wait([check], timeout=ANSWER_S)
        return check.result() if done else self._state

    async def watch(self) -> None:
        """Check every second that SQLite's file is still the one that was opened."""
        while self._database.file is not None:
            await asyncio.sleep(EVERY_S)
            try:
                self._database.file.check()
            except StoreFailed as error:
                self._note(error.state, error.cause)
            else:
                if self._state is StoreState.REPLACED:
                    self._note(StoreState.READY)

    async def close(self) -> None:
        """Cancel the check that is in progress."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)

    async def _run_check(self) -> StoreState:
        database = self._database
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        deadline = begun_at + CHECK_S
        failures = database.write_failures
        try:
            if database.file is not None:
                database.file.check()
                database.file.check_writable()
            if failures != self._failures_at_success:
                version, read_only = await database.finish(self._write(), deadline)
                self._failures_at_success = failures
            elif database.is_sqlite and loop.time() - database.committed_at > EVERY_S:
                # Another program may hold the write lock.
                version, read_only = await database.finish(self._begin(), deadline)
            else:
                version, read_only = await database.read(self._read(), deadline)
            is_usable = version == NEWEST or (
                version > NEWEST and await database.read(self._is_compatible(), deadline)
            )
        except StoreFailed as error:
            if error.state is StoreState.FROZEN and database.answered_at > begun_at:
                return self._state  # it answers others: there is only much to do
            return self._note(error.state, error.cause)
        if self._is_damaged(loop.time()):
            return self._note(StoreState.DAMAGED)
        if not is_usable:
            state = StoreState.TOO_NEW if version > NEWEST else StoreState.TOO_OLD
            return self._note(state, f"schema version {version} instead of {NEWEST}")
        return self._note(StoreState.READ_ONLY if read_only == "on" else StoreState.READY)

    async def _read(self) -> tuple[str, str]:
        async with self._database.reading() as connection:
            return await self._row(connection)

    async def _is_compatible(self) -> bool:
        async with self._database.reading() as connection:
            return await connection.run_sync(is_compatible)

    async def _begin(self) -> tuple[str, str]:
        async with self._database.writing(is_check=True) as connection:
            return await self._row(connection)

    async def _write(self) -> tuple[str, str]:
        """Write a row: nothing else shows that a disk is full or read-only."""
        async with self._database.writing(is_check=True) as connection:
            await connection.execute(_WRITE)
            return await self._row(connection)

    async def _row(self, connection: AsyncConnection) -> tuple[str, str]:
        result = await connection.execute(_READ[self._database.is_sqlite])
        version, read_only = result.one()
        return version, read_only

    def _is_damaged(self, now: float) -> bool:
        if self._database.damaged_at is None:
            return False
        return self._database.is_sqlite or now - self._database.damaged_at < DAMAGE_S

    def _note(self, state: StoreState, cause: str = "") -> StoreState:
        if state is not self._state:
            self._state = state
            if state is StoreState.READY:
                log.info("store can be used again")
            else:
                log.error("store cannot be used", state=state.name, cause=cause or None)
        return state
