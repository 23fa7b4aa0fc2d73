"""The sizes of segments over time, on both databases."""

from datetime import UTC, datetime, timedelta

from gateway.domain.entities import Ref
from gateway.domain.sizes import SizeInterval, SizePoint
from gateway.store.database_url import database_url
from gateway.store.store import Store
from tests.unit.store.conftest import Clock

GOLD, SILVER = Ref("emporix", "gold"), Ref("emporix", "silver")
DAY = datetime(2026, 11, 22, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


async def test_points(record: Store, clock: Clock) -> None:
    """The newest total of an hour or day stands for it; empty ones have no point."""
    sizes = record.sizes
    sizes.note(GOLD, 1, is_exact=True)
    sizes.note(SILVER, 99, is_exact=True)
    clock.pass_by(minutes=59)
    sizes.note(GOLD, 2, is_exact=False)
    assert await sizes.history(GOLD, DAY, clock(), SizeInterval.HOUR) == [
        SizePoint(DAY, 2, is_exact=False)
    ]
    clock.pass_by(minutes=1)
    sizes.note(GOLD, 2, is_exact=False)
    await sizes.history(GOLD, DAY, clock(), SizeInterval.HOUR)
    clock.pass_by(hours=2)
    sizes.note(GOLD, 4, is_exact=True)
    clock.pass_by(days=2)
    sizes.note(GOLD, 5, is_exact=True)

    later = [
        SizePoint(DAY + HOUR, 2, is_exact=False),
        SizePoint(DAY + 3 * HOUR, 4, is_exact=True),
        SizePoint(DAY + 51 * HOUR, 5, is_exact=True),
    ]
    hours = await sizes.history(GOLD, DAY, DAY + WEEK, SizeInterval.HOUR)
    assert hours == [SizePoint(DAY, 2, is_exact=False), *later]
    start = DAY + 1.5 * HOUR
    assert await sizes.history(GOLD, start, DAY + WEEK, SizeInterval.HOUR) == later
    assert await sizes.history(GOLD, start, DAY + WEEK, SizeInterval.DAY) == [
        SizePoint(DAY, 4, is_exact=True),
        SizePoint(DAY + timedelta(days=2), 5, is_exact=True),
    ]
    assert await sizes.history(GOLD, start, DAY + 2 * HOUR, SizeInterval.HOUR) == later[:1]


async def test_closing_writes_what_is_pending(url: str, clock: Clock) -> None:
    """A total that was noted just before the end is there after a restart."""
    first = await Store.open(database_url(url, {}), clock)
    first.sizes.note(GOLD, 3, is_exact=True)
    await first.close()
    second = await Store.open(database_url(url, {}), clock)
    points = await second.sizes.history(GOLD, DAY, clock(), SizeInterval.HOUR)
    await second.close()
    assert points == [SizePoint(DAY, 3, is_exact=True)]


async def test_names_that_cannot_be_stored(record: Store, clock: Clock) -> None:
    """A segment whose id no database stores has no history, and disturbs no other's."""
    for key in ("a\0b", "\ud800", "x" * 3000):
        record.sizes.note(Ref("emporix", key), 1, is_exact=True)
    record.sizes.note(GOLD, 2, is_exact=True)
    points = await record.sizes.history(GOLD, DAY, clock(), SizeInterval.DAY)
    assert points == [SizePoint(DAY, 2, is_exact=True)]
