"""Voucherify's sandbox: its segments."""

import re
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

MILLISECONDS = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
# From the vendor's OpenAPI; `required` holds what its examples always have.
SEGMENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^seg_[A-Za-z0-9]{24}$"},
        "name": {"type": "string"},
        "created_at": {"type": "string", "pattern": MILLISECONDS},
        "updated_at": {"type": "null"},
        "type": {"enum": ["auto-update", "passive", "static"]},
        "filter": {"type": ["object", "null"]},
        "object": {"const": "segment"},
    },
    "required": ["id", "name", "created_at", "type", "filter", "object"],
    "additionalProperties": False,
}
LIST = {
    "type": "object",
    "properties": {
        "object": {"const": "list"},
        "data_ref": {"const": "data"},
        "data": {"type": "array", "items": SEGMENT},
        "total": {"type": "integer"},
    },
    "required": ["object", "data_ref", "data", "total"],
    "additionalProperties": False,
}
NEWEST_FIRST = [
    "Gold and Silver in Germany",
    "Before the relaunch or born before 1960",
    "Summer points, 600 and more",
    "Goodwill after the outage",
    "Never bought",
    "Frequent buyers",
    "Birthday next month",
    "Store opening guests",
    "Latin America",
    "German-speaking countries",
    "Newsletter readers",
    "Silver members",
    "Gold members",
    "Bronze members",
    "App beta testers",
    "Customer advisory board",
]


async def names(client: httpx.AsyncClient, *query: tuple[str, str]) -> list[str]:
    """Return the names of the segments that a query finds, in order."""
    reply = await client.get("/v1/segments", params=httpx.QueryParams((*query, ("limit", "100"))))
    assert reply.status_code == 200, reply.text
    return [row["name"] for row in reply.json()["data"]]


def without_id(reply: httpx.Response) -> dict[str, Any]:
    """Return an error's body without its request id, which must look like one."""
    body: dict[str, Any] = reply.json()
    assert re.fullmatch("v-[0-9a-f]{18}", body.pop("request_id"))
    return body


def invalid(details: str, kind: str = "payload") -> dict[str, Any]:
    """Return the body of a 400, without its request id."""
    key, message = {
        "payload": ("invalid_payload", "Invalid payload"),
        "query": ("invalid_query_params", "Invalid query params"),
    }[kind]
    return {"code": 400, "key": key, "message": message, "details": details}


async def test_list_is_newest_first(voucherify: httpx.AsyncClient) -> None:
    """The list has the documented envelope, 10 rows by default, and counts all that match."""
    reply = await voucherify.get("/v1/segments")
    body = reply.json()
    jsonschema.validate(body, LIST)

    assert reply.status_code == 200
    assert [row["name"] for row in body["data"]] == NEWEST_FIRST[:10]
    assert body["total"] == 16
    assert body["data"][0] == {
        "id": body["data"][0]["id"],
        "name": "Gold and Silver in Germany",
        "created_at": "2025-11-10T12:24:06.008Z",
        "updated_at": None,
        "type": "auto-update",
        "filter": {
            "junction": "and",
            "address.country": {"conditions": {"$is": "Germany"}},
            "metadata.tier": {"conditions": {"$in": ["Gold", "Silver"]}},
        },
        "object": "segment",
    }


async def test_list_can_be_turned(voucherify: httpx.AsyncClient) -> None:
    """`order=created_at` lists from the oldest."""
    assert await names(voucherify) == NEWEST_FIRST
    assert await names(voucherify, ("order", "-created_at")) == NEWEST_FIRST
    assert await names(voucherify, ("order", "created_at")) == NEWEST_FIRST[::-1]


async def test_page_edge_inside_a_millisecond_loses_rows(voucherify: httpx.AsyncClient) -> None:
    """`$before` the last row skips those of its millisecond: a walk in twelves meets 14 of 16.

    Silver, Gold and Bronze members share the twelfth row's moment.
    """
    first = await voucherify.get("/v1/segments", params={"limit": 12})
    edge = first.json()["data"][-1]["created_at"]
    rest = await voucherify.get(
        "/v1/segments", params={"filters[created_at][conditions][$before]": edge, "limit": 100}
    )

    assert first.json()["total"] == 16
    assert rest.json()["total"] == 2
    assert [row["name"] for row in rest.json()["data"]] == NEWEST_FIRST[14:]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([("filters[name][conditions][$is]", "Gold members")], ["Gold members"]),
        (
            [("filters[name][conditions][$contains]", "members")],
            ["Silver members", "Gold members", "Bronze members"],
        ),
        (
            [
                ("filters[junction]", "or"),
                ("filters[name][conditions][$starts_with]", "Gold m"),
                ("filters[name][conditions][$ends_with]", "members"),
                ("filters[type][conditions][$is]", "static"),
            ],
            [
                "Goodwill after the outage",
                "Store opening guests",
                "Gold members",
                "App beta testers",
                "Customer advisory board",
            ],
        ),
        (
            [
                ("filters[type][conditions][$in][0]", "static"),
                ("filters[type][conditions][$in][1]", "auto-update"),
                ("filters[created_at][conditions][$after]", "2025-01-01T00:00:00.000Z"),
            ],
            [
                "Gold and Silver in Germany",
                "Summer points, 600 and more",
                "Goodwill after the outage",
            ],
        ),
        (
            [
                ("filters[type][conditions][$not_in][]", "static"),
                ("filters[type][conditions][$not_in][]", "auto-update"),
                ("filters[created_at][conditions][$more_than]", "1000"),
            ],
            [
                "Latin America",
                "German-speaking countries",
                "Silver members",
                "Gold members",
                "Bronze members",
            ],
        ),
        ([("filters[id][conditions][$is_unknown]", "")], []),
    ],
)
async def test_list_can_be_filtered(
    query: list[tuple[str, str]], expected: list[str], voucherify: httpx.AsyncClient
) -> None:
    """The deep-object filters narrow the list by id, name, type and age."""
    assert await names(voucherify, *query) == expected


async def test_list_can_be_asked_for_ids(voucherify: httpx.AsyncClient) -> None:
    """`ids` restricts the list and leaves the order to `order`; unknown ids are passed over."""
    rows = (await voucherify.get("/v1/segments", params={"limit": 3})).json()["data"]
    wanted = [("ids", rows[2]["id"]), ("ids", rows[0]["id"]), ("ids", "seg_unknown")]

    assert await names(voucherify, *wanted) == [NEWEST_FIRST[0], NEWEST_FIRST[2]]


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("limit=0", "Property .limit should be integer from 1 to 100"),
        ("limit=101", "Property .limit should be integer from 1 to 100"),
        ("limit=ten", "Property .limit should be integer from 1 to 100"),
        ("order=name", "Property .order should be one of created_at, -created_at"),
        ("page=2", "Property .page is unknown"),
        ("filters[name][$is]=x", "Property .filters[name][$is] is unknown"),
        (
            "filters[type][conditions][$contains]=x",
            "Property .filters[type][conditions][$contains] is unknown",
        ),
        (
            "filters[junction]=xor&filters[name][conditions][$is]=x",
            "Property .filters.junction should be one of and, or",
        ),
        (
            "filters[created_at][conditions][$before]=yesterday",
            "Property .filters.created_at.conditions.$before should be date-time",
        ),
    ],
)
async def test_list_refuses(query: str, details: str, voucherify: httpx.AsyncClient) -> None:
    """A parameter outside its range, or one that is not documented, is a 400."""
    reply = await voucherify.get(f"/v1/segments?{query}")

    assert reply.status_code == 400
    assert without_id(reply) == invalid(details, "query")


async def test_one_segment_is_read_by_id(voucherify: httpx.AsyncClient) -> None:
    """One segment comes as in the list, without the null updated_at."""
    row = (await voucherify.get("/v1/segments", params={"limit": 1})).json()["data"][0]
    reply = await voucherify.get(f"/v1/segments/{row['id']}")
    del row["updated_at"]

    assert (reply.status_code, reply.json()) == (200, row)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_unknown_segment_is_a_404(method: str, voucherify: httpx.AsyncClient) -> None:
    """An unknown id, decoded whole even with a slash in it, is repeated in the error."""
    reply = await voucherify.request(method, "/v1/segments/a%2Fb%3A%20%C3%BC")

    assert reply.status_code == 404
    assert without_id(reply) == {
        "code": 404,
        "key": "not_found",
        "message": "Resource not found",
        "details": "Cannot find segment with id a/b: ü",
        "resource_id": "a/b: ü",
        "resource_type": "segment",
    }


async def test_static_segment_keeps_the_known_members(voucherify: httpx.AsyncClient) -> None:
    """A static segment takes customer ids; unknown ones and source ids are passed over."""
    rows = (await voucherify.get("/v1/customers", params={"limit": 3})).json()["customers"]
    ids = [rows[0]["id"], rows[2]["id"], "cust_unknown", rows[1]["source_id"]]
    reply = await voucherify.post("/v1/segments", json={"name": "Board", "customers": ids})
    segment = reply.json()
    jsonschema.validate(segment, SEGMENT)
    members = await voucherify.get("/v1/customers", params={"segment_id": segment["id"]})

    assert reply.status_code == 200
    assert segment == {
        "id": segment["id"],
        "name": "Board",
        "created_at": "2026-11-22T10:00:00.123Z",
        "type": "static",
        "filter": None,
        "object": "segment",
    }
    assert [row["id"] for row in members.json()["customers"]] == [rows[0]["id"], rows[2]["id"]]
    assert members.json()["total"] == 2


@pytest.mark.parametrize("kind", ["auto-update", "passive"])
async def test_dynamic_segment_is_filled_by_its_filter(
    kind: str, voucherify: httpx.AsyncClient
) -> None:
    """A dynamic segment is returned with its filter as sent; its members match the filter."""
    filter_ = {
        "junction": "and",
        "birthdate": {"conditions": {"$next_month": [True]}},
        "address.country": {"conditions": {"$is": "Germany"}},
        "metadata.tier": {"conditions": {"$in": ["Gold", "Silver"]}},
    }
    body = {"name": "Birthdays", "type": kind, "filter": filter_}
    segment = (await voucherify.post("/v1/segments", json=body)).json()
    listed = await voucherify.get("/v1/customers", params={"segment_id": segment["id"]})
    rows = listed.json()["customers"]

    assert (segment["type"], segment["filter"]) == (kind, filter_)
    assert {row["birthdate"][5:7] for row in rows} == {"12"}
    assert {row["address"]["country"] for row in rows} == {"Germany"}
    assert {row["metadata"]["tier"] for row in rows} <= {"Gold", "Silver"}
    assert listed.json()["total"] == len(rows) == 3


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ([], "Body should be object"),
        ({}, "Property .name should be string"),
        ({"name": ""}, "Property .name should be string"),
        (
            {"name": "x", "type": "active"},
            "Property .type should be one of auto-update, passive, static",
        ),
        ({"name": "x", "type": "passive"}, "Property .filter should be object"),
        (
            {"name": "x", "type": "passive", "filter": {"junction": "and"}},
            "Property .filter should have at least one condition",
        ),
        (
            {"name": "x", "type": "passive", "filter": {"shoe": {"conditions": {"$is": 1}}}},
            "Property .filter.shoe is not a field that can be filtered by",
        ),
        ({"name": "x", "customers": "all"}, "Property .customers should be array of string"),
        (
            {"name": "x", "customers": [str(n) for n in range(20_001)]},
            "Property .customers should have at most 20000 customers",
        ),
    ],
)
async def test_create_refuses(body: object, details: str, voucherify: httpx.AsyncClient) -> None:
    """A body that is not a valid segment is a 400, and creates none."""
    reply = await voucherify.post("/v1/segments", json=body)

    assert reply.status_code == 400
    assert without_id(reply) == invalid(details)
    assert await names(voucherify) == NEWEST_FIRST


async def test_body_that_is_no_json_is_refused(voucherify: httpx.AsyncClient) -> None:
    """A body that does not parse is a 400 like any other."""
    headers = {"Content-Type": "application/json"}
    reply = await voucherify.post("/v1/segments", content=b"{", headers=headers)

    assert (reply.status_code, without_id(reply)) == (400, invalid("Body should be JSON"))


async def test_static_segment_of_20000_is_taken(voucherify: httpx.AsyncClient) -> None:
    """20,000 members is the most, and repeated ids count once."""
    ids = [str(n) for n in range(20_000)] + ["0"]
    reply = await voucherify.post("/v1/segments", json={"name": "Crowd", "customers": ids})

    assert reply.status_code == 200


async def test_name_is_unique(voucherify: httpx.AsyncClient) -> None:
    """A second segment of a name is a 409."""
    reply = await voucherify.post("/v1/segments", json={"name": "Gold members", "customers": []})

    assert reply.status_code == 409
    assert without_id(reply) == {
        "code": 409,
        "key": "duplicate_found",
        "message": "Duplicated resource found",
        "details": "Duplicated segment exists with name Gold members",
    }


async def test_project_has_at_most_100_dynamic_segments(voucherify: httpx.AsyncClient) -> None:
    """The 101st dynamic segment is refused; a static one is not."""
    filter_ = {"junction": "and", "city": {"conditions": {"$is": "Berlin"}}}
    statuses = [
        (
            await voucherify.post(
                "/v1/segments", json={"name": f"{n}", "type": "passive", "filter": filter_}
            )
        ).status_code
        for n in range(89)
    ]
    static = await voucherify.post("/v1/segments", json={"name": "static", "customers": []})

    assert statuses == [200] * 88 + [400]
    assert static.status_code == 200


async def test_deleted_segment_is_gone(voucherify: httpx.AsyncClient) -> None:
    """Deleting returns 204 without a body; afterwards it has no members and its name is free."""
    row = (await voucherify.get("/v1/segments", params={"limit": 1})).json()["data"][0]
    members = {"segment_id": row["id"]}
    before = (await voucherify.get("/v1/customers", params=members)).json()["total"]
    reply = await voucherify.delete(f"/v1/segments/{row['id']}")
    after = (await voucherify.get("/v1/customers", params=members)).json()

    assert (reply.status_code, reply.content) == (204, b"")
    assert (before, after["total"], after["customers"]) == (24, 0, [])
    assert await names(voucherify) == NEWEST_FIRST[1:]
    assert (await voucherify.post("/v1/segments", json={"name": row["name"]})).status_code == 200
