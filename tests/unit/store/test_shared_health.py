"""What processes report about the health of providers, in both databases."""

from sqlalchemy import update

from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl
from gateway.store.shared_health import VALID_S, SharedHealth
from gateway.store.store import Store
from gateway.store.tables import PROVIDER_HEALTH
from tests.unit.store.shop_writes import soon


async def test_reports(record: Store, place: DatabaseUrl) -> None:
    """Each process reads the newest report of every other one, until it is withdrawn."""
    one, connected = record.provider_health, Database(place)
    two = SharedHealth(connected)
    await one.publish("one", b"old", soon())
    await one.publish("one", b"new", soon())
    await two.publish("two", b"two", soon())
    assert await one.others("one", soon()) == [b"two"]
    assert await two.others("two", soon()) == [b"new"]
    assert await two.others("three", soon()) == [b"new", b"two"]
    await one.withdraw("one", soon())
    assert await two.others("two", soon()) == []
    await connected.close()


async def test_a_process_that_is_gone(record: Store, place: DatabaseUrl) -> None:
    """Its report no longer counts, and the next one deletes it."""
    shared, connected = record.provider_health, Database(place)
    await shared.publish("gone", b"gone", soon())

    async def age() -> None:
        async with connected.writing() as connection:
            earlier = PROVIDER_HEALTH.c.at - VALID_S - 1
            await connection.execute(update(PROVIDER_HEALTH).values(at=earlier))

    async def left() -> int:
        async with connected.reading() as connection:
            return len((await connection.execute(PROVIDER_HEALTH.select())).all())

    await connected.finish(age(), soon())
    assert await shared.others("here", soon()) == []
    assert await connected.read(left(), soon()) == 1
    await shared.publish("here", b"here", soon())
    assert await connected.read(left(), soon()) == 1
    assert await shared.others("gone", soon()) == [b"here"]
    await connected.close()
