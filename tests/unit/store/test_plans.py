"""Every statement of the store uses an index, and their number does not grow with the rows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import Engine, event

from gateway.providers.base.store_lookup import Lookup
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.store import Store
from gateway.store.tables import METADATA
from gateway.store.write_intents import Settlement
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import SHOP, claim, settle, soon, wanted, write

Statement = tuple[str, Any]

SCANS = ("Seq Scan", *(f"SCAN {table}" for table in METADATA.tables))
SORTS = ("Sort", "TEMP B-TREE", "Join")


is_listed: ContextVar[bool] = ContextVar("is_listed", default=False)


@contextmanager
def executed() -> Iterator[list[Statement]]:
    """List the statements of this block, one a round trip, with their first parameters.

    The store's own tasks, which look every second whether other processes are alive, are not part
    of it: they were started in another context.
    """
    statements: list[Statement] = []

    def listen(*parts: Any) -> None:
        _, _, statement, parameters, _, is_many = parts
        if is_listed.get() and not statement.startswith(("BEGIN", "PRAGMA")):
            is_list = is_many and isinstance(parameters, list)
            statements.append((statement, parameters[0] if is_list else parameters))

    event.listen(Engine, "before_cursor_execute", listen)
    token = is_listed.set(True)
    try:
        yield statements
    finally:
        is_listed.reset(token)
        event.remove(Engine, "before_cursor_execute", listen)


@pytest.fixture
def place(url: str) -> DatabaseUrl:
    """Return a place where PostgreSQL scans a table only if no index will do."""
    if url.startswith("postgresql"):
        url += "%20-cenable_seqscan%3Doff%20-cenable_bitmapscan%3Doff"
    return database_url(url, {})


@pytest.fixture
async def record(place: DatabaseUrl, clock: Clock) -> AsyncIterator[Store]:
    """Return a record of some customers and tags, some of them open."""
    opened = await Store.open(place, clock)
    await write(opened, *(wanted(f"c{n:03}", "all", f"v{n % 7}") for n in range(200)))
    mine = await claim(opened, *(wanted(f"d{n}", "all") for n in range(5)))
    await settle(opened, mine, Settlement.UNKNOWN)
    yield opened
    await opened.close()


async def plan(place: DatabaseUrl, statement: Statement) -> str:
    """Return how the database executes a statement."""
    text, parameters = statement
    database = Database(place)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN (COSTS OFF) "
    async with database.reading() as connection:
        rows = (await connection.exec_driver_sql(explain + text, parameters)).all()
    await database.close()
    return "\n".join(str(row[-1]) for row in rows)


LOOKUPS = {
    "segments": (Lookup("segments", size=3, with_total=True), 2),
    "segments after": (Lookup("segments", after=("t", "v3"), size=3), 1),
    "segment": (Lookup("segment", (("t", "all"), ("t", "v1"))), 1),
    "members": (Lookup("members", (("t", "all"),), size=50, with_total=True), 2),
    "members after": (Lookup("members", (("t", "all"),), after=("c100",), size=50), 1),
    "member_count": (Lookup("member_count", (("t", "all"),)), 1),
    "customers": (Lookup("customers", size=50, with_total=True), 2),
    "customers after": (Lookup("customers", after=("c100",), size=50), 1),
    "customer": (Lookup("customer", (("c001",), ("c002",))), 1),
    "assignments": (Lookup("assignments", (("c001",),), size=50, with_total=True), 2),
    "assignments after": (Lookup("assignments", (("c001",),), after=(0, "t", "a"), size=1), 1),
}


@pytest.mark.parametrize("name", LOOKUPS)
async def test_lookup(record: Store, place: DatabaseUrl, name: str) -> None:
    """A lookup takes one statement, and one for its total; each finds its rows by an index.

    A customer's own pairs alone are sorted afterwards: they are few, and no index has their order.
    """
    lookup, count = LOOKUPS[name]
    with executed() as statements:
        await record.look_up(SHOP, lookup)
    assert len(statements) == count
    for statement in statements:
        sorts = () if lookup.what == "assignments" else SORTS
        check(await plan(place, statement), statement, *sorts)


async def test_wanted(record: Store, place: DatabaseUrl) -> None:
    """What a customer is to have is one statement, on an index."""
    with executed() as statements:
        await record.newest_tags(SHOP, "c001")
    assert len(statements) == 1
    check(await plan(place, statements[0]), statements[0])


def check(plan_text: str, statement: Statement, *words: str) -> None:
    """Refuse a plan that reads a whole table, or in which one of these words occurs."""
    for word in (*SCANS, *words):
        assert word not in plan_text, f"{statement[0]}\n{plan_text}"


async def _begin(record: Store, count: int) -> None:
    rows = [wanted(f"c{n:03}", "all", "new", "v1") for n in range(count)]
    begun = await record.write_intents.begin(SHOP, rows, "write", soon())
    await settle(record, begun.claim, Settlement.CONFIRMED)


async def _repeat(record: Store, count: int) -> None:
    [again] = await record.write_intents.overdue([SHOP], soon(), count)
    await settle(record, again, Settlement.CONFIRMED)


async def _once(record: Store, _: int) -> None:
    async def run() -> bytes:
        return b""

    await record.once("key", "input", run, soon())
    await record.once("key", "input", run, soon())
    await record.sweep()


@pytest.mark.parametrize(
    ("write", "few", "many"), [(_begin, 2, 150), (_repeat, 2, 5), (_once, 1, 1)]
)
async def test_write(
    record: Store,
    place: DatabaseUrl,
    write: Callable[[Store, int], Awaitable[None]],
    few: int,
    many: int,
) -> None:
    """A write finds its rows by indexes, in as many statements for many rows as for few."""
    with executed() as for_few:
        await write(record, few)
    with executed() as for_many:
        await write(record, many)
    if write is not _once:
        assert len(for_few) >= len(for_many)
    for statement in for_few + for_many:
        if "budget" in statement[0]:  # too few rows for an index
            continue
        check(await plan(place, statement), statement)
