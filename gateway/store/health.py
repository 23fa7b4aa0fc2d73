"""How the record is: looked at once a second at most, for all who ask, and never for long."""

import asyncio
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.migrate import NEWEST

EVERY_S: Final = 1.0
"""Between two looks, at least."""
LOOK_S: Final = 0.9
"""How long a look may take: Kubernetes gives a probe one second."""
DAMAGE_S: Final = 60.0
"""How long PostgreSQL counts as damaged after it said so; an SQLite file until it was mended."""

_READ: Final = {
    True: text("SELECT version_num, 'off' FROM alembic_version"),
    False: text(
        "SELECT version_num, current_setting('transaction_read_only') FROM alembic_version"
    ),
}
"""By whether it is SQLite."""
_WRITE: Final = text("UPDATE alembic_version SET version_num = version_num")

log = structlog.get_logger(__name__)


class StoreHealth:
    """Looks at a database, and logs when its state changes."""

    def __init__(self, database: Database) -> None:
        """Take it to be in order."""
        self._database = database
        self._looking: asyncio.Task[StoreState] | None = None
        self._looked_at = 0.0
        self._known = StoreState.READY
        self._proven = 0
        """The failed writes that were known when a write went well."""

    async def state(self) -> StoreState:
        """Return how the database is now, or was a second ago."""
        now = asyncio.get_running_loop().time()
        looking = self._looking
        if looking is None or (looking.done() and now - self._looked_at >= EVERY_S):
            looking = self._looking = asyncio.create_task(self._look())
            self._looked_at = now
        return await asyncio.shield(looking)

    async def watch(self) -> None:
        """Look at SQLite's file every second: whether it is still the one that was opened."""
        while self._database.file is not None:
            await asyncio.sleep(EVERY_S)
            try:
                self._database.file.check()
            except StoreFailed as error:
                self._note(error.state, error.cause)
            else:
                if self._known is StoreState.REPLACED:
                    self._note(StoreState.READY)

    async def close(self) -> None:
        """End the look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> StoreState:
        database = self._database
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOOK_S
        failures = database.write_failures
        try:
            if database.file is not None:
                database.file.check()
                database.file.check_writable()
            if failures != self._proven:
                version, read_only = await database.finish(self._write(), deadline)
                self._proven = failures
            elif database.is_sqlite and loop.time() - database.committed_at > EVERY_S:
                # Another program may hold the lock for writing.
                version, read_only = await database.finish(self._begin(), deadline)
            else:
                version, read_only = await database.read(self._read(), deadline)
        except StoreFailed as error:
            return self._note(error.state, error.cause)
        if self._is_damaged(loop.time()):
            return self._note(StoreState.DAMAGED)
        if version != NEWEST:
            state = StoreState.TOO_NEW if version > NEWEST else StoreState.TOO_OLD
            return self._note(state, f"step {version} instead of {NEWEST}")
        return self._note(StoreState.READ_ONLY if read_only == "on" else StoreState.READY)

    async def _read(self) -> tuple[str, str]:
        async with self._database.reading() as connection:
            return await self._row(connection)

    async def _begin(self) -> tuple[str, str]:
        async with self._database.writing() as connection:
            return await self._row(connection)

    async def _write(self) -> tuple[str, str]:
        """Write for once: whether the disk is full or read-only shows no other way."""
        async with self._database.writing() as connection:
            await connection.execute(_WRITE)
            return await self._row(connection)

    async def _row(self, connection: AsyncConnection) -> tuple[str, str]:
        found = await connection.execute(_READ[self._database.is_sqlite])
        version, read_only = found.one()
        return version, read_only

    def _is_damaged(self, now: float) -> bool:
        if self._database.damaged_at is None:
            return False
        return self._database.is_sqlite or now - self._database.damaged_at < DAMAGE_S

    def _note(self, state: StoreState, cause: str = "") -> StoreState:
        if state is not self._known:
            self._known = state
            if state is StoreState.READY:
                log.info("record can be used again")
            else:
                log.error("record cannot be used", state=state.name, cause=cause or None)
        return state
