"""Assigning what is assigned already keeps the assignment's mixins (Emporix)."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.e2e.failures import FAILURES, signed_in
from tests.e2e.known import HIRO_AT
from tests.e2e.serving import Front, Providers, customer_id, segment_id, settings_with
from tests.e2e.writes.asking import EMPORIX, buyers, do, problem
from tests.e2e.writes.serving import serving

STAFF = segment_id("emporix", "staff")
CUSTOMERS = f"{EMPORIX}/staff/customers"
ITEMS = f"{EMPORIX}/staff/items"
MIXINS: Mapping[str, Any] = {"loyalty": {"level": "GOLD"}}
HIRO = HIRO_AT["emporix"]
FIRST, SECOND = [key for key in buyers(3) if key != HIRO][:2]


class Shop:
    """Another client of the same Emporix tenant."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Call Emporix with this client."""
        self._client = client

    async def assign(self, path: str, below: str = CUSTOMERS) -> None:
        """Assign a customer or an item, with mixins."""
        reply = await self._client.put(f"{below}/{path}", json={"mixins": MIXINS})
        assert reply.status_code == 201

    async def remove(self, path: str) -> None:
        """Remove an assignment."""
        reply = await self._client.delete(f"{CUSTOMERS}/{path}")
        assert reply.status_code == 204

    async def mixins(self, path: str, below: str = CUSTOMERS) -> Any:
        """Return the mixins of an assignment, which must exist; None: it has none."""
        reply = await self._client.get(f"{below}/{path}")
        assert reply.status_code == 200
        return reply.json().get("mixins")


@pytest.fixture
async def shop(front: Front, providers: Providers) -> AsyncIterator[Shop]:
    """Return another client of the tenant."""
    async with other_client(front, providers) as client:
        yield client


@contextlib.asynccontextmanager
async def other_client(front: Front, providers: Providers) -> AsyncIterator[Shop]:
    """Return another client, with the token that the gateway got."""
    await front.data('{ customers(first: 1, filter: {providers: ["emporix"]}) { nodes { id } } }')
    authorization = providers.headers[-1][1]["authorization"]
    front.forget()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(providers.real("emporix")),
        base_url="http://emporix.test",
        headers={"authorization": authorization},
    ) as client:
        yield Shop(client)


async def entities(front: Front) -> list[str]:
    """Return the ids of Hiro's legal entities."""
    query = "query($id: ID!) { customer(id: $id) { raw } }"
    data = await front.data(query, {"id": customer_id("emporix", HIRO)})
    front.forget()
    return [each["id"] for each in data["customer"]["raw"]["b2b"]["legalEntities"]]


@pytest.mark.parametrize("is_b2b", [False, True], ids=["B2C", "B2B"])
async def test_one_by_one(front: Front, shop: Shop, *, is_b2b: bool) -> None:
    """One call finds the assignment, which stays as it is."""
    entity = (await entities(front))[0] if is_b2b else None
    path = f"{HIRO}/{entity}" if entity else FIRST
    await shop.assign(path)
    front.forget()
    given = {"segmentId": STAFF, "customerId": customer_id("emporix", HIRO if entity else FIRST)}
    if entity:
        given["legalEntityId"] = entity
    payload = await do(front, "assignmentCreate", given, "assignment { version }")
    assert payload == {"assignment": {"version": 1}, "userErrors": []}
    assert front.calls == [f"GET {CUSTOMERS}/{path}"]
    assert await shop.mixins(path) == MIXINS

    # A new one: read, written, and read again to show it.
    await shop.remove(path)
    front.forget()
    payload = await do(front, "assignmentCreate", given, "assignment { version }")
    assert payload == {"assignment": {"version": 1}, "userErrors": []}
    assert front.calls == [f"{method} {CUSTOMERS}/{path}" for method in ("GET", "PUT", "GET")]


async def test_bulk(front: Front, shop: Shop) -> None:
    """Rows that are assigned already are reported as updated and not sent; the others are."""
    entity, other = await entities(front)
    paths = [FIRST, f"{HIRO}/{entity}"]
    for path in paths:
        await shop.assign(path)
    front.forget()
    hiro = {"customerId": customer_id("emporix", HIRO)}
    rows = [
        {"customerId": customer_id("emporix", FIRST)},
        {"customerId": customer_id("emporix", SECOND)},
        {**hiro, "legalEntityId": entity},
        {**hiro, "legalEntityId": other},
    ]
    given = {"segmentId": STAFF, "assignments": rows}
    shown = "results { outcome assignment { version } } succeeded"
    payload = await do(front, "assignmentBulkCreate", given, shown)
    outcomes = ["UPDATED", "CREATED", "UPDATED", "CREATED"]
    assert payload == {
        "results": [{"outcome": each, "assignment": {"version": 1}} for each in outcomes],
        "succeeded": 4,
        "userErrors": [],
    }
    listed = f"q=customer.id:({FIRST},{SECOND},{HIRO})&pageNumber=1&pageSize=200"
    calls = [unquote(call) for call in front.calls]
    assert calls[:2] == [f"GET {CUSTOMERS}?{listed}", f"PUT {CUSTOMERS}/bulk"]
    # The rows that exist were read whole; `version` of the new ones takes a call each.
    assert sorted(calls[2:]) == sorted(
        [f"GET {CUSTOMERS}/{SECOND}", f"GET {CUSTOMERS}/{HIRO}/{other}"]
    )
    assert [await shop.mixins(path) for path in paths] == [MIXINS, MIXINS]
    assert await shop.mixins(SECOND) is None

    front.forget()
    payload = await do(front, "assignmentBulkCreate", given, shown)
    assert [row["outcome"] for row in payload["results"]] == ["UPDATED"] * 4
    assert [unquote(call) for call in front.calls] == [f"GET {CUSTOMERS}?{listed}"]


async def test_items(front: Front, shop: Shop) -> None:
    """Items that the segment has are reported as updated and not sent; the others are."""
    await shop.assign("PRODUCT/p1001", ITEMS)
    front.forget()
    items = [{"externalId": key, "type": "PRODUCT"} for key in ("p1002", "p1001", "p9999")]
    given = {"segmentId": STAFF, "items": items}
    payload = await do(front, "segmentItemsBulkAssign", given, "results { outcome }")
    outcomes = [row["outcome"] for row in payload["results"]]
    assert outcomes == ["CREATED", "UPDATED", "FAILED"]
    q = "q=item.id:(p1002,p1001,p9999) type:PRODUCT&pageNumber=1&pageSize=200"
    assert [unquote(call) for call in front.calls] == [
        f"GET {ITEMS}?{q}",
        f"PUT {ITEMS}/PRODUCT/bulk",
    ]
    assert await shop.mixins("PRODUCT/p1001", ITEMS) == MIXINS
    assert await shop.mixins("PRODUCT/p1002", ITEMS) is None


async def test_items_that_are_all_there(front: Front, shop: Shop) -> None:
    """Nothing is written, and the change log has no entry."""
    await shop.assign("CATEGORY/cat-tea", ITEMS)
    given = {"segmentId": STAFF, "items": [{"externalId": "cat-tea", "type": "CATEGORY"}]}
    payload = await do(front, "segmentItemsBulkAssign", given, "succeeded failed")
    assert (payload["succeeded"], payload["failed"]) == (1, 0)
    assert await front.data("{ changes { nodes { id } } }") == {"changes": {"nodes": []}}


@pytest.mark.parametrize("is_b2b", [False, True], ids=["B2C", "B2B"])
async def test_replacement(front: Front, shop: Shop, *, is_b2b: bool) -> None:
    """A segment that the customer keeps is not written: its assignment keeps its mixins."""
    entity = (await entities(front))[0] if is_b2b else None
    key, path = (HIRO, f"{HIRO}/{entity}") if entity else (FIRST, FIRST)
    await shop.assign(path)
    front.forget()
    wanted = [STAFF, segment_id("emporix", "golden")]
    given = {"provider": "emporix", "customers": [{"externalId": key, "segmentIds": wanted}]}
    payload = await do(front, "customerSegmentsReplace", given, "results { outcome }")
    assert payload["results"] == [{"outcome": "UPDATED"}]
    assert not [call for call in front.calls if "/staff/" in call]
    assert await shop.mixins(path) == MIXINS


@pytest.mark.parametrize("field", ["assignmentCreate", "assignmentBulkCreate"])
async def test_a_cached_reply_is_not_believed(providers: Providers, url: str, field: str) -> None:
    """Who was removed by another client since the cached read is assigned again."""
    async with (
        serving(providers, url, settings_with(cache_ttl_s=60)) as front,
        other_client(front, providers) as shop,
    ):
        row = {"customerId": customer_id("emporix", FIRST)}
        given: dict[str, Any] = {"segmentId": STAFF, **row}
        await do(front, "assignmentCreate", given, "assignment { version }")
        if field == "assignmentBulkCreate":
            given = {"segmentId": STAFF, "assignments": [row]}
        await do(front, field, given, "__typename")  # now what it read is cached
        await shop.remove(FIRST)
        front.forget()
        await do(front, field, given, "__typename")
    path = "bulk" if field == "assignmentBulkCreate" else FIRST
    assert [call for call in front.calls if call.startswith("PUT")] == [f"PUT {CUSTOMERS}/{path}"]


async def test_unreadable(front: Front, providers: Providers) -> None:
    """Nothing is written where it cannot be known what is there: in a bulk, a row each."""
    real = providers.real("emporix")
    providers.instead["emporix"] = signed_in(FAILURES["500"].server, real)
    rows = [{"customerId": customer_id("emporix", key)} for key in (FIRST, SECOND)]
    shown = "results { outcome userErrors { field code provider } } failed"
    given = {"segmentId": STAFF, "assignments": rows}
    payload = await do(front, "assignmentBulkCreate", given, shown)
    assert payload == {
        "results": [
            {
                "outcome": "FAILED",
                "userErrors": [problem(f"assignments.{index}", "PROVIDER_FAILED", "emporix")],
            }
            for index in range(2)
        ],
        "failed": 2,
        "userErrors": [],
    }
    assert [kind for kind, _ in providers.headers] == ["emporix"]


async def test_unreadable_items(front: Front, providers: Providers) -> None:
    """The same holds for items."""
    real = providers.real("emporix")
    providers.instead["emporix"] = signed_in(FAILURES["500"].server, real)
    given = {"segmentId": STAFF, "items": [{"externalId": "p1001", "type": "PRODUCT"}]}
    shown = "results { outcome userErrors { field code provider } }"
    payload = await do(front, "segmentItemsBulkAssign", given, shown)
    failed = problem("items.0", "PROVIDER_FAILED", "emporix")
    assert payload["results"] == [{"outcome": "FAILED", "userErrors": [failed]}]
    assert [kind for kind, _ in providers.headers] == ["emporix"]
