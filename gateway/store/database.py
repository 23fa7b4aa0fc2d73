"""The engine under the record: connections, transactions, and what goes wrong with them.

SQLite has one writer at a time. Here writers of one process queue for a single connection, first
come, first served; processes wait for each other inside SQLite, for `BUSY_S` at most.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Table, event, exc
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.store.errors import RecordFailed
from gateway.store.location import Place

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

T = TypeVar("T")

BUSY_S: Final = 10
"""How long one waits for a connection, and for other processes' transactions on SQLite."""
CONNECTIONS: Final = 10
"""Of one process: for everything on PostgreSQL, for reading on SQLite."""


class Database:
    """An open database."""

    def __init__(self, place: Place) -> None:
        """Take what is there; nothing is opened before the first transaction."""
        self.is_sqlite = place.path is not None
        self._unfinished: set[asyncio.Task[Any]] = set()
        if place.path is None:
            # Connections are tried before use: a database that was restarted costs no request.
            # Nothing is prepared: plans would be kept from when the tables were empty, until
            # PostgreSQL analyses them; measured, a batch then took ten times as long.
            engine = create_async_engine(
                place.url,
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=BUSY_S,
                pool_pre_ping=True,
                connect_args={"prepare_threshold": None},
            )
            self._writer = self._reader = engine
        else:
            self._writer = _sqlite(place, 1, "BEGIN IMMEDIATE")
            self._reader = _sqlite(place, CONNECTIONS, "BEGIN")

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes. Keep it short. Raises `RecordFailed`."""
        with _failing():
            async with self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that reads. Raises `RecordFailed`."""
        with _failing():
            async with self._reader.connect() as connection:
                yield connection

    def insert(self, table: Table) -> "postgresql.Insert | sqlite.Insert":
        """Return an INSERT that knows ON CONFLICT, in this database's dialect."""
        if self.is_sqlite:
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415  # where there is one

        return postgresql.insert(table)

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this to its end even when the caller is cancelled; `close` waits for it.

        Whatever writes goes through here: a transaction that is cancelled while SQLite's thread
        begins it keeps the lock until the collector finds its connection.
        """
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        await self._writer.dispose()
        await self._reader.dispose()


def _sqlite(place: Place, connections: int, begin: str) -> AsyncEngine:
    # The driver begins no transactions of its own (isolation_level None); see `begin` below.
    engine = create_async_engine(
        place.url,
        pool_size=connections,
        max_overflow=0,
        # Writers queue here, so the last of many waits for the transactions of all before it.
        pool_timeout=3 * BUSY_S,
        connect_args={"isolation_level": None, "timeout": BUSY_S},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        # FULL: a commit is on the disk. NORMAL would survive a kill as well, but not a power
        # failure, and then the record would not know of a call that the provider acted on.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def _failing() -> Iterator[None]:
    """Turn what the database is to blame for into `RecordFailed`; the rest is a bug of ours."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise RecordFailed from error
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise RecordFailed from error
        raise
