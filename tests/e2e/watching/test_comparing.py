"""Comparing members: what it appends, what it calls, and what it never takes for a change."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from gateway.changes.comparing import SegmentComparer
from gateway.domain.change_log import (
    AssignmentChange,
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Cursor,
    SegmentChange,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.domain.sizes import SizeInterval, SizePoint
from gateway.errors import Broken, ProviderError, Refused
from gateway.store.store import Store
from tests.e2e.watching.emporix import Tenant, nothing
from tests.sizes import size
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import soon

pytestmark = pytest.mark.no_fast_paths

GOLD = Ref("emporix", "gold")
MANY = size("MEMBERS", 610, 50_000)
READ = ["count gold", "page 1 of gold"]


@pytest.fixture
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request failed pages again at once, from a provider whose circuit stays closed."""
    monkeypatch.setattr("gateway.changes.comparing.RETRY_S", 0.0)
    monkeypatch.setattr("gateway.upstream.resilience.guard.counts_as_failure", lambda _: False)


async def changes(record: Store) -> Sequence[str]:
    """Return all changes as texts; each must be of a comparison, without a time."""
    shown: list[str] = []
    after: Cursor | None = None
    while True:
        page = await record.changes.read(after, limit=250)
        for each in page.changes:
            if each.source is not ChangeSource.DIFF:
                continue
            assert each.occurred_at is None
            if isinstance(each, AssignmentChange):
                entity = f"/{each.ref.legal_entity}" if each.ref.legal_entity else ""
                shown.append(f"{each.kind.value} {each.ref.customer}{entity}")
            else:
                assert isinstance(each, SegmentChange)
                shown.append(f"{each.kind.value} {each.ref.key}")
        after = page.end
        if not page.has_more:
            return shown


async def report(
    record: Store, kind: ChangeKind, customer: str, entity: str | None = None
) -> None:
    """Have a write reported."""
    seen = AssignmentObservation(
        ref=AssignmentRef("emporix", "gold", customer, entity),
        kind=kind,
        source=ChangeSource.WRITE,
    )
    assert await record.changes.settle([seen], soon(30), soon(30)) is not None


async def snapshot(record: Store) -> Sequence[str]:
    """Return the customers in the snapshot."""
    members = await record.snapshots.members(GOLD)
    assert members is not None
    return [*members.keys]


async def test_stock_then_differences(
    record: Store, comparer: SegmentComparer, tenant: Tenant, clock: Clock
) -> None:
    """The first comparison appends nothing; later ones read members only if the size moved."""
    tenant.set("gold", "ada", "bea", "cid")
    await comparer.compare_members("gold")
    assert tenant.calls == READ
    assert await changes(record) == []
    assert await snapshot(record) == ["ada", "bea", "cid"]

    tenant.calls.clear()
    await comparer.compare_members("gold")
    assert tenant.calls == ["count gold"]

    tenant.set("gold", "bea", "dan", "cid", "eve")
    await comparer.compare_members("gold")
    assert tenant.calls == ["count gold", *READ]
    assert await changes(record) == ["ENTERED dan", "ENTERED eve", "LEFT ada"]
    assert await snapshot(record) == ["bea", "cid", "dan", "eve"]

    clock.pass_by(hours=1)
    tenant.set("gold", "bea")
    await comparer.compare_members("gold")
    hours = await record.sizes.history(
        GOLD, clock.now - timedelta(days=1), clock.now, SizeInterval.HOUR
    )
    at = SizeInterval.HOUR.start(clock.now)
    before = at - timedelta(hours=1)
    assert hours == [
        SizePoint(before, 4, is_exact=True, entered=2, left=1),
        SizePoint(at, 1, is_exact=True, entered=0, left=3),
    ]
    days = await record.sizes.history(GOLD, before, clock.now, SizeInterval.DAY)
    day = SizeInterval.DAY.start(clock.now)
    assert days == [SizePoint(day, 1, is_exact=True, entered=2, left=4)]


async def test_once_a_day(
    record: Store, comparer: SegmentComparer, tenant: Tenant, clock: Clock
) -> None:
    """An exchange that the size hides is detected after a day."""
    tenant.set("gold", "ada", "bea")
    await comparer.compare_members("gold")
    tenant.set("gold", "ada", "cid")
    clock.pass_by(hours=23, minutes=59)
    await comparer.compare_members("gold")
    assert await changes(record) == []
    clock.pass_by(minutes=1)
    await comparer.compare_members("gold")
    assert await changes(record) == ["ENTERED cid", "LEFT bea"]
    assert tenant.calls == [*READ, "count gold", *READ]


async def test_many_pages(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """Many members, of whom half are exchanged: each change once, in a call for each page."""
    keys = [f"c{n:07}" for n in range(MANY)]
    half = MANY // 2
    tenant.set("gold", *keys)
    await comparer.compare_members("gold")
    pages = [f"page {n} of gold" for n in range(1, -(-MANY // 200) + 1)]
    assert tenant.calls == ["count gold", *pages]
    new = [f"n{n:07}" for n in range(half + 1)]
    tenant.set("gold", *keys[half:], *new)
    await comparer.compare_members("gold")
    assert await changes(record) == [
        *(f"ENTERED {key}" for key in new),
        *(f"LEFT {key}" for key in keys[:half]),
    ]
    assert await snapshot(record) == [*keys[half:], *new]


async def test_known_already(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """What a write reported is not reported again; it is corrected if it is no longer true."""
    tenant.set("gold", "ada", "bea")
    await comparer.compare_members("gold")
    await report(record, ChangeKind.ENTERED, "cid")
    await report(record, ChangeKind.LEFT, "ada")
    await report(record, ChangeKind.ENTERED, "gone")
    await report(record, ChangeKind.LEFT, "back")
    tenant.set("gold", "bea", "cid", "back", "new")
    await comparer.compare_members("gold")
    assert await changes(record) == ["ENTERED back", "ENTERED new", "LEFT gone"]
    assert await snapshot(record) == ["bea", "cid", "back", "new"]


async def test_stock_corrects_what_is_known(
    record: Store, comparer: SegmentComparer, tenant: Tenant
) -> None:
    """What the first comparison shows is known from then on, whatever writes reported before."""
    await report(record, ChangeKind.ENTERED, "gone")
    await report(record, ChangeKind.LEFT, "back")
    tenant.set("gold", "ada", "back")
    await comparer.compare_members("gold")
    assert await changes(record) == []
    before = await record.changes.position()
    for kind, customer in (
        (ChangeKind.ENTERED, "ada"),
        (ChangeKind.ENTERED, "back"),
        (ChangeKind.LEFT, "gone"),
    ):
        await report(record, kind, customer)
    assert (await record.changes.read(before)).changes == []


async def test_reported_meanwhile(
    record: Store, comparer: SegmentComparer, tenant: Tenant
) -> None:
    """Customers of whom the log learns during the reading are left to the next comparison."""
    tenant.set("gold", "ada", "bea")
    await comparer.compare_members("gold")
    tenant.set("gold", "ada", "cid", "dan", "eve")
    await report(record, ChangeKind.LEFT, "bea")

    async def meanwhile(call: str) -> None:
        if call == "page 1 of gold":
            await report(record, ChangeKind.LEFT, "dan")
            await report(record, ChangeKind.ENTERED, "ada")

    tenant.before = meanwhile
    await comparer.compare_members("gold")
    tenant.before = nothing
    assert await changes(record) == ["ENTERED cid", "ENTERED eve"]
    assert await snapshot(record) == ["ada", "cid", "eve"]

    tenant.calls.clear()
    await comparer.compare_members("gold")  # dan is there, although the size is the same
    assert tenant.calls == READ
    assert await changes(record) == ["ENTERED cid", "ENTERED eve", "ENTERED dan"]
    assert await snapshot(record) == ["ada", "cid", "eve", "dan"]


async def test_legal_entities(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """B2B: in with the first assignment, out with the last; sizes count customers."""
    tenant.set("gold", "ada/x", "bea/x", "cid")
    await comparer.compare_members("gold")
    tenant.set("gold", "ada/x", "ada/y", "bea/x", "dan/x", "dan/y")
    await comparer.compare_members("gold")
    assert await changes(record) == ["UPDATED ada/y", "ENTERED dan/x", "UPDATED dan/y", "LEFT cid"]
    state = await record.snapshots.state(GOLD)
    assert state is not None
    assert (state.size, state.customers) == (5, 3)
    tenant.set("gold", "ada/y", "bea/x", "dan/x")
    await comparer.compare_members("gold")
    assert (await changes(record))[4:] == ["UPDATED ada/x", "UPDATED dan/y"]
    tenant.set("gold", "bea/x")
    await comparer.compare_members("gold")
    assert (await changes(record))[6:] == ["LEFT ada/y", "LEFT dan/x"]
    assert await snapshot(record) == ["bea"]


async def test_passed_over_by_paging(
    record: Store, comparer: SegmentComparer, tenant: Tenant
) -> None:
    """Who is missing from a list that changed meanwhile is out only if the next misses them."""
    keys = [f"c{n:03}" for n in range(300)]
    tenant.set("gold", *keys)
    await comparer.compare_members("gold")
    tenant.set("gold", *keys, "new")

    async def shift(call: str) -> None:
        if call == "page 2 of gold":
            tenant.members["gold"].remove("c000")  # c200 moves to the page that was read

    tenant.before = shift
    await comparer.compare_members("gold")
    tenant.before = nothing
    assert await changes(record) == ["ENTERED new"]
    await comparer.compare_members("gold")
    assert await changes(record) == ["ENTERED new", "LEFT c000"]
    assert await snapshot(record) == [*keys[1:], "new"]
    tenant.calls.clear()
    await comparer.compare_members("gold")
    assert tenant.calls == ["count gold"]


async def test_list_that_never_stands_still(
    record: Store, comparer: SegmentComparer, tenant: Tenant
) -> None:
    """Who is missing from two readings in a row has left, however often the list changes."""
    keys = [f"c{n:03}" for n in range(300)]
    tenant.set("gold", *keys)

    async def grow(call: str) -> None:
        if call == "page 2 of gold":
            tenant.members["gold"].append(f"n{len(tenant.calls):03}")

    tenant.before = grow
    await comparer.compare_members("gold")
    assert await record.snapshots.members(GOLD) is None  # it may lack somebody
    await comparer.compare_members("gold")
    assert await changes(record) == []
    assert len(await snapshot(record)) == 302
    tenant.members["gold"].remove("c007")
    await comparer.compare_members("gold")
    assert [each for each in await changes(record) if each.startswith("LEFT")] == []
    await comparer.compare_members("gold")
    assert [each for each in await changes(record) if each.startswith("LEFT")] == ["LEFT c007"]


@pytest.mark.usefixtures("_no_delay")
async def test_failure_is_no_change(
    record: Store, comparer: SegmentComparer, tenant: Tenant
) -> None:
    """Whichever call fails, nobody enters or leaves; the next comparison finds the changes."""
    keys = [f"c{n:03}" for n in range(250)]
    tenant.set("gold", *keys)
    await comparer.compare_members("gold")
    tenant.set("gold", *keys[1:])
    for status in (401, 500, 503):
        for call in range(3):
            tenant.failures = [0] * call + [status] * 6
            with pytest.raises(ProviderError):
                await comparer.compare_members("gold")
            assert await changes(record) == []
            assert await snapshot(record) == keys
    tenant.failures = []
    await comparer.compare_members("gold")
    assert await changes(record) == ["LEFT c000"]


@pytest.mark.usefixtures("_no_delay")
async def test_page_that_fails_once(
    record: Store, comparer: SegmentComparer, tenant: Tenant
) -> None:
    """A page is requested again; the size is not, as the next comparison reads it soon."""
    tenant.set("gold", "ada")
    tenant.failures = [0, 500, 503]
    await comparer.compare_members("gold")
    assert tenant.calls == ["count gold", *["page 1 of gold"] * 3]
    assert await snapshot(record) == ["ada"]
    tenant.calls.clear()
    tenant.failures = [500]
    with pytest.raises(Broken):
        await comparer.compare_members("gold")
    assert tenant.calls == ["count gold"]


async def test_deleted_segment(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """A segment that is gone is one DELETED and no LEFT; without a snapshot it is nothing."""
    with pytest.raises(Refused):
        await comparer.compare_members("gold")
    tenant.set("gold", "ada", "bea")
    await comparer.compare_members("gold")
    del tenant.members["gold"]
    await comparer.compare_members("gold")
    assert await changes(record) == ["DELETED gold"]
    assert await record.snapshots.members(GOLD) is None
    with pytest.raises(Refused):
        await comparer.compare_members("gold")
    tenant.set("gold", "ada", "cid")
    await comparer.compare_members("gold")
    assert await changes(record) == ["DELETED gold"]
    assert await snapshot(record) == ["ada", "cid"]


async def test_everybody_left(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """A segment that is empty, and is there, has lost its members."""
    tenant.set("gold", "ada", "bea")
    await comparer.compare_members("gold")
    tenant.calls.clear()
    tenant.set("gold")
    await comparer.compare_members("gold")
    assert tenant.calls == ["count gold", "get gold", "page 1 of gold"]
    assert await changes(record) == ["LEFT ada", "LEFT bea"]


async def test_unreadable_ids(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """While a member's id cannot be read, nobody is taken for gone; others enter."""
    tenant.set("gold", "ada", "bea")
    await comparer.compare_members("gold")
    tenant.set("gold", "ada", "", "cid")
    for _ in range(3):
        await comparer.compare_members("gold")
    assert await changes(record) == ["ENTERED cid"]
    tenant.set("gold", "ada", "cid")
    await comparer.compare_members("gold")
    assert await changes(record) == ["ENTERED cid", "LEFT bea"]


async def test_list_of_segments(record: Store, comparer: SegmentComparer, tenant: Tenant) -> None:
    """CREATED, UPDATED by its version, DELETED once the segment itself is not found."""
    tenant.set("gold", "ada")
    tenant.set("silver", version=3)
    assert await comparer.compare_segments() == ["gold", "silver"]
    await comparer.compare_members("gold")
    assert await changes(record) == []
    tenant.set("gold", "ada", version=2)
    tenant.set("new")
    del tenant.members["silver"]
    assert await comparer.compare_segments() == ["gold", "new"]
    appended = ["UPDATED gold", "CREATED new", "DELETED silver"]
    assert await changes(record) == appended
    await comparer.compare_segments()
    assert await changes(record) == appended
    assert await snapshot(record) == ["ada"]
    assert tenant.calls == [
        *["list", *READ],
        *["list", "get silver"],
        "list",
    ]
