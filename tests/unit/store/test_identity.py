"""The index of identities and decisions, on both databases, in several processes."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.domain.entities import Customer, CustomerKey, Ref
from gateway.identity.graph import Decision, LinkOrigin, pair_of
from gateway.identity.normalizing import EMAIL, EXACT
from gateway.identity.rules import Key, Rule, Ruleset
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.identity_reads import Surroundings
from gateway.store.store import Store
from tests.unit.store.conftest import Clock
from tests.unit.store.test_plans import check, executed, plan

RULES = Ruleset(
    [
        Rule("crm", (Key("a", "crm"), Key("b", "crm"), Key("c", "crm")), EXACT),
        Rule("mail", (Key("a", "email"), Key("b", "email")), EMAIL),
    ]
)
SIGHT = ("a", "b", "c")
FIRST, SECOND = b"first-key-first-key-first-key-32", b"second-key-second-key-second-key"


def customer(text: str, crm: str | None = None, email: str | None = None) -> Customer:
    """Return the customer `a1` of the provider `a`."""
    keys = (CustomerKey("id", text), *((CustomerKey("crm", crm),) if crm else ()))
    return Customer(ref=Ref(text[0], text), keys=keys, email=email)


def soon() -> float:
    """Return a deadline."""
    return asyncio.get_running_loop().time() + 30


async def record(store: Store, *customers: Customer) -> None:
    """Record customers as a request does."""
    await store.identity.index.record(store.identity.index.news(customers), soon())


async def persons(store: Store, *refs: str, sight: Sequence[str] = SIGHT) -> list[str]:
    """Return the person of each customer."""
    known = await store.identity.reads.around([Ref(each[0], each) for each in refs], sight, soon())
    graph = known.graph(store.identity.index.rules)
    found = [graph.persons.get(Ref(each[0], each), ()) for each in refs]
    return [" ".join(ref.key for ref in person) for person in found]


@pytest.fixture
def place(url: str) -> DatabaseUrl:
    """Return a place where PostgreSQL scans a table only if no index will do."""
    if url.startswith("postgresql"):
        url += "%20-cenable_seqscan%3Doff"
    return database_url(url, {})


@pytest.fixture
async def store(place: DatabaseUrl, clock: Clock) -> AsyncIterator[Store]:
    """Return an open store with rules."""
    opened = await Store.open(place, clock)
    opened.identity.index.configure(RULES, ())
    yield opened
    await opened.close()


async def test_values_come_and_go(store: Store) -> None:
    """A link lasts as long as the value that makes it, and the customers themselves."""
    await record(
        store, customer("b1", "x"), customer("a1", "x", "M@x"), customer("b2", None, "m@X")
    )
    assert await persons(store, "a1", "b2", "c9") == ["a1 b1", "b2", ""]
    await record(store, customer("c1", "x"))
    assert await persons(store, "b1") == ["a1 b1 c1"]
    assert await persons(store, "b1", sight=("b", "c")) == ["b1 c1"]
    await record(store, customer("b1", "y"))
    assert await persons(store, "a1", "b1", "b2") == ["a1 b2 c1", "b1", "a1 b2 c1"]
    assert await store.identity.reads.with_email(" m@x ", SIGHT, soon()) == [
        Ref("a", "a1"),
        Ref("b", "b2"),
    ]
    await store.identity.index.retire([Ref("b", "b2"), Ref("b", "b8")], soon())
    assert await persons(store, "a1", "b2") == ["a1 c1", ""]
    await store.identity.index.retract("c", "crm", EXACT, "x", soon())
    assert await persons(store, "a1", "c1") == ["a1", "c1"]
    await record(store, customer("b2", None, "m@X"), customer("c1", "x"))
    assert await persons(store, "a1") == ["a1 b2 c1"]


async def test_what_is_known_costs_no_write(store: Store, place: DatabaseUrl) -> None:
    """Not in this process, and in another one only the statement that compares."""
    one = customer("a1", "x", "m@x")
    await record(store, one)
    with executed() as statements:
        await record(store, one)
    assert statements == []
    other = await Store.open(place)
    other.identity.index.configure(RULES, ())
    with executed() as statements:
        await record(other, one)
    assert [text.split()[0] for text, _ in statements if "identity_" in text] == [
        "SELECT",
        "SELECT",
    ]
    await other.close()


async def test_nothing_of_a_value_is_stored(store: Store, place: DatabaseUrl) -> None:
    """Neither an email address nor another key is in any row."""
    await record(store, customer("a1", "secret-crm-4711", "secret@example.com"))
    database = Database(place)
    async with database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM identity_values")).all()
    await database.close()
    assert len(rows) == 2
    assert "secret" not in str(
        [bytes(part) if isinstance(part, memoryview) else part for row in rows for part in row]
    )


async def test_two_replicas(store: Store, place: DatabaseUrl) -> None:
    """Whichever reads the second customer, both have the link; decisions count in both."""
    other = await Store.open(place)
    other.identity.index.configure(RULES, ())
    await asyncio.gather(
        *(record(store, customer(f"a{n}", f"x{n}")) for n in range(8)),
        *(record(other, customer(f"b{n}", f"x{n}"), customer(f"a{n}", f"x{n}")) for n in range(8)),
    )
    for each in (store, other):
        assert all(len(p.split()) == 2 for p in await persons(each, *(f"a{n}" for n in range(8))))

    def block(known: Surroundings) -> Sequence[Decision]:
        assert len(known.numbers) == 2
        pair = pair_of(Ref("a", "a1"), Ref("b", "b1"))
        decision = Decision(
            pair,
            is_link=False,
            origin=LinkOrigin.RULE,
            rule="crm",
            created_at=store.now(),
            created_by="key:x",
            note="no",
        )
        return [decision]

    await other.identity.decisions.decide([Ref("a", "a1"), Ref("b", "b1")], SIGHT, block, soon())
    await record(store, customer("a1", "x1", "new@x"))
    for each in (store, other):
        assert await persons(each, "a1", "b1") == ["a1", "b1"]
    await other.close()


async def test_keys_of_the_index(store: Store) -> None:
    """The first key digests new values, and customers move to it as a value is read again."""
    index = store.identity.index
    index.configure(RULES, (FIRST,))
    await record(store, customer("a1", "x", "m@x"), customer("b1", "x"))
    index.configure(RULES, (SECOND, FIRST))
    assert await persons(store, "a1") == ["a1 b1"]
    assert len(await store.identity.reads.with_email("m@x", SIGHT, soon())) == 1
    await record(store, customer("c1", "x"))
    assert await persons(store, "a1") == ["a1 b1 c1"]
    index.configure(RULES, (SECOND,))
    await record(store, customer("a1", "x", "m@x"))
    assert await persons(store, "a1") == ["a1 b1 c1"]


async def test_every_statement_uses_an_index(store: Store, place: DatabaseUrl) -> None:
    """No statement of a person, of an address or of a recording reads a whole table."""
    await record(
        store, *(customer(f"{p}{n}", f"x{n}", f"m{n}@x") for n in range(60) for p in "abc")
    )
    with executed() as statements:
        assert await persons(store, "a7") == ["a7 b7 c7"]
        await store.identity.reads.with_email("m7@x", SIGHT, soon())
        await record(store, customer("a7", "x7", "other@x"))
        await store.identity.index.retire([Ref("a", "a8")], soon())
    for statement in statements:
        if "identity_" in statement[0] and statement[0].startswith(("SELECT", "WITH")):
            text = await plan(place, statement)
            # The few rows of the constant table of providers are scanned.
            text = (
                text.replace("SCAN sight", "").replace("SCAN near", "").replace("SCAN digests", "")
            )
            check(text, statement)


async def test_a_value_that_very_many_share(store: Store) -> None:
    """It makes no edges, and only some of them are read."""
    everyone = [customer(f"a{n}", None, "info@x") for n in range(150)]
    await record(store, *everyone, customer("b1", None, "info@x"))
    known = await store.identity.reads.around([Ref("b", "b1")], SIGHT, soon())
    assert len({each.customer for each in known.values}) < 120
    assert known.graph(RULES).edges == {}
