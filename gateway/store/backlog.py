"""What the store holds that is not finished: open writes, and webhooks without effect."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from gateway.store.database import Database
from gateway.store.tables import CUSTOMERS, WEBHOOKS


class OpenWrites(NamedTuple):
    """The writes at one provider whose outcome is not settled."""

    number: int
    oldest_s: float
    """Seconds since the oldest was begun, or last repeated."""


class Unfinished(NamedTuple):
    """What is not finished, by provider; providers with nothing are left out."""

    writes: Mapping[str, OpenWrites]
    webhooks: Mapping[str, int]


class Backlog:
    """Counts what is not finished."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Count in this database."""
        self._database = database
        self._clock = clock

    async def unfinished(self, deadline: float) -> Unfinished:
        """Count. Raises `StoreFailed`."""
        now = self._clock()

        async def look() -> Unfinished:
            writes = select(
                CUSTOMERS.c.provider, func.count(), func.min(CUSTOMERS.c.updated_at)
            ).where(CUSTOMERS.c.due_at.is_not(None))
            webhooks = select(WEBHOOKS.c.provider, func.count()).where(
                WEBHOOKS.c.applied_at.is_(None)
            )
            async with self._database.reading() as connection:
                open_writes = {
                    provider: OpenWrites(count, max((now - since).total_seconds(), 0))
                    for provider, count, since in await connection.execute(
                        writes.group_by(CUSTOMERS.c.provider)
                    )
                }
                rows = await connection.execute(webhooks.group_by(WEBHOOKS.c.provider))
                pending = {provider: count for provider, count in rows}  # noqa: C416  # typed
            return Unfinished(open_writes, pending)

        return await self._database.read(look(), deadline)
