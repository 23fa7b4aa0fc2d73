"""Ways in which a database fails a running gateway, and how each is healed."""

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from gateway.store.errors import StoreState
from gateway.store.tables import METADATA
from tests.resilience.store.cluster import Cluster

PAGE = 4096
LISTENERS: list[Callable[[Connection], None]] = []
"""What is to be taken off the engines when a test is over."""


class Way(NamedTuple):
    """How a database fails."""

    disturbed: Callable[..., contextlib.AbstractContextManager[None]]
    """Given the file or the cluster: fails it, and heals it at the end."""
    state: StoreState
    reads: bool
    """Whether it can still be read."""
    heals: bool = True
    """Whether the running gateway goes on afterwards."""
    starts: bool | None = False
    """Whether another gateway starts meanwhile; None: it would make a file of its own."""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock for writing, as another program would."""
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            held.set()
            end.wait(60)
            connection.execute("ROLLBACK")

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(10)
    try:
        yield
    finally:
        end.set()
        holding.join()


def _by_itself(
    broken: Sequence[str], whole: str
) -> Callable[[Path], contextlib.AbstractContextManager[None]]:
    """Return a way that SQLite itself has: statements that stand before all that is written."""

    @contextlib.contextmanager
    def disturbed(_: Path) -> Iterator[None]:
        statements = broken

        def begun(connection: Connection) -> None:
            if getattr(connection.engine.pool, "size", int)() == 1:
                for statement in statements:
                    connection.exec_driver_sql(statement)

        event.listen(Engine, "begin", begun)
        LISTENERS.append(begun)
        yield
        statements = [whole]

    return disturbed


@contextlib.contextmanager
def _overwritten(path: Path) -> Iterator[None]:
    """Overwrite all pages but the first, which says what tables there are."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(PAGE)
        file.write(b"\xa5" * (size - PAGE))
    yield


@contextlib.contextmanager
def _moved(path: Path) -> Iterator[None]:
    """Delete the file; put it back."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    yield
    aside.rename(path)


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[None]:
    """Replace it by a copy, as when a backup is restored."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    copy.replace(path)
    yield


@contextlib.contextmanager
def _truncated(path: Path) -> Iterator[None]:
    """Cut the file in half."""
    os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE)
    yield


SQLITE = {
    "locked by another program": Way(_locked, StoreState.LOCKED, reads=True, starts=True),
    "read-only": Way(
        _by_itself(["PRAGMA query_only = 1"], "PRAGMA query_only = 0"),
        StoreState.READ_ONLY,
        reads=True,
        starts=True,
    ),
    "disk full": Way(
        _by_itself(
            ["PRAGMA max_page_count = 1", "CREATE TABLE one_page_more (x)"],
            "PRAGMA max_page_count = 1073741823",
        ),
        StoreState.FULL,
        reads=True,
        starts=True,
    ),
    "overwritten": Way(_overwritten, StoreState.DAMAGED, reads=False, heals=False),
    "deleted": Way(_moved, StoreState.REPLACED, reads=False, starts=None),
    "replaced": Way(_replaced, StoreState.REPLACED, reads=False, heals=False, starts=True),
    "truncated": Way(_truncated, StoreState.REPLACED, reads=False, heals=False),
}


@contextlib.contextmanager
def _frozen(cluster: Cluster) -> Iterator[None]:
    cluster.freeze()
    yield
    cluster.thaw()


@contextlib.contextmanager
def _stopped(cluster: Cluster) -> Iterator[None]:
    cluster.stop()
    yield
    cluster.start()


@contextlib.contextmanager
def _tables_locked(cluster: Cluster) -> Iterator[None]:
    """Hold all tables, as a careless ALTER TABLE in a second connection does."""
    with psycopg.connect(cluster.url()) as connection:
        names = ", ".join(["alembic_version", *METADATA.tables])
        connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        connection.rollback()


@contextlib.contextmanager
def _read_only(cluster: Cluster) -> Iterator[None]:
    name = "default_transaction_read_only"
    cluster.sql(f"ALTER SYSTEM SET {name} = on", "SELECT pg_reload_conf()")
    yield
    cluster.sql(f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()")


@contextlib.contextmanager
def _pages_overwritten(cluster: Cluster) -> Iterator[None]:
    """Overwrite tables and indexes on the disk; empty them in the end, which makes new files."""
    names = ", ".join(f"'{name}'" for name in METADATA.tables)
    rows = cluster.sql(
        "CHECKPOINT",
        "SELECT pg_relation_filepath(c.oid) "  # noqa: S608  # names of ours
        "FROM pg_class c LEFT JOIN pg_index ON indexrelid = c.oid "
        f"WHERE c.oid::regclass::text IN ({names}) OR indrelid::regclass::text IN ({names})",
    )
    cluster.stop()
    for (name,) in rows:
        file = cluster.data / name
        if size := file.stat().st_size:
            file.write_bytes(b"\xa5" * size)
    cluster.start()
    yield
    cluster.sql(f"TRUNCATE {', '.join(METADATA.tables)}")


POSTGRES = {
    "frozen": Way(_frozen, StoreState.FROZEN, reads=False),
    "down": Way(_stopped, StoreState.DOWN, reads=False),
    "tables locked": Way(_tables_locked, StoreState.FROZEN, reads=False),
    "read-only": Way(_read_only, StoreState.READ_ONLY, reads=True, starts=True),
    "overwritten": Way(_pages_overwritten, StoreState.DAMAGED, reads=False, starts=True),
}
