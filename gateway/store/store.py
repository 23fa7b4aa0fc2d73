"""The record as a whole: opened and closed with the server, inside the running loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from gateway.domain.mutations import Tag
from gateway.providers.base.store_lookup import Lookup
from gateway.store.database import CONNECT_TIMEOUT_S, Database
from gateway.store.database_url import DatabaseUrl
from gateway.store.errors import StoreState
from gateway.store.health import StoreHealth
from gateway.store.idempotency import IdempotencyKeys
from gateway.store.migrate import migrate
from gateway.store.queries import StoreQueries
from gateway.store.write_intents import WriteIntents


def now() -> datetime:
    """Return the moment, in UTC."""
    return datetime.now(UTC)


class Store:
    """What the gateway remembers. Any number of processes may have the same one open."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Use `open`; this takes a database that has its tables."""
        self._database = database
        self._lookups = StoreQueries(database)
        self._answers = IdempotencyKeys(database, clock)
        self.tags = WriteIntents(database, clock)
        self._health = StoreHealth(database)
        self._watching = asyncio.create_task(self._health.watch())

    @classmethod
    async def open(
        cls,
        place: DatabaseUrl,
        clock: Callable[[], datetime] = now,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> Self:
        """Open the record, made or upgraded where needed.

        The clocks of processes that share one must agree to within a few seconds. Raises
        `SettingsError` for a place that cannot be used, `RecordFailed` for an unreachable one,
        within `connect_timeout_s`; upgrading may take longer.
        """
        database = Database(place, connect_timeout_s)
        try:
            await migrate(database, place, connect_timeout_s)
            if database.file is not None:
                database.file.remember()
        except BaseException:
            await database.close()
            raise
        return cls(database, clock)

    async def close(self) -> None:
        """Finish what was begun, and close all connections."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._health.close()
        await self._database.close()

    async def state(self) -> StoreState:
        """Return how the database is, as of the last second; see `gateway.store.health`."""
        return await self._health.state()

    async def answer(self, provider: str, lookup: Lookup, deadline: float | None = None) -> Any:
        """Answer a lookup; see `StoreQueries.answer`."""
        return await self._lookups.answer(provider, lookup, deadline)

    async def wanted(
        self, provider: str, customer: str, deadline: float | None = None
    ) -> Sequence[Tag]:
        """Return the tags a customer is to have; see `StoreQueries.wanted`."""
        return await self._lookups.wanted(provider, customer, deadline)

    async def once(
        self, key: str, digest: str, run: Callable[[], Awaitable[bytes]], deadline: float
    ) -> bytes:
        """Run at most once for a key; see `IdempotencyKeys.once`."""
        return await self._answers.once(key, digest, run, deadline)

    async def sweep(self) -> int:
        """Forget what is of no use any more; return how many idempotency keys."""
        return await self._answers.sweep()
