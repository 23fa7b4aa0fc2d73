"""The engine under the record: connections, transactions, and their deadlines.

SQLite has one writer at a time. Here writers of one process queue for a single connection, first
come, first served; processes wait for each other inside SQLite, until the deadline of whoever
waits.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, NullPool, Pool, Table, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.store.database_url import DatabaseUrl
from gateway.store.deadlines import Work, current
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.failures import failed, failing
from gateway.store.file import StoreFile

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

T = TypeVar("T")

BUSY_S: Final = 10
"""How long work without a deadline of its own may take, waiting included."""
LEAST_S: Final = 0.5
"""What a write has at least: its deadline may be near when it comes to be recorded."""
CONNECTIONS: Final = 10
"""Of one process: for everything on PostgreSQL, for reading on SQLite."""
CONNECT_TIMEOUT_S: Final = 5.0
"""The default of `store.connect_timeout_s`."""


class Database:
    """An open database."""

    def __init__(self, place: DatabaseUrl, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Take what is there; nothing is opened before the first transaction."""
        self.is_sqlite = place.path is not None
        self._place = place
        self._connect_timeout_s = connect_timeout_s
        self.file = None if place.path is None else StoreFile(place.path)
        self.committed_at = -math.inf
        """When a write was committed last, on the loop's clock."""
        self.write_failures = 0
        """How many writes the database failed."""
        self.damaged_at: float | None = None
        """When it said that it is damaged, last."""
        self._unfinished: set[Work[Any]] = set()
        self._after_commit: dict[AsyncConnection, list[Callable[[], None]]] = {}
        if place.path is None:
            self._writer = self._reader = _postgres(place, connect_timeout_s)
        else:
            self._writer = _sqlite(place, 1, "BEGIN IMMEDIATE", connect_timeout_s)
            self._reader = _sqlite(place, CONNECTIONS, "BEGIN", connect_timeout_s)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes. Keep it short. Raises `StoreFailed`.

        It is committed unless the deadline of the work that it is part of has passed.
        """
        try:
            with self._failing():
                async with self._connected(self._writer) as connection:
                    callbacks = self._after_commit[connection] = []
                    try:
                        async with connection.begin():
                            yield connection
                            if work := current():
                                work.check()
                                # Whether it was committed has to be known, however long it takes.
                                work.may_be_cancelled = False
                    finally:
                        del self._after_commit[connection]
        except StoreFailed:
            self.write_failures += 1
            raise
        self.committed_at = asyncio.get_running_loop().time()
        for callback in callbacks:
            callback()

    def after_commit(self, connection: AsyncConnection, callback: Callable[[], None]) -> None:
        """Call this once the transaction of `writing` that this connection is in is committed."""
        self._after_commit[connection].append(callback)

    @asynccontextmanager
    async def reading(self, *, is_snapshot: bool = False) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that reads. Raises `StoreFailed`.

        `is_snapshot`: all of its statements see the same state. On SQLite they always do.
        """
        with self._failing():
            async with self._connected(self._reader) as connection:
                if is_snapshot and not self.is_sqlite:
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[AsyncIterator[Any]]:
        """Listen on a connection of its own (PostgreSQL). Raises `StoreFailed`, also when it ends.

        `channel` is an identifier of ours.
        """
        import psycopg  # noqa: PLC0415  # where there is one

        engine = _postgres(self._place, self._connect_timeout_s, poolclass=NullPool)
        try:
            with failing():
                async with engine.connect() as connection:
                    raw: Any = (await connection.get_raw_connection()).driver_connection
                    await raw.set_autocommit(True)  # psycopg delivers outside transactions alone
                    await raw.execute(f"LISTEN {channel}")
                    yield raw.notifies()
        except psycopg.Error as error:  # of the driver itself: nothing of SQLAlchemy is between
            raise failed(error) from error
        finally:
            await engine.dispose()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with failing():
                yield
        except StoreFailed as error:
            if error.state is StoreState.DAMAGED:
                self.damaged_at = asyncio.get_running_loop().time()
            raise

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        if self.file is not None:
            self.file.check()
        work = current()
        async with engine.connect() as connection:
            if work is not None:
                # Waiting for a connection can be cancelled, a thread of SQLite cannot.
                work.may_be_cancelled = not self.is_sqlite
                work.check()
            yield connection

    async def session(self) -> AsyncConnection:
        """Open a connection of PostgreSQL for as long as its caller needs it, to be closed by it.

        Each statement is a transaction of its own. Raises `StoreFailed`.
        """
        with self._failing():
            connection = await self._writer.connect()
            try:
                return await connection.execution_options(isolation_level="AUTOCOMMIT")
            except BaseException:
                await connection.close()
                raise

    def insert(self, table: Table) -> "postgresql.Insert | sqlite.Insert":
        """Return an INSERT that knows ON CONFLICT, in this database's dialect."""
        if self.is_sqlite:
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415  # where there is one

        return postgresql.insert(table)

    async def finish(
        self,
        work: Coroutine[Any, Any, T],
        deadline: float | None = None,
        undo: Callable[[T], Coroutine[Any, Any, object]] | None = None,
    ) -> T:
        """Do this until the deadline, also when the caller is cancelled; `close` waits for it.

        Whatever writes goes through here. The deadline is on the event loop's clock; None is
        `BUSY_S` from now. Raises `StoreFailed` at the deadline, and nothing is committed then,
        unless the commit itself was under way: when that turns out to have come about, `undo` is
        done with what the work returned.
        """
        now = asyncio.get_running_loop().time()
        until = now + BUSY_S if deadline is None else max(deadline, now + LEAST_S)
        return await self._start(work, until, undo).result

    async def read(self, work: Coroutine[Any, Any, T], deadline: float | None = None) -> T:
        """Do this until the deadline, or until the caller is cancelled, and change nothing."""
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + BUSY_S
        started = self._start(work, deadline)
        try:
            return await started.result
        except asyncio.CancelledError:
            started.give_up()
            raise

    def _start(
        self,
        work: Coroutine[Any, Any, T],
        deadline: float,
        undo: Callable[[T], Coroutine[Any, Any, object]] | None = None,
    ) -> Work[T]:
        def ended(started: Work[T]) -> None:
            self._unfinished.discard(started)
            if undo is not None and started.is_late:
                until = asyncio.get_running_loop().time() + BUSY_S
                self._start(undo(started.task.result()), until)

        started = Work(work, deadline, ended)
        self._unfinished.add(started)
        return started

    async def close(self) -> None:
        """Close all connections, once all work is over or its time is."""
        if self._unfinished:
            await asyncio.wait([work.task for work in self._unfinished], timeout=2 * BUSY_S)
        await self._writer.dispose()
        await self._reader.dispose()


def _postgres(
    place: DatabaseUrl, connect_timeout_s: float, poolclass: type[Pool] | None = None
) -> AsyncEngine:
    # A peer that vanished ends a connection after the same time as one that is not there.
    timeouts = {
        "connect_timeout": math.ceil(connect_timeout_s),
        "tcp_user_timeout": math.ceil(connect_timeout_s * 1000),
    }
    given = {name: value for name, value in timeouts.items() if name not in place.url.query}
    # Connections are tried before use: a database that was restarted costs no request.
    # Nothing is prepared: plans would be kept from when the tables were empty, until
    # PostgreSQL analyses them; measured, a batch then took ten times as long.
    pool: dict[str, Any] = {
        "pool_size": CONNECTIONS + 1,  # one is the session whose lock shows that the process lives
        "max_overflow": 0,
        "pool_timeout": None,  # each piece of work has a deadline
        "pool_pre_ping": True,
    }
    return create_async_engine(
        place.url,
        connect_args={"prepare_threshold": None, **given},
        **(pool if poolclass is None else {"poolclass": poolclass}),
    )


def _sqlite(place: DatabaseUrl, connections: int, begin: str, timeout_s: float) -> AsyncEngine:
    # The driver begins no transactions of its own (isolation_level None); see `begun` below.
    engine = create_async_engine(
        place.url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=None,  # each piece of work has a deadline
        connect_args={"isolation_level": None, "timeout": timeout_s},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        # FULL: a commit is on the disk. NORMAL would survive a kill as well, but not a power
        # failure, and then the record would not know of a call that the provider acted on.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # Both in one go of the driver's thread. It ends before the deadline: SQLite says then who
        # is to blame, and the thread is free again.
        work = current()
        left_s = timeout_s if work is None else max(work.left_s * 0.8, 0)
        script = f"PRAGMA busy_timeout = {math.ceil(left_s * 1000)}; {begin}"
        connection.connection.dbapi_connection.run_async(  # type: ignore[union-attr]  # open
            lambda driver: driver.executescript(script)
        )

    return engine
