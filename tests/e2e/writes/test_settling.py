"""The store fails while a write is settled; and many writes to one customer at once."""

import asyncio
from typing import Any

import pytest

from gateway.store.errors import StoreFailed, StoreState
from gateway.store.idempotency import IdempotencyKeys
from gateway.store.write_intents import WriteIntents
from tests.e2e.serving import Front
from tests.e2e.writes.asking import do, shoppers
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_replace_tags import REPLACE, entry, recorded

ADA = shoppers(1)[0]
NEW = {"provider": "stuut", "name": "A", "priority": 1, "idempotencyKey": "k"}


def failing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, times: int) -> None:
    """Have the database fail in a method so many times."""
    real = getattr(owner, name)
    left = [times]

    async def fails(*arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise StoreFailed(StoreState.FROZEN, "a test")
        return await real(*arguments)

    monkeypatch.setattr(owner, name, fails)


async def test_a_key_that_cannot_be_kept_at_once(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is answered by the provider's answer, and the key repeats it."""
    failing(monkeypatch, IdempotencyKeys, "_execute", 3)
    first = await do(front, "segmentCreate", NEW, "segment { id name }")
    assert first["segment"]["name"] == "A"
    assert await do(front, "segmentCreate", NEW, "segment { id name }") == first
    assert front.calls == ["POST /v2/customer-segments"]


async def test_a_replacement_that_cannot_be_settled_at_once(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was updated, as the provider says; the store says so as soon as it can."""
    failing(monkeypatch, WriteIntents, "_settle", 3)
    given = {"provider": "instaleap", "customers": [entry(ADA, "a:new")]}
    assert (await do(front, REPLACE, given))["updatedCustomerIds"] == [ADA]
    async with asyncio.timeout(20):
        while await recorded(front, ADA) != [("a:new", "CONFIRMED")]:
            pass
    assert len(front.calls) == 1


async def test_a_hot_customer(front: Front) -> None:
    """Forty writes to one customer at once are all done, in the order in which they came."""
    shop = Shop(front.providers)
    shop.hold = asyncio.Event()
    tasks = []
    for number in range(40):
        given = {"provider": "instaleap", "customers": [entry(ADA, f"a:w{number}")]}
        tasks.append(asyncio.create_task(do(front, REPLACE, given)))
    await shop.arrived.wait()
    shop.hold.set()
    payloads = await asyncio.gather(*tasks)
    assert [each["updatedCustomerIds"] for each in payloads] == [[ADA]] * 40
    sent = [batch[0]["segments"][0]["value"] for batch in shop.batches]
    assert sent == [f"w{number}" for number in range(40)]
    assert await recorded(front, ADA) == [("a:w39", "CONFIRMED")]
