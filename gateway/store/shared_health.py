"""Share what each process knows of the health of providers with the others of the store.

All times are the database's, so that the clocks of replicas need not agree on who is alive.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select

from gateway.store.database import Database
from gateway.store.shared_budgets import database_clock
from gateway.store.tables import PROVIDER_HEALTH

VALID_S: Final = 15.0
"""A report that was not repeated for this long is that of a process that is gone."""


class SharedHealth:
    """The reports of one database's processes."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    async def publish(self, process: str, report: bytes, deadline: float | None = None) -> None:
        """Replace the report of a process. Raises `StoreFailed`."""

        async def work() -> None:
            async with self._database.writing() as connection:
                now = await database_clock(self._database, connection)
                row = {"process": process, "at": now, "report": report}
                insert = self._database.insert(PROVIDER_HEALTH).values(row)
                await connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=["process"], set_={"at": now, "report": report}
                    )
                )
                await connection.execute(
                    delete(PROVIDER_HEALTH).where(PROVIDER_HEALTH.c.at < now - VALID_S)
                )

        await self._database.finish(work(), deadline)

    async def others(self, process: str, deadline: float | None = None) -> Sequence[bytes]:
        """Return the reports of the other processes. Raises `StoreFailed`."""

        async def work() -> Sequence[bytes]:
            of = PROVIDER_HEALTH.c
            async with self._database.reading() as connection:
                now = await database_clock(self._database, connection)
                query = select(of.report).where(of.process != process, of.at >= now - VALID_S)
                return (await connection.execute(query.order_by(of.process))).scalars().all()

        return await self._database.read(work(), deadline)

    async def withdraw(self, process: str, deadline: float | None = None) -> None:
        """Delete the report of a process that ends. Raises `StoreFailed`."""

        async def work() -> None:
            async with self._database.writing() as connection:
                await connection.execute(
                    delete(PROVIDER_HEALTH).where(PROVIDER_HEALTH.c.process == process)
                )

        await self._database.finish(work(), deadline)
