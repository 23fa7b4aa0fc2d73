"""Connections and transactions of the store's database, with deadlines.

SQLite has one writer at a time. Writers of one process queue for a single connection, first come,
first served; processes wait for each other inside SQLite, until their own deadlines.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

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
"""The deadline of work that has none of its own, waiting included."""
LEAST_S: Final = 0.5
"""The least time that a write gets, even when its deadline is nearer."""
CONNECTIONS: Final = 10
"""Connections of one process: for everything on PostgreSQL, for reading on SQLite."""
CONNECT_TIMEOUT_S: Final = 5.0
"""The default of `store.connect_timeout_s`."""


class ObserveTransaction(Protocol):
    """Is called when a transaction has ended."""

    def __call__(self, kind: str, took_s: float, *, failed: bool) -> None:
        """Take `read` or `write`, its time with that of waiting, and whether it failed."""


class Database:
    """The store's database."""

    def __init__(
        self, location: DatabaseUrl, connect_timeout_s: float = CONNECT_TIMEOUT_S
    ) -> None:
        """Create the engines; the first transaction opens a connection."""
        self.is_sqlite = location.path is not None
        self._location = location
        self._connect_timeout_s = connect_timeout_s
        self.file = file = None if location.path is None else StoreFile(location.path)
        self.committed_at = -math.inf
        """When a write was last committed, on the loop's clock."""
        self.answered_at = -math.inf
        """When a transaction last succeeded, on the loop's clock."""
        self.write_failures = 0
        """How many writes have failed."""
        self.damaged_at: float | None = None
        """When the database last reported damage, on the loop's clock."""
        self.observe: ObserveTransaction | None = None
        """Called when a transaction has ended."""
        self._unfinished: set[Work[Any]] = set()
        self._after_commit: dict[AsyncConnection, list[Callable[[], None]]] = {}
        if file is None:
            self._writer = self._reader = self._checker = _postgres(location, connect_timeout_s)
        else:
            self._writer = _sqlite(location, file, 1, "BEGIN IMMEDIATE", connect_timeout_s)
            self._reader = _sqlite(location, file, CONNECTIONS, "BEGIN", connect_timeout_s)
            # Behind the writer a check would wait for work that itself waits for a lock.
            self._checker = _sqlite(location, file, 1, "BEGIN IMMEDIATE", connect_timeout_s)
        # Those who wait in SQLAlchemy's pool are not woken when a connection cannot be opened.
        self._turns = {
            self._writer: asyncio.Semaphore(1),
            self._checker: asyncio.Semaphore(1),
            self._reader: asyncio.Semaphore(CONNECTIONS),  # on PostgreSQL the only one
        }

    @asynccontextmanager
    async def writing(self, *, is_check: bool = False) -> AsyncIterator[AsyncConnection]:
        """Open a short transaction for writing. Raises `StoreFailed`.

        It is not committed after the deadline of the work that it is part of. With `is_check` it
        does not queue behind this process's other writes on SQLite.
        """
        try:
            with self._failing(), self._observed("write"):
                engine = self._checker if is_check else self._writer
                async with self._connected(engine) as connection:
                    callbacks = self._after_commit[connection] = []
                    try:
                        async with connection.begin():
                            yield connection
                            if work := current():
                                work.check()
                                # A cancelled commit would leave its outcome unknown.
                                work.may_be_cancelled = False
                    finally:
                        del self._after_commit[connection]
        except StoreFailed:
            self.write_failures += 1
            raise
        self.committed_at = self.answered_at = asyncio.get_running_loop().time()
        for callback in callbacks:
            callback()

    def after_commit(self, connection: AsyncConnection, callback: Callable[[], None]) -> None:
        """Call `callback` after the connection's `writing` transaction is committed."""
        self._after_commit[connection].append(callback)

    @asynccontextmanager
    async def reading(self, *, is_snapshot: bool = False) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for reading. Raises `StoreFailed`.

        With `is_snapshot` all of its statements see the same state; on SQLite they always do.
        """
        with self._failing(), self._observed("read"):
            async with self._connected(self._reader) as connection:
                if is_snapshot and not self.is_sqlite:
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection
                self.answered_at = asyncio.get_running_loop().time()

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[AsyncIterator[Any]]:
        """Listen on a separate PostgreSQL connection; yield an iterator of notifications.

        `channel` must be a safe SQL identifier. Raises `StoreFailed`, also when the connection
        is lost.
        """
        import psycopg  # noqa: PLC0415  # where there is one

        engine = _postgres(self._location, self._connect_timeout_s, poolclass=NullPool)
        try:
            with failing():
                async with engine.connect() as connection:
                    raw: Any = (await connection.get_raw_connection()).driver_connection
                    await raw.set_autocommit(True)  # psycopg delivers only outside transactions
                    await raw.execute(f"LISTEN {channel}")
                    yield raw.notifies()
        except psycopg.Error as error:  # of the driver itself: nothing of SQLAlchemy is between
            raise failed(error) from error
        finally:
            await engine.dispose()

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many are idle."""
        pools: Any = {self._writer.pool, self._reader.pool}
        return sum(each.checkedout() for each in pools), sum(each.checkedin() for each in pools)

    @contextmanager
    def _observed(self, kind: str) -> Iterator[None]:
        if self.observe is None:
            yield
            return
        started, failed = time.perf_counter(), True
        try:
            yield
            failed = False
        finally:
            self.observe(kind, time.perf_counter() - started, failed=failed)

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
        async with self._turns[engine], engine.connect() as connection:
            if work is not None:
                # Waiting for a connection can be cancelled, SQLite's thread cannot.
                work.may_be_cancelled = not self.is_sqlite
                work.check()
            yield connection

    async def session(self) -> AsyncConnection:
        """Open a PostgreSQL connection in autocommit mode, which the caller must close.

        Raises `StoreFailed`.
        """
        with self._failing():
            connection = await self._writer.connect()
            try:
                return await connection.execution_options(isolation_level="AUTOCOMMIT")
            except BaseException:
                await connection.close()
                raise

    def insert(self, table: Table) -> "postgresql.Insert | sqlite.Insert":
        """Return an INSERT that supports ON CONFLICT, in the database's dialect."""
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
        """Run work that writes, even if the caller is cancelled; `close` waits for it.

        `deadline` is on the event loop's clock; None is `BUSY_S` from now. At the deadline
        `StoreFailed` is raised and nothing is committed afterwards, with one exception: a commit
        that was in progress may still succeed. `undo` is then run with the work's result.
        """
        now = asyncio.get_running_loop().time()
        until = now + BUSY_S if deadline is None else max(deadline, now + LEAST_S)
        return await self._start(work, until, undo).result

    async def read(self, work: Coroutine[Any, Any, T], deadline: float | None = None) -> T:
        """Run work that only reads, until the deadline or until the caller is cancelled."""
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
        """Wait for unfinished work, at most `2 * BUSY_S` seconds, and close all connections."""
        if self._unfinished:
            await asyncio.wait([work.task for work in self._unfinished], timeout=2 * BUSY_S)
        for engine in {self._writer, self._reader, self._checker}:
            await engine.dispose()


def _postgres(
    location: DatabaseUrl, connect_timeout_s: float, poolclass: type[Pool] | None = None
) -> AsyncEngine:
    # A connection to a peer that vanished fails after the same time as a new connection.
    timeouts = {
        "connect_timeout": math.ceil(connect_timeout_s),
        "tcp_user_timeout": math.ceil(connect_timeout_s * 1000),
    }
    defaults = {name: value for name, value in timeouts.items() if name not in location.url.query}
    # Connections are tested before use, so that a restart of the database fails no request.
    # Statements are not prepared: plans from when the tables were empty would stay in use until
    # PostgreSQL analyses the tables; measured, a batch then took ten times as long.
    pool: dict[str, Any] = {
        "pool_size": CONNECTIONS + 2,  # for the sessions of `SessionPresence` and `Leadership`
        "max_overflow": 0,
        "pool_timeout": None,  # each piece of work has a deadline
        "pool_pre_ping": True,
    }
    return create_async_engine(
        location.url,
        connect_args={"prepare_threshold": None, **defaults},
        **(pool if poolclass is None else {"poolclass": poolclass}),
    )


def _sqlite(
    location: DatabaseUrl, file: StoreFile, connections: int, begin: str, timeout_s: float
) -> AsyncEngine:
    from gateway.store.sqlite_driver import DRIVER  # noqa: PLC0415  # not for PostgreSQL

    # A file that was moved away must not be created anew: the new file would be empty, its
    # connection would stay in the pool, and SQLite deletes the write-ahead log of an empty file.
    existing = location.url.set(database=file.uri, query={"mode": "rw", "uri": "true"})
    # The driver begins no transactions of its own (isolation_level None); see `on_begin` below.
    engine = create_async_engine(
        existing,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=None,  # each piece of work has a deadline
        connect_args={"isolation_level": None, "timeout": timeout_s},
        module=DRIVER,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_open(*_: Any) -> None:
        # The driver's thread opens the file, and would not be waited for if it were cancelled.
        if work := current():
            work.may_be_cancelled = False

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        # FULL: a commit is on the disk. NORMAL survives a kill, but not a power failure: the
        # store could then lack a call that the provider acted on.
        connection.execute("PRAGMA synchronous = FULL")
        try:
            file.check()  # again: it may have been replaced since the last check
        except StoreFailed:
            connection.close()
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        # Both statements in one turn of the driver's thread. SQLite stops waiting before the
        # deadline, so that its own error is reported, and the thread is free again.
        work = current()
        left_s = timeout_s if work is None else max(work.left_s * 0.8, 0)
        script = f"PRAGMA busy_timeout = {math.ceil(left_s * 1000)}; {begin}"
        connection.connection.dbapi_connection.run_async(  # type: ignore[union-attr]  # open
            lambda driver: driver.executescript(script)
        )

    return engine
