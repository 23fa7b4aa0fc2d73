"""Instaleap's pairs stand in the caller's order: sent, shown, answered to the shop, repeated."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from gateway.http.instaleap_callback import InstaleapCallback
from gateway.providers.instaleap.adapter import InstaleapSettings
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.writes import recovery
from tests.e2e.failures import answering
from tests.e2e.serving import Front, segment_id
from tests.e2e.writes.asking import do, shoppers
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_recovery import closed, opened
from tests.e2e.writes.test_replace_tags import REPLACE, entry, recorded

(KEY,) = shoppers(1)
PAIRS = ["tier:3", "a:2", "tier:1", "b:9", "a:1"]


@pytest.fixture
def shop(front: Front) -> Shop:
    """Return Instaleap's server."""
    return Shop(front.providers)


async def replace(front: Front, *pairs: str) -> list[str]:
    """Replace the customer's pairs; return the outcomes."""
    given = {"provider": "instaleap", "customers": [entry(KEY, *pairs)]}
    payload = await do(front, REPLACE, given)
    return [row["outcome"] for row in payload["results"]]


async def answered(url: str) -> Sequence[str]:
    """Return what the shop is answered that asks for the customer's segments."""
    settings = InstaleapSettings(
        key="instaleap",
        kind="instaleap",
        base_url="https://shop.example",
        token=SecretStr("t"),
        reverse_token=SecretStr("r"),
    )
    record = await Store.open(database_url(url, {}))
    app = Starlette(routes=[InstaleapCallback([settings], lambda: record).route])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        path = f"/providers/instaleap/customers/{KEY}/segments"
        reply = await client.get(path, headers={"authorization": "Bearer r"})
    await record.close()
    return [f"{each['type']}:{each['value']}" for each in reply.json()["segments"]]


async def shown(front: Front, first: int) -> Sequence[str]:
    """Return the customer's pairs, read page by page."""
    query = """query($who: CustomerIdentityInput!, $first: Int!, $after: String) {
        customer(identity: $who) { assignments(first: $first, after: $after) {
        nodes { segment { externalId } } pageInfo { hasNextPage endCursor } } } }"""
    who = {"provider": "instaleap", "externalId": KEY}
    pairs: list[str] = []
    after = None
    for _ in range(len(PAIRS) + 1):
        data = await front.data(query, {"who": who, "first": first, "after": after})
        page = data["customer"]["assignments"]
        pairs += [node["segment"]["externalId"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    return pairs


@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[::-1], sorted(PAIRS)], ids=str)
async def test_the_callers_order(front: Front, shop: Shop, url: str, pairs: list[str]) -> None:
    """It leaves so, is shown so on pages of any size, and is what the reverse call answers."""
    assert await replace(front, "z:1", *PAIRS) == ["UPDATED"]
    assert await replace(front, *pairs) == ["UPDATED"]
    assert shop.has(KEY) == pairs
    for first in (1, 2, 5):
        assert await shown(front, first) == pairs
    assert await answered(url) == pairs


async def test_segment_ids_keep_their_order(front: Front, shop: Shop, url: str) -> None:
    """So it is for pairs that are named by ids of segments; one that stands twice counts once."""
    ids = [segment_id("instaleap", each) for each in (*PAIRS, PAIRS[0])]
    given = {"provider": "instaleap", "customers": [{"externalId": KEY, "segmentIds": ids}]}
    await do(front, REPLACE, given)
    assert shop.has(KEY) == PAIRS
    assert await answered(url) == PAIRS


async def test_a_refused_write_leaves_the_order(front: Front, shop: Shop, url: str) -> None:
    """What was not done changes neither the pairs nor their order."""
    await replace(front, *PAIRS)
    shop.instead, shop.acts = answering(401, b""), False
    assert await replace(front, *PAIRS[::-1]) == ["NOT_UPDATED"]
    assert await shown(front, 5) == PAIRS
    assert await answered(url) == PAIRS


async def test_recovery_repeats_the_order(front: Front, shop: Shop, url: str) -> None:
    """A write whose outcome is unknown is sent again as the caller gave it."""
    await replace(front, *PAIRS)
    shop.instead = answering(500, b"")
    assert await replace(front, *PAIRS[::-1]) == ["UNKNOWN"]
    assert await answered(url) == PAIRS[::-1]
    shop.instead = None
    shop.clear()
    reopened, record = await opened(front.providers, url)
    assert await recovery.recover(reopened, record) == 1
    await closed(reopened, record)
    assert shop.has(KEY) == PAIRS[::-1]
    assert [key for key, _ in await recorded(front, KEY) or ()] == PAIRS[::-1]
    assert await answered(url) == PAIRS[::-1]


async def test_the_newest_of_two_writes_gives_the_order(front: Front, shop: Shop) -> None:
    """Of two writes that are under way at once the one that is sent last is what is shown."""
    shop.hold = asyncio.Event()
    first = asyncio.create_task(replace(front, *PAIRS))
    await shop.arrived.wait()
    second = asyncio.create_task(replace(front, *PAIRS[::-1]))
    shop.hold.set()
    assert await first == ["UPDATED"]
    assert await second == ["UPDATED"]
    assert await shown(front, 5) == shop.has(KEY) == PAIRS[::-1]
