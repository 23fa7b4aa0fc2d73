import asyncio

import pytest

from gateway.domain.mutations import Replacement, Tag
from gateway.providers.base.store_lookup import Lookup
from gateway.store.errors import StoreBusy, Unrecordable
from gateway.store.limits import MAX_STORED_BYTES
from gateway.store.store import Store
from gateway.store.write_intents import Settlement
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import (
    CONFIRMED,
    PENDING,
    SHOP,
    UNCONFIRMED,
    assignments,
    begin,
    claim,
    counts,
    knows,
    overdue,
    settle,
    shown,
    soon,
    wanted,
    write,
)


async def test_pending(record: Store) -> None:
    """While a write is open, a customer has what was confirmed and what is wanted, PENDING."""
    await write(record, wanted("ada", "gold", "early"))
    mine = await claim(record, wanted("ada", "gold", "late"))
    assert mine.rows == (Replacement("ada", [Tag("t", "gold"), Tag("t", "late")]),)
    assert await shown(record, "ada") == (PENDING, {"gold", "early", "late"})
    assert await record.newest_tags(SHOP, "ada") == [Tag("t", "gold"), Tag("t", "late")]


@pytest.mark.parametrize(
    ("settlement", "expected"),
    [
        (Settlement.CONFIRMED, (CONFIRMED, {"gold", "late"})),
        (Settlement.NOT_APPLIED, (CONFIRMED, {"gold", "early"})),
        (Settlement.UNKNOWN, (UNCONFIRMED, {"gold", "early", "late"})),
    ],
)
async def test_settled(
    record: Store, settlement: Settlement, expected: tuple[object, set[str]]
) -> None:
    """The wanted rows, the rows as they were, or all of them: by what is known of the call."""
    await write(record, wanted("ada", "gold", "early"), wanted("bob", "gold"))
    mine = await claim(record, wanted("ada", "gold", "late"))
    assert await settle(record, mine, settlement) == set()
    assert await shown(record, "ada") == expected
    assert await shown(record, "bob") == (CONFIRMED, {"gold"})


async def test_settled_in_parts(record: Store) -> None:
    """Customers of one claim are settled each for itself, also one after the other."""
    mine = await claim(record, wanted("ada", "x"), wanted("bob", "x"), wanted("eve", "x"))
    await record.write_intents.settle(mine, {"ada": Settlement.CONFIRMED})
    await record.write_intents.settle(mine, {"bob": Settlement.UNKNOWN})
    assert [await shown(record, name) for name in ("ada", "bob", "eve")] == [
        (CONFIRMED, {"x"}),
        (UNCONFIRMED, {"x"}),
        (PENDING, {"x"}),
    ]


async def test_times(record: Store, clock: Clock) -> None:
    """An assignment keeps the time when it was first recorded, however often it is repeated."""
    began = clock.now
    await write(record, wanted("ada", "x"))
    clock.pass_by(hours=1)
    await write(record, wanted("ada", "x", "y"))
    rows = (await assignments(record, "ada")).rows
    assert [(row.value, row.created_at, row.updated_at) for row in rows] == [
        ("x", began, began),
        ("y", clock.now, clock.now),
    ]


async def test_cleared(record: Store) -> None:
    """A customer who was confirmed to have nothing is recorded, with no assignment."""
    await write(record, wanted("ada"))
    assert await shown(record, "ada") is None
    assert await knows(record, "ada")
    await write(record, wanted("ada", "x"))
    await write(record, wanted("ada"))
    assert await shown(record, "ada") is None
    assert await counts(record) == {"customers": 1, "tags": 0}


async def test_never_was(record: Store) -> None:
    """Of a customer whom the provider left out nothing is recorded, unless something was."""
    mine = await claim(record, wanted("ada", "x"))
    assert await knows(record, "ada")
    await settle(record, mine, Settlement.NOT_APPLIED)
    assert not await knows(record, "ada")
    assert await counts(record) == {"customers": 0, "tags": 0}


async def test_counts(record: Store) -> None:
    """Customers, tags and members are counted as they come and go, open writes included."""
    await write(record, wanted("ada", "x", "y"), wanted("bob", "x"))
    assert await counts(record) == {"customers": 2, "tags": 2, "x": 2, "y": 1}
    mine = await claim(record, wanted("ada", "z"), wanted("eve", "x"))
    assert await counts(record) == {"customers": 3, "tags": 3, "x": 3, "y": 1, "z": 1}
    await settle(record, mine, Settlement.CONFIRMED)
    assert await counts(record) == {"customers": 3, "tags": 2, "x": 2, "z": 1}


async def test_providers(record: Store) -> None:
    """What one provider was told is nothing to another one."""
    await write(record, wanted("ada", "x"))
    rows = [wanted("ada", "y")]
    begun = await record.write_intents.begin("other", rows, "write", soon())
    assert await shown(record, "ada") == (CONFIRMED, {"x"})
    assert await counts(record) == {"customers": 1, "tags": 1, "x": 1}
    assert [row.customer for row in begun.claim.rows] == ["ada"]
    assert await record.write_intents.overdue(["shop", "nobody"], soon()) == []


async def test_busy(record: Store) -> None:
    """A second writer waits, and gives up at its deadline without having changed anything."""
    await claim(record, wanted("ada", "x"))
    with pytest.raises(StoreBusy, match="Another write to the same customers of provider 'shop'"):
        await begin(record, wanted("ada", "y"), deadline=soon(0.05))
    assert await shown(record, "ada") == (PENDING, {"x"})


async def test_waiting(record: Store) -> None:
    """A second writer goes on as soon as the first has settled, and what it wants stands."""
    first = await claim(record, wanted("ada", "x"))
    second = asyncio.create_task(claim(record, wanted("ada", "y")))
    await settle(record, first, Settlement.CONFIRMED)
    await settle(record, await second, Settlement.CONFIRMED)
    assert await shown(record, "ada") == (CONFIRMED, {"y"})


async def test_partly(record: Store) -> None:
    """Of many customers those who are free are begun at once, the others are left for later."""
    first = await claim(record, wanted("bob", "x"))
    begun = await begin(record, wanted("eve", "y"), wanted("bob", "y"), wanted("ada", "y"))
    assert [row.customer for row in begun.claim.rows] == ["eve", "ada"]
    assert begun.left == (wanted("bob", "y"),)
    await settle(record, first, Settlement.CONFIRMED)
    assert (await begin(record, *begun.left)).left == ()


async def test_nothing(record: Store) -> None:
    """Nothing to begin is begun at once."""
    begun = await begin(record, deadline=soon(0))
    assert (begun.claim.rows, begun.left) == ((), ())


async def test_misuse(record: Store) -> None:
    """A customer occurs once in a write, and only those of a claim can be settled by it."""
    with pytest.raises(ValueError, match="A customer occurs twice"):
        await begin(record, wanted("ada", "x"), wanted("ada", "y"))
    mine = await claim(record, wanted("ada", "x", "x"))
    with pytest.raises(ValueError, match="not of this claim"):
        await record.write_intents.settle(mine, {"bob": Settlement.CONFIRMED})
    assert await counts(record) == {"customers": 1, "tags": 1, "x": 1}


@pytest.mark.parametrize(
    ("customer", "value"),
    [("a\0", "x"), ("ada", "\ud800"), ("ada", "ß" * (MAX_STORED_BYTES // 2))],
    ids=["nul", "half a pair", "long"],
)
async def test_unrecordable(record: Store, customer: str, value: str) -> None:
    """What cannot be recorded is refused before anything is, and looked up it is not there."""
    with pytest.raises(Unrecordable):
        await begin(record, wanted("bob", "x"), wanted(customer, value))
    assert await counts(record) == {"customers": 0, "tags": 0}
    assert not await knows(record, customer)
    assert await record.newest_tags(SHOP, customer) == []
    lookup = Lookup("member_count", (("t", value),))
    assert await record.look_up(SHOP, lookup) == 0


async def test_longest(record: Store) -> None:
    """Texts up to the limit are recorded, whatever they hold."""
    value = "".join(chr(33 + i * 7919 % 90) for i in range(MAX_STORED_BYTES - len("shopadat")))
    await write(record, wanted("ada", value))
    assert await shown(record, "ada") == (CONFIRMED, {value})


async def test_repeat(record: Store, clock: Clock) -> None:
    """A write of unknown outcome is repeated at once, then after growing pauses, until settled."""
    await settle(record, await claim(record, wanted("ada", "x")), Settlement.UNKNOWN)
    for pause in (1, 2, 4, 8, 15, 15):
        [again] = await record.write_intents.overdue([SHOP], soon(0))
        assert again.is_repeat
        assert await overdue(record) == {}
        assert await shown(record, "ada") == (UNCONFIRMED, {"x"})
        assert await settle(record, again, Settlement.UNKNOWN) == set()
        clock.pass_by(minutes=pause, microseconds=-1)
        assert await overdue(record) == {}
        clock.pass_by(microseconds=1)
    [again] = await record.write_intents.overdue([SHOP], soon(0))
    assert await settle(record, again, Settlement.CONFIRMED) == set()
    assert await shown(record, "ada") == (CONFIRMED, {"x"})
    clock.pass_by(days=1)
    assert await overdue(record) == {}


async def test_repeat_is_refused(record: Store, clock: Clock) -> None:
    """A provider that does not do the repeated write has not told what became of the first."""
    await write(record, wanted("ada", "x"))
    await settle(record, await claim(record, wanted("ada", "y")), Settlement.UNKNOWN)
    [again] = await record.write_intents.overdue([SHOP], soon(0))
    await settle(record, again, Settlement.NOT_APPLIED)
    assert await shown(record, "ada") == (UNCONFIRMED, {"x", "y"})
    clock.pass_by(minutes=1)
    assert await overdue(record) == {"ada": {"y"}}


async def test_crash(record: Store, clock: Clock) -> None:
    """A write whose process died is anybody's when its lease ends, and not before."""
    await claim(record, wanted("ada", "x"))
    clock.pass_by(seconds=60)
    assert await overdue(record) == {}
    assert await shown(record, "ada") == (PENDING, {"x"})
    clock.pass_by(seconds=5)
    assert await overdue(record) == {"ada": {"x"}}


async def test_some_at_a_time(record: Store, clock: Clock) -> None:
    """Recovery takes as many as it asks for, those longest due first."""
    for name in ("eve", "bob", "ada"):
        await settle(record, await claim(record, wanted(name, "x")), Settlement.UNKNOWN)
        clock.pass_by(seconds=1)
    assert await overdue(record, 2) == {"eve": {"x"}, "bob": {"x"}}
    assert await overdue(record, 2) == {"ada": {"x"}}


async def test_newer_wins(record: Store) -> None:
    """A new write takes the place of one of unknown outcome; what that one did may be there."""
    await write(record, wanted("ada", "x"))
    await settle(record, await claim(record, wanted("ada", "y")), Settlement.UNKNOWN)
    newer = await claim(record, wanted("ada", "z"))
    assert await shown(record, "ada") == (PENDING, {"x", "y", "z"})
    assert await overdue(record) == {}
    await settle(record, newer, Settlement.CONFIRMED)
    assert await shown(record, "ada") == (CONFIRMED, {"z"})


async def test_newer_did_nothing(record: Store, clock: Clock) -> None:
    """A new write that did nothing leaves the older one as it was: unknown, and repeated."""
    await write(record, wanted("ada", "x"))
    await settle(record, await claim(record, wanted("ada", "y")), Settlement.UNKNOWN)
    await settle(record, await claim(record, wanted("ada", "z")), Settlement.NOT_APPLIED)
    assert await shown(record, "ada") == (UNCONFIRMED, {"x", "y"})
    clock.pass_by(minutes=1)
    assert await overdue(record) == {"ada": {"y"}}


@pytest.mark.parametrize("newer", Settlement)
async def test_late(record: Store, clock: Clock, newer: Settlement) -> None:
    """A write that outlives its lease and was done: nobody knows the order, so it is repeated."""
    late = await claim(record, wanted("ada", "x"))
    clock.pass_by(minutes=2)
    mine = await claim(record, wanted("ada", "y"))
    await settle(record, mine, newer)
    assert await settle(record, late, Settlement.CONFIRMED) == {"ada"}
    did_nothing = newer is Settlement.NOT_APPLIED
    assert await shown(record, "ada") == (UNCONFIRMED, {"x"} if did_nothing else {"x", "y"})
    clock.pass_by(minutes=1)
    assert await overdue(record) == {"ada": {"x"} if did_nothing else {"y"}}


async def test_late_between(record: Store, clock: Clock) -> None:
    """A late outcome spoils the newer write's too, which is repeated when its lease ends."""
    late = await claim(record, wanted("ada", "x"))
    clock.pass_by(minutes=2)
    mine = await claim(record, wanted("ada", "y"))
    assert await settle(record, late, Settlement.UNKNOWN) == {"ada"}
    assert await shown(record, "ada") == (UNCONFIRMED, {"x", "y"})
    assert await settle(record, mine, Settlement.CONFIRMED) == {"ada"}
    assert await shown(record, "ada") == (UNCONFIRMED, {"x", "y"})
    with pytest.raises(StoreBusy):
        await begin(record, wanted("ada", "z"), deadline=soon(0))
    clock.pass_by(minutes=2)
    assert await overdue(record) == {"ada": {"y"}}


async def test_late_and_nothing(record: Store, clock: Clock) -> None:
    """A late outcome of a write that did nothing changes nothing."""
    late = await claim(record, wanted("ada", "x"))
    clock.pass_by(minutes=2)
    await write(record, wanted("ada", "y"))
    assert await settle(record, late, Settlement.NOT_APPLIED) == {"ada"}
    assert await shown(record, "ada") == (CONFIRMED, {"y"})


async def test_cancelled(record: Store) -> None:
    """A caller who is cancelled while it settles has settled."""
    mine = await claim(record, wanted("ada", "x"))
    settling = asyncio.create_task(settle(record, mine, Settlement.CONFIRMED))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    await write(record, wanted("ada", "x", "y"))
    assert await shown(record, "ada") == (CONFIRMED, {"x", "y"})


async def test_no_names(record: Store) -> None:
    """A claim's repr names no customer."""
    mine = await claim(record, wanted("ada", "x"))
    assert repr(mine) == "LeasedIntent('shop', 1 customers)"
