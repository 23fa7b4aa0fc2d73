"""Stuut's sandbox: authentication and segments."""

from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from starlette.types import ASGIApp

from gateway.sandbox import stuut as server
from gateway.sandbox.people import people

SEGMENTS = "/v2/customer-segments"
# The fields the vendor's pages mark as always present.
SEGMENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string", "minLength": 1, "maxLength": 128},
        "description": {"type": ["string", "null"]},
        "priority": {"type": "integer", "minimum": 0},
        "conditions": {"type": "object"},
        "created_at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
        "modified_at": {"type": ["string", "null"]},
        "object": {"const": "customer_segment"},
    },
    "required": [
        *("id", "name", "description", "priority", "conditions"),
        *("created_at", "modified_at", "object"),
    ],
    "additionalProperties": False,
}
BY_PRIORITY = [
    "Key accounts",
    "DACH strategic",
    "Hospitals and practices abroad",
    "Food wholesale",
    "Latin America",
    "Retail on sixty days",
    "Rest of DACH",
    "Poland retail",
]


async def names(client: httpx.AsyncClient, **query: object) -> list[str]:
    """Return the names of the segments of one page."""
    reply = await client.get(SEGMENTS, params={key: str(value) for key, value in query.items()})
    assert reply.status_code == 200, reply.text
    return [row["name"] for row in reply.json()]


def problems(reply: httpx.Response) -> list[tuple[list[str | int], str]]:
    """Return where a 422 saw which kinds of problem."""
    assert reply.status_code == 422, reply.text
    detail = reply.json()["detail"]
    assert all(list(entry) == ["loc", "msg", "type"] for entry in detail)
    return [(entry["loc"], entry["type"]) for entry in detail]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "sandbox-stuut-token"}]
)
async def test_only_the_token_opens(headers: dict[str, str], clock: Any) -> None:
    """Without the bearer of the token every path is a 401."""
    app: ASGIApp = server.build(tuple(people(10)), clock)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://stuut", headers=headers
    ) as client:
        replies = [await client.get(path) for path in (SEGMENTS, "/v1/partners", "/nothing")]

    assert [reply.status_code for reply in replies] == [401, 401, 401]
    assert replies[0].json() == {"detail": "Not authenticated"}


async def test_segments_come_by_priority(stuut: httpx.AsyncClient) -> None:
    """The list is a bare array, by ascending priority, in the documented shape."""
    rows = (await stuut.get(SEGMENTS)).json()
    for row in rows:
        jsonschema.validate(row, SEGMENT)

    assert [row["name"] for row in rows] == BY_PRIORITY
    assert [row["priority"] for row in rows] == list(range(8))
    assert len({row["id"] for row in rows}) == 8
    assert rows[1] == {
        "id": rows[1]["id"],
        "name": "DACH strategic",
        "description": "Large accounts in the German-speaking countries",
        "priority": 1,
        "conditions": {
            "address": {"country": {"in": ["DE", "AT", "CH"]}},
            "or": [
                {"businessUnit": {"name": {"in": ["Industrial"]}}},
                {"businessUnit": {"name": {"in": ["Medical"]}}},
            ],
        },
        "created_at": "2025-01-14T09:15:01Z",
        "modified_at": None,
        "object": "customer_segment",
    }


async def test_pages_count_from_zero(stuut: httpx.AsyncClient) -> None:
    """A full page does not show whether there are more; the page after the last is empty."""
    pages = [await names(stuut, page=page, limit=4) for page in range(3)]

    assert pages == [BY_PRIORITY[:4], BY_PRIORITY[4:], []]


async def test_search_finds_parts_of_names(stuut: httpx.AsyncClient) -> None:
    """`search` looks for a part of the name, whatever its case, before the page is cut."""
    assert await names(stuut, search="dach") == ["DACH strategic", "Rest of DACH"]
    assert await names(stuut, search="dach", limit=1, page=1) == ["Rest of DACH"]
    assert await names(stuut, search="nothing") == []


@pytest.mark.parametrize("path", [SEGMENTS, "/v1/partners"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page=-1", (["query", "page"], "greater_than_equal")),
        ("page=x", (["query", "page"], "int_parsing")),
        ("limit=0", (["query", "limit"], "greater_than_equal")),
        ("limit=501", (["query", "limit"], "less_than_equal")),
    ],
)
async def test_lists_refuse(
    path: str, query: str, expected: tuple[list[str], str], stuut: httpx.AsyncClient
) -> None:
    """A page below 0 and a limit outside its range are 422."""
    assert problems(await stuut.get(f"{path}?{query}")) == [expected]


async def test_limits_of_the_lists(stuut: httpx.AsyncClient) -> None:
    """Segments come by at most 500, partners by at most 200."""
    statuses = [
        (await stuut.get(path)).status_code
        for path in (
            f"{SEGMENTS}?limit=500",
            "/v1/partners?limit=200",
            "/v1/partners?limit=201",
        )
    ]

    assert statuses == [200, 200, 422]


async def test_create_answers_the_whole_segment(stuut: httpx.AsyncClient, clock: Any) -> None:
    """A new segment is returned with 200 and its conditions as sent, and is listed by priority."""
    conditions = {
        "address": {"country": {"in": ["US"], "nin": ["CA"]}},
        "and_": [{"businessUnit": {"name": {"nin": ["Food"]}}}],
        "customFields": {},
        "or": [],
    }
    body = {"name": "x" * 128, "priority": 2, "conditions": conditions}
    reply = await stuut.post(SEGMENTS, json=body)
    segment = reply.json()

    assert reply.status_code == 200
    assert segment == {
        "id": segment["id"],
        "name": "x" * 128,
        "description": None,
        "priority": 2,
        "conditions": conditions,
        "created_at": "2026-11-22T10:00:00.123456Z",
        "modified_at": None,
        "object": "customer_segment",
    }
    clock.forward(seconds=1)
    second = await stuut.post(SEGMENTS, json={"name": "Same priority", "priority": 2})
    assert second.json()["conditions"] == {}
    assert await names(stuut, limit=6) == [
        *BY_PRIORITY[:3],
        "x" * 128,
        "Same priority",
        BY_PRIORITY[3],
    ]


async def test_name_is_unique_ignoring_case(stuut: httpx.AsyncClient) -> None:
    """A second segment of a name is a 409, whatever its case."""
    reply = await stuut.post(SEGMENTS, json={"name": "KEY ACCOUNTS", "priority": 0})

    assert reply.status_code == 409
    assert reply.json() == {"detail": "Customer segment with name 'KEY ACCOUNTS' already exists"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [(["body"], "model_attributes_type")]),
        ({}, [(["body", "name"], "missing"), (["body", "priority"], "missing")]),
        (
            {"name": "", "priority": -1},
            [
                (["body", "name"], "string_too_short"),
                (["body", "priority"], "greater_than_equal"),
            ],
        ),
        ({"name": "x" * 129, "priority": 0}, [(["body", "name"], "string_too_long")]),
        (
            {"name": 1, "priority": "0", "description": 2},
            [
                (["body", "name"], "string_type"),
                (["body", "priority"], "int_type"),
                (["body", "description"], "string_type"),
            ],
        ),
        (
            {"name": "x", "priority": True, "conditions": []},
            [(["body", "priority"], "int_type"), (["body", "conditions"], "dict_type")],
        ),
        (
            {"name": "x", "priority": 0, "conditions": {"business_unit": {}}},
            [(["body", "conditions", "business_unit"], "extra_forbidden")],
        ),
        (
            {"name": "x", "priority": 0, "conditions": {"address": {"city": {}, "country": []}}},
            [
                (["body", "conditions", "address", "city"], "extra_forbidden"),
                (["body", "conditions", "address", "country"], "dict_type"),
            ],
        ),
        (
            {
                "name": "x",
                "priority": 0,
                "conditions": {
                    "or": [{"address": {"country": {"in": "DE"}}}, {"and": {}}, 1],
                    "businessUnit": {"name": {"in": [1], "not_in": []}},
                },
            },
            [
                (["body", "conditions", "or", 0, "address", "country", "in"], "list_type"),
                (["body", "conditions", "or", 1, "and"], "list_type"),
                (["body", "conditions", "or", 2], "dict_type"),
                (["body", "conditions", "businessUnit", "name", "in", 0], "string_type"),
                (["body", "conditions", "businessUnit", "name", "not_in"], "extra_forbidden"),
            ],
        ),
    ],
)
async def test_create_refuses(
    body: object, expected: list[tuple[list[str | int], str]], stuut: httpx.AsyncClient
) -> None:
    """All problems of a body are reported at once, and no segment is created."""
    reply = await stuut.post(SEGMENTS, json=body)

    assert problems(reply) == expected
    assert await names(stuut) == BY_PRIORITY


async def test_problems_read_as_fastapi_writes_them(stuut: httpx.AsyncClient) -> None:
    """A missing field has the text of the framework whose manners we assume."""
    reply = await stuut.post(SEGMENTS, json={"priority": 0})
    broken = await stuut.post(SEGMENTS, content=b"{")

    assert reply.json() == {
        "detail": [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}]
    }
    assert problems(broken) == [(["body", 0], "json_invalid")]


async def test_reorder_renumbers_all(stuut: httpx.AsyncClient) -> None:
    """Listed ids get 0 and up, the others follow in order; only moved segments are modified."""
    rows = (await stuut.get(SEGMENTS)).json()
    ids = [rows[7]["id"], rows[0]["id"]]
    reply = await stuut.post(f"{SEGMENTS}/reorder", json={"segment_ids": ids})
    after = reply.json()
    again = await stuut.post(f"{SEGMENTS}/reorder", json={"segment_ids": []})

    assert reply.status_code == 200
    assert [row["name"] for row in after] == [BY_PRIORITY[7], *BY_PRIORITY[:7]]
    assert [row["priority"] for row in after] == list(range(8))
    assert {row["modified_at"] for row in after} == {"2026-11-22T10:00:00.123456Z"}
    assert again.json() == after
    assert (await stuut.get(SEGMENTS)).json() == after


async def test_reorder_leaves_who_did_not_move(stuut: httpx.AsyncClient) -> None:
    """A segment with an unchanged priority still has a null modified_at."""
    rows = (await stuut.get(SEGMENTS)).json()
    ids = [rows[1]["id"], rows[0]["id"]]
    after = (await stuut.post(f"{SEGMENTS}/reorder", json={"segment_ids": ids})).json()

    assert [row["modified_at"] is None for row in after] == [False, False, *[True] * 6]


async def test_reorder_refuses(stuut: httpx.AsyncClient) -> None:
    """An unknown id is a 404, a wrong list a 422; nothing moves."""
    first = (await stuut.get(SEGMENTS)).json()[0]["id"]
    unknown = await stuut.post(f"{SEGMENTS}/reorder", json={"segment_ids": ["seg_x", first]})
    wrong = [
        await stuut.post(f"{SEGMENTS}/reorder", json=body)
        for body in (
            {},
            {"segment_ids": first},
            {"segment_ids": [1]},
            {"segment_ids": [first, first]},
        )
    ]

    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": "Customer segment 'seg_x' not found"},
    )
    loc: list[str | int] = ["body", "segment_ids"]
    assert [problems(reply) for reply in wrong] == [
        [(loc, "missing")],
        [(loc, "list_type")],
        [([*loc, 0], "string_type")],
        [(loc, "value_error")],
    ]
    assert await names(stuut) == BY_PRIORITY


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", f"{SEGMENTS}/seg_x", 404, "Not Found"),
        ("DELETE", f"{SEGMENTS}/seg_x", 404, "Not Found"),
        ("GET", f"{SEGMENTS}/", 404, "Not Found"),
        ("PATCH", SEGMENTS, 405, "Method Not Allowed"),
    ],
)
async def test_what_is_not_documented_is_not_there(
    method: str, path: str, status: int, detail: str, stuut: httpx.AsyncClient
) -> None:
    """There is no call for one segment alone, nor an update or a deletion."""
    reply = await stuut.request(method, path)

    assert (reply.status_code, reply.json()) == (status, {"detail": detail})
