"""Voucherify's sandbox: reading its customers, and which segments they are in."""

import re
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from gateway.sandbox.people import person

# From the vendor's OpenAPI: what it requires, and types where they matter.
INTEGERS = {"type": "object", "additionalProperties": {"type": "integer"}}
REDEMPTIONS = {
    "type": "object",
    "properties": {
        "gift": INTEGERS | {"required": ["redeemed_amount", "amount_to_go"]},
        "loyalty_card": INTEGERS | {"required": ["redeemed_points", "points_to_go"]},
    },
    "additionalProperties": {"type": "integer"},
    "required": [
        *("total_redeemed", "total_failed", "total_succeeded", "total_rolled_back"),
        *("total_rollback_failed", "total_rollback_succeeded", "gift", "loyalty_card"),
    ],
}
ORDERS = {
    "type": "object",
    "properties": {"last_order_date": {"type": "string", "pattern": r"\.\d{3}Z$"}},
    "additionalProperties": {"type": "integer"},
    "required": ["total_amount", "total_count", "average_amount", "last_order_amount"],
}
CUSTOMER = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^cust_[A-Za-z0-9]{24}$"},
        "source_id": {"type": "string"},
        "name": {"type": "string"},
        "description": {"type": "string"},
        "email": {"type": "string"},
        "phone": {"type": "string"},
        "birthday": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "birthdate": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "address": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "metadata": {"type": "object"},
        "summary": {
            "type": "object",
            "properties": {"redemptions": REDEMPTIONS, "orders": ORDERS},
            "required": ["redemptions", "orders"],
        },
        "loyalty": {
            "type": "object",
            "properties": {"points": {"type": "integer"}, "campaigns": {"type": "object"}},
            "required": ["points", "referred_customers", "campaigns"],
        },
        "referrals": {
            "type": "object",
            "properties": {
                "total": {"type": "integer"},
                "campaigns": {
                    "type": "array",
                    "items": {
                        "required": [
                            *("campaign_id", "referrer_id", "related_object_id"),
                            *("related_object_type", "date"),
                        ]
                    },
                },
            },
            "required": ["total", "campaigns"],
        },
        "system_metadata": {"type": "object"},
        "created_at": {"type": "string", "pattern": r"\.\d{3}Z$"},
        "updated_at": {"type": "string", "pattern": r"\.\d{3}Z$"},
        "object": {"const": "customer"},
    },
    "required": [
        *("id", "summary", "loyalty", "referrals", "system_metadata", "metadata"),
        *("address", "created_at", "object"),
    ],
    "additionalProperties": False,
}
NO_REDEMPTIONS = {
    "total_redeemed": 0,
    "total_failed": 0,
    "total_succeeded": 0,
    "total_rolled_back": 0,
    "total_rollback_failed": 0,
    "total_rollback_succeeded": 0,
    "gift": {"redeemed_amount": 0, "amount_to_go": 0},
    "loyalty_card": {"redeemed_points": 0, "points_to_go": 0},
}


def without_id(reply: httpx.Response) -> dict[str, Any]:
    """Return an error's body without its request id, which must look like one."""
    body: dict[str, Any] = reply.json()
    assert re.fullmatch("v-[0-9a-f]{18}", body.pop("request_id"))
    return body


async def list_customers(client: httpx.AsyncClient, **query: object) -> list[dict[str, Any]]:
    """Return the customers of one page."""
    names = {
        name.replace("_before", "[before]").replace("_after", "[after]"): str(value)
        for name, value in query.items()
        if name != "starting_after"
    }
    if "starting_after" in query:
        names["starting_after"] = str(query["starting_after"])
    reply = await client.get("/v1/customers", params=names)
    assert reply.status_code == 200, reply.text
    rows: list[dict[str, Any]] = reply.json()["customers"]
    return rows


async def segment_names(client: httpx.AsyncClient, key: str) -> list[str]:
    """Return the names of a customer's segments."""
    return [
        row["name"] for row in (await client.get(f"/v1/customers/{key}/segments")).json()["data"]
    ]


async def test_every_customer_has_the_documented_shape(voucherify: httpx.AsyncClient) -> None:
    """All 240 customers of the cast of 300 are there, in the shape of the vendor's schema."""
    rows = [
        row for page in (1, 2, 3) for row in await list_customers(voucherify, limit=100, page=page)
    ]
    for row in rows:
        jsonschema.validate(row, CUSTOMER)

    assert len({row["id"] for row in rows}) == len(rows) == 240
    assert [row["created_at"] for row in rows] == sorted(
        (row["created_at"] for row in rows), reverse=True
    )


async def test_customer_is_the_person_of_the_cast(voucherify: httpx.AsyncClient) -> None:
    """A customer is read by id and by source_id, and the country is a name, not a code."""
    one = person(1)
    by_id = await voucherify.get(f"/v1/customers/{one.voucherify_id}")
    by_source_id = await voucherify.get(f"/v1/customers/{one.crm_id}")
    body = by_id.json()

    assert (by_id.status_code, by_source_id.json()) == (200, body)
    assert body == {
        "id": one.voucherify_id,
        "source_id": "crm-00001",
        "name": one.name,
        "description": "Buys for a company",
        "email": one.email,
        "phone": one.phone,
        "birthdate": one.birthdate.isoformat(),
        "address": {
            "city": "Vienna",
            "line_1": "Market Street 2",
            "country": "Austria",
            "postal_code": "10007",
        },
        "summary": {
            "redemptions": NO_REDEMPTIONS | {"total_redeemed": 1, "total_succeeded": 1},
            "orders": {
                "total_amount": 19_211,
                "total_count": 5,
                "average_amount": 3_842,
                "last_order_amount": 2_411,
                "last_order_date": "2024-01-10T15:30:00.007Z",
            },
        },
        "loyalty": {"points": 0, "referred_customers": 0, "campaigns": {}},
        "referrals": {"total": 0, "campaigns": []},
        "metadata": {
            "tier": "Silver",
            "newsletter": False,
            "lang": "at",
            "company": one.company,
        },
        "system_metadata": {},
        "created_at": "2023-01-03T15:00:00.001Z",
        "object": "customer",
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_unknown_customer_is_a_404(method: str, voucherify: httpx.AsyncClient) -> None:
    """An unknown key, decoded whole even with a slash in it, is repeated in the error."""
    body: dict[str, str] | None = {} if method == "PUT" else None
    reply = await voucherify.request(method, "/v1/customers/x%2Fy@z%3A%20%C3%BC", json=body)

    assert reply.status_code == 404
    assert without_id(reply) == {
        "code": 404,
        "key": "not_found",
        "message": "Resource not found",
        "details": "Cannot find customer with id x/y@z: ü",
        "resource_id": "x/y@z: ü",
        "resource_type": "customer",
    }


async def test_list_names_its_rows_and_counts_them(voucherify: httpx.AsyncClient) -> None:
    """The envelope is the documented one: rows under `customers`, 10 of them by default."""
    first = (await voucherify.get("/v1/customers")).json()
    last = (await voucherify.get("/v1/customers", params={"page": 24})).json()
    past = (await voucherify.get("/v1/customers", params={"page": 99})).json()

    assert {key: value for key, value in first.items() if key != "customers"} == {
        "object": "list",
        "data_ref": "customers",
        "total": 240,
        "has_more": True,
    }
    assert [len(page["customers"]) for page in (first, last, past)] == [10, 10, 0]
    assert [page["has_more"] for page in (last, past)] == [False, False]
    assert past["total"] == 240


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("created_at", "created_at"),
        ("-created_at", "created_at"),
        ("updated_at", "updated_at"),
        ("-updated_at", "updated_at"),
        ("source_id", "source_id"),
        ("-source_id", "source_id"),
    ],
)
async def test_list_can_be_ordered(order: str, key: str, voucherify: httpx.AsyncClient) -> None:
    """Every documented order works; customers that were never updated sort by creation."""
    rows = await list_customers(voucherify, limit=100, order=order)
    values = [row.get(key, row["created_at"]) for row in rows]

    assert len(rows) == 100
    assert values == sorted(values, reverse=order.startswith("-"))


async def test_starting_after_walks_all(voucherify: httpx.AsyncClient) -> None:
    """A date leads from page to page: backwards by default, forwards by created_at."""
    everybody = [
        row for page in (1, 2, 3) for row in await list_customers(voucherify, limit=100, page=page)
    ]
    backwards = await list_customers(voucherify, limit=100)
    while rows := await list_customers(
        voucherify, limit=100, starting_after=backwards[-1]["created_at"]
    ):
        backwards += rows
    forwards = await list_customers(voucherify, limit=100, order="created_at")
    while rows := await list_customers(
        voucherify, limit=100, order="created_at", starting_after=forwards[-1]["created_at"]
    ):
        forwards += rows

    assert backwards == everybody
    assert forwards == everybody[::-1]


async def test_total_ignores_the_place_of_the_cursor(voucherify: httpx.AsyncClient) -> None:
    """`total` counts all customers; `has_more` says whether more follow the page."""
    query = {"starting_after": "2023-01-03T15:00:00.002Z", "limit": "1"}
    body = (await voucherify.get("/v1/customers", params=query)).json()

    assert (body["total"], body["has_more"]) == (240, True)
    assert [row["source_id"] for row in body["customers"]] == ["crm-00001"]


async def test_list_can_be_filtered(voucherify: httpx.AsyncClient) -> None:
    """Exact values and date windows, edges excluded, narrow the list; together they all hold."""
    one = person(1)
    edge = "2023-01-03T15:00:00.001Z"
    before = await list_customers(voucherify, created_at_before=edge)
    window = await list_customers(
        voucherify, created_at_after="2023-01-03T14:00:00Z", created_at_before="2023-01-04"
    )
    updated = await list_customers(voucherify, updated_at_after="2023-01-01", limit=100)

    assert await list_customers(voucherify, email=one.email) == await list_customers(
        voucherify, name=one.name, city="Vienna", email=one.email
    )
    assert [row["source_id"] for row in await list_customers(voucherify, email=one.email)] == [
        "crm-00001"
    ]
    assert await list_customers(voucherify, email=one.email, city="Berlin") == []
    assert await list_customers(voucherify, email=one.email.upper()) == []
    assert {row["address"]["city"] for row in await list_customers(voucherify, city="Vienna")} == {
        "Vienna"
    }
    assert [row["source_id"] for row in before] == ["crm-00000"]
    assert [row["source_id"] for row in window] == ["crm-00001"]
    assert len(updated) == 60
    assert await list_customers(voucherify, updated_at_before="2023-01-01") == []


async def test_members_of_a_segment_are_listed(voucherify: httpx.AsyncClient) -> None:
    """`segment_id` lists the members of static and filtered segments; an unknown one has none."""
    listed = (await voucherify.get("/v1/segments", params={"limit": 100})).json()["data"]
    ids = {row["name"]: row["id"] for row in listed}
    board = await list_customers(
        voucherify, segment_id=ids["Customer advisory board"], order="source_id"
    )
    silver = await list_customers(voucherify, segment_id=ids["Silver members"], limit=100)
    in_vienna = await list_customers(
        voucherify, segment_id=ids["Silver members"], city="Vienna", limit=100
    )

    assert [row["source_id"] for row in board] == [
        "crm-00000",
        "crm-00012",
        "crm-00036",
        "crm-00048",
    ]
    assert len(silver) == 69
    assert {row["metadata"]["tier"] for row in silver} == {"Silver"}
    assert in_vienna == [
        row for row in silver if row["address"] and row["address"]["city"] == "Vienna"
    ]
    assert await list_customers(voucherify, segment_id="seg_unknown") == []


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("limit=0", "Property .limit should be integer from 1 to 100"),
        ("limit=101", "Property .limit should be integer from 1 to 100"),
        ("page=0", "Property .page should be integer from 1 to 99"),
        ("page=100", "Property .page should be integer from 1 to 99"),
        (
            "order=name",
            (
                "Property .order should be one of created_at, -created_at, updated_at, "
                "-updated_at, source_id, -source_id"
            ),
        ),
        ("starting_after=cust_x", "Property .starting_after should be date-time"),
        (
            "starting_after=2023-01-01&order=source_id",
            "Property .starting_after cannot be used with that order",
        ),
        ("created_at[before]=then", "Property .created_at[before] should be date-time"),
        ("segmentId=x", "Property .segmentId is unknown"),
    ],
)
async def test_list_refuses(query: str, details: str, voucherify: httpx.AsyncClient) -> None:
    """A parameter outside its range, or one that is not documented, is a 400."""
    reply = await voucherify.get(f"/v1/customers?{query}")

    assert reply.status_code == 400
    assert without_id(reply) == {
        "code": 400,
        "key": "invalid_query_params",
        "message": "Invalid query params",
        "details": details,
    }


async def test_segments_of_a_customer(voucherify: httpx.AsyncClient) -> None:
    """A customer's segments come newest first, with id and name only, by either key."""
    body = (await voucherify.get("/v1/customers/crm-00000/segments")).json()
    by_id = await voucherify.get(f"/v1/customers/{person(0).voucherify_id}/segments")
    listed = (await voucherify.get("/v1/segments", params={"limit": 100})).json()["data"]
    ids = {row["name"]: row["id"] for row in listed}
    expected = [
        "Gold and Silver in Germany",
        "Before the relaunch or born before 1960",
        "Never bought",
        "German-speaking countries",
        "Newsletter readers",
        "Gold members",
        "Customer advisory board",
    ]

    assert body == {
        "object": "list",
        "data_ref": "data",
        "data": [{"id": ids[name], "name": name, "object": "segment"} for name in expected],
        "total": 7,
    }
    assert by_id.json() == body


async def test_unknown_customer_gets_a_hypothetical_answer(voucherify: httpx.AsyncClient) -> None:
    """Segments of an unknown customer are no 404: they are those a newcomer would fall into."""
    filter_ = {"source_id": {"conditions": {"$starts_with": "new/"}}}
    body = {"name": "Newcomers", "type": "passive", "filter": filter_}
    await voucherify.post("/v1/segments", json=body)

    assert await segment_names(voucherify, "nobody") == ["Never bought"]
    assert await segment_names(voucherify, "new%2Fone") == ["Newcomers", "Never bought"]
