"""Voucherify's sandbox: writing its customers, and what follows from it."""

import re
from typing import Any

import httpx
import pytest

from gateway.sandbox.people import person

# What a customer is shown with who has done nothing yet.
NOBODY = {
    "summary": {
        "redemptions": {
            "total_redeemed": 0,
            "total_failed": 0,
            "total_succeeded": 0,
            "total_rolled_back": 0,
            "total_rollback_failed": 0,
            "total_rollback_succeeded": 0,
            "gift": {"redeemed_amount": 0, "amount_to_go": 0},
            "loyalty_card": {"redeemed_points": 0, "points_to_go": 0},
        },
        "orders": {
            "total_amount": 0,
            "total_count": 0,
            "average_amount": 0,
            "last_order_amount": 0,
        },
    },
    "loyalty": {"points": 0, "referred_customers": 0, "campaigns": {}},
    "referrals": {"total": 0, "campaigns": []},
    "system_metadata": {},
    "object": "customer",
}


def without_id(reply: httpx.Response) -> dict[str, Any]:
    """Return an error's body without its request id, which must look like one."""
    body: dict[str, Any] = reply.json()
    assert re.fullmatch("v-[0-9a-f]{18}", body.pop("request_id"))
    return body


async def list_customers(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """Return the customers of one page."""
    reply = await client.get("/v1/customers", params=query)
    assert reply.status_code == 200, reply.text
    rows: list[dict[str, Any]] = reply.json()["customers"]
    return rows


async def segment_names(client: httpx.AsyncClient, key: str) -> list[str]:
    """Return the names of a customer's segments."""
    return [
        row["name"] for row in (await client.get(f"/v1/customers/{key}/segments")).json()["data"]
    ]


async def test_post_creates_a_customer(voucherify: httpx.AsyncClient) -> None:
    """A new customer has an id of Voucherify's, zero counters and no updated_at."""
    body = {
        "source_id": "shop/1",
        "name": "Nadja Test",
        "email": "nadja@example.com",
        "birthdate": "1990-12-05",
        "address": {"city": "Linz", "country": "Austria", "planet": "Earth"},
        "metadata": {"tier": "Gold", "newsletter": True},
        "shoe_size": 43,
    }
    reply = await voucherify.post("/v1/customers", json=body)
    created = reply.json()

    assert reply.status_code == 200
    assert created == {
        "id": created["id"],
        "source_id": "shop/1",
        "name": "Nadja Test",
        "email": "nadja@example.com",
        "birthdate": "1990-12-05",
        "address": {"city": "Linz", "country": "Austria"},
        "metadata": {"tier": "Gold", "newsletter": True},
        "created_at": "2026-11-22T10:00:00.123Z",
        **NOBODY,
    }
    assert (await voucherify.get("/v1/customers/shop%2F1")).json() == created
    assert await list_customers(voucherify, limit="1") == [created]
    assert await segment_names(voucherify, "shop%2F1") == [
        "Never bought",
        "Birthday next month",
        "German-speaking countries",
        "Newsletter readers",
        "Gold members",
    ]


@pytest.mark.parametrize("key", [{"id": person(1).voucherify_id}, {"source_id": "crm-00001"}])
async def test_post_updates_who_is_known(
    key: dict[str, str], voucherify: httpx.AsyncClient, clock: Any
) -> None:
    """An id or source_id that exists is updated: fields left out stay, metadata is merged."""
    before = (await voucherify.get("/v1/customers/crm-00001")).json()
    clock.forward(days=1)
    change = {"phone": "+43 1 5550000", "metadata": {"tier": "Gold"}}
    reply = await voucherify.post("/v1/customers", json=key | change)
    after = reply.json()

    assert reply.status_code == 200
    assert after == before | {
        "phone": "+43 1 5550000",
        "metadata": before["metadata"] | {"tier": "Gold"},
        "updated_at": "2026-11-23T10:00:00.123Z",
    }
    assert (await voucherify.get("/v1/customers/crm-00001")).json() == after
    assert len(await list_customers(voucherify, order="-updated_at", limit="1")) == 1
    assert (await list_customers(voucherify, order="-updated_at", limit="1"))[0] == after


async def test_id_beats_source_id(voucherify: httpx.AsyncClient) -> None:
    """With both keys the source_id is ignored, even if the id is unknown."""
    both = {"id": person(1).voucherify_id, "source_id": "crm-00000", "name": "Both"}
    updated = (await voucherify.post("/v1/customers", json=both)).json()
    created = (await voucherify.post("/v1/customers", json=both | {"id": "cust_none"})).json()

    assert (updated["id"], updated["source_id"]) == (person(1).voucherify_id, "crm-00001")
    assert created["id"] not in {"cust_none", person(1).voucherify_id, person(0).voucherify_id}
    assert "source_id" not in created


async def test_put_changes_segments_at_once(voucherify: httpx.AsyncClient) -> None:
    """An update is seen by every filter and list; the source_id cannot be changed."""
    gold = (
        await voucherify.get("/v1/segments?filters[name][conditions][$is]=Gold members")
    ).json()
    gold_id = gold["data"][0]["id"]
    members = {
        row["id"] for row in await list_customers(voucherify, segment_id=gold_id, limit="100")
    }
    change = {
        "source_id": "other",
        "email": "new@example.com",
        "address": None,
        "metadata": {"tier": "Gold"},
    }
    reply = await voucherify.put("/v1/customers/crm-00001", json=change)
    now_members = {
        row["id"] for row in await list_customers(voucherify, segment_id=gold_id, limit="100")
    }

    assert reply.status_code == 200
    assert reply.json()["source_id"] == "crm-00001"
    assert reply.json()["address"] is None
    assert now_members - members == {person(1).voucherify_id}
    assert [row["id"] for row in await list_customers(voucherify, email="new@example.com")] == [
        person(1).voucherify_id
    ]
    assert await list_customers(voucherify, email=person(1).email) == []
    assert await segment_names(voucherify, "crm-00001") == [
        "Before the relaunch or born before 1960",
        "Gold members",
        "App beta testers",
    ]


async def test_days_pass(voucherify: httpx.AsyncClient, clock: Any) -> None:
    """Filters about days follow the clock: whose birthday is next month changes with the month."""
    listed = await voucherify.get("/v1/segments?filters[name][conditions][$starts_with]=Birthday")
    segment_id = listed.json()["data"][0]["id"]
    months = []
    for _ in range(3):
        rows = await list_customers(voucherify, segment_id=segment_id, limit="100")
        months.append({row["birthdate"][5:7] for row in rows})
        clock.forward(days=31)

    assert months == [{"12"}, {"01"}, {"02"}]


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ([], "Body should be object"),
        ({"phone": None}, "Property .phone should be string"),
        ({"birthdate": "5.12.1990"}, "Property .birthdate should be date"),
        ({"address": "Linz"}, "Property .address should be object,null"),
        ({"address": {"city": 1}}, "Property .address.city should be string"),
        ({"metadata": []}, "Property .metadata should be object"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_write_refuses(
    method: str, body: object, details: str, voucherify: httpx.AsyncClient
) -> None:
    """A field of the wrong type is a 400, and changes no customer."""
    path = "/v1/customers" if method == "POST" else "/v1/customers/crm-00001"
    before = (await voucherify.get("/v1/customers/crm-00001")).json()
    reply = await voucherify.request(method, path, json=body)

    assert reply.status_code == 400
    assert without_id(reply) == {
        "code": 400,
        "key": "invalid_payload",
        "message": "Invalid payload",
        "details": details,
    }
    assert (await voucherify.get("/v1/customers/crm-00001")).json() == before
    assert (await voucherify.get("/v1/customers")).json()["total"] == 240


async def test_deleted_customer_is_gone(voucherify: httpx.AsyncClient) -> None:
    """Deleting returns 204 and removes the customer from its segments and from both keys."""
    listed = await voucherify.get("/v1/segments?filters[name][conditions][$contains]=board")
    board = listed.json()["data"][0]["id"]
    reply = await voucherify.delete("/v1/customers/crm-00012")
    left = await list_customers(voucherify, segment_id=board, order="source_id")
    again = [
        (await voucherify.delete(f"/v1/customers/{key}")).status_code
        for key in ("crm-00012", person(12).voucherify_id)
    ]

    assert (reply.status_code, reply.content, again) == (204, b"", [404, 404])
    assert [row["source_id"] for row in left] == ["crm-00000", "crm-00036", "crm-00048"]


async def test_bulk_creates_and_updates(voucherify: httpx.AsyncClient) -> None:
    """A bulk write returns 202 with an action's id; unknown customers are created."""
    body = [
        {"source_id": "crm-00001", "name": "Renamed"},
        {"source_id": "fresh", "name": "Fresh", "birthday": "2001-02-03"},
    ]
    reply = await voucherify.post("/v1/customers/bulk/async", json=body)
    metadata = {"source_ids": ["fresh", "fresher"], "metadata": {"tier": "Bronze"}}
    second = await voucherify.post("/v1/customers/metadata/async", json=metadata)
    rows = [
        (await voucherify.get(f"/v1/customers/{key}")).json()
        for key in ("crm-00001", "fresh", "fresher")
    ]

    for accepted in (reply, second):
        assert accepted.status_code == 202
        assert list(accepted.json()) == ["async_action_id"]
        assert re.fullmatch("aa_[0-9a-f]{18}", accepted.json()["async_action_id"])
    assert reply.json() != second.json()
    assert [row.get("name") for row in rows] == ["Renamed", "Fresh", None]
    assert rows[1]["birthday"] == "2001-02-03"
    assert [row["metadata"].get("tier") for row in rows] == ["Silver", "Bronze", "Bronze"]


@pytest.mark.parametrize(
    ("path", "body", "details"),
    [
        ("bulk/async", {}, "Body should be array of object"),
        ("bulk/async", [{"name": "x"}], "Property [0].source_id should be string"),
        (
            "bulk/async",
            [{"source_id": "a"}, {"source_id": "b", "email": 1}],
            "Property [1].email should be string",
        ),
        ("metadata/async", [], "Body should be object"),
        ("metadata/async", {"metadata": {}}, "Property .source_ids should be array of string"),
        ("metadata/async", {"source_ids": ["a"]}, "Property .metadata should be object"),
    ],
)
async def test_bulk_refuses(
    path: str, body: object, details: str, voucherify: httpx.AsyncClient
) -> None:
    """A bulk body with one wrong item is refused whole."""
    reply = await voucherify.post(f"/v1/customers/{path}", json=body)

    assert reply.status_code == 400
    assert without_id(reply) == {
        "code": 400,
        "key": "invalid_payload",
        "message": "Invalid payload",
        "details": details,
    }
    assert (await voucherify.get("/v1/customers")).json()["total"] == 240


@pytest.mark.parametrize("path", ["bulk/async", "metadata/async"])
async def test_bulk_takes_10_megabytes(path: str, voucherify: httpx.AsyncClient) -> None:
    """One byte over 10 MB is a 413 in a shape of its own."""
    reply = await voucherify.post(
        f"/v1/customers/{path}",
        content=b" " * (10 * 1024 * 1024 + 1),
        headers={"Content-Type": "application/json"},
    )

    assert reply.status_code == 413
    assert reply.json() == {
        "statusCode": 413,
        "error": "Request Entity Too Large",
        "message": "Payload content length greater than maximum allowed: 10485760",
    }
