from typing import Any

import httpx
import pytest

SEGMENTS = "/customer-segment/sandbox/segments"
CUSTOMERS = "/customer/sandbox/customers"
NOW = "2026-11-22T10:00:00.123Z"
MINIMAL: dict[str, Any] = {"name": {"en": "New"}, "siteCode": "main"}
BAD_REQUEST = {
    "code": 400,
    "status": "Bad Request",
    "message": "Validation problem with request body.",
}
EXISTS = {"code": 409, "status": "Conflict", "message": "The resource already exists."}
CHANGED = {
    "code": 409,
    "status": "Conflict",
    "message": "The resource you are attempting to access has changed.",
}


async def read(service: httpx.AsyncClient, segment_id: str) -> dict[str, Any]:
    """Return a segment in all languages."""
    answer = await service.get(f"{SEGMENTS}/{segment_id}", headers={"Accept-Language": "*"})
    assert answer.status_code == 200
    row: dict[str, Any] = answer.json()
    return row


async def test_create(
    service: httpx.AsyncClient,
) -> None:
    """Creating returns only the id; the default status is INACTIVE, the version 1."""
    answer = await service.post(SEGMENTS, json=MINIMAL)

    assert (answer.status_code, set(answer.json())) == (201, {"id"})
    segment_id = answer.json()["id"]
    assert len(bytes.fromhex(segment_id)) == 12
    assert await read(service, segment_id) == MINIMAL | {
        "id": segment_id,
        "status": "INACTIVE",
        "metadata": {"createdAt": NOW, "modifiedAt": NOW, "version": 1},
    }


async def test_create_whole(service: httpx.AsyncClient) -> None:
    """Creating stores the documented fields, ignores others, and writes times in UTC."""
    body = {
        "id": "Spring/2027",
        "name": {"en": "Spring", "de": "Frühling"},
        "description": {"pl": "Wiosna"},
        "validity": {"from": "2027-03-01T01:00:00+01:00", "to": "2027-05-31T23:59:59Z"},
        "status": "ACTIVE",
        "siteCode": "outlet",
        "mixins": {"extra": {"externalId": 7}},
        "metadata": {"version": 9, "mixins": {"extra": "https://example.com/extra.json"}},
        "unknown": "dropped",
    }
    answer = await service.post(SEGMENTS, json=body, headers={"Content-Language": "*"})

    assert (answer.status_code, answer.json()) == (201, {"id": "Spring/2027"})
    del body["unknown"]
    assert await read(service, "Spring%2F2027") == body | {
        "validity": {"from": "2027-03-01T00:00:00.000Z", "to": "2027-05-31T23:59:59.000Z"},
        "metadata": {
            "createdAt": NOW,
            "modifiedAt": NOW,
            "version": 1,
            "mixins": {"extra": "https://example.com/extra.json"},
        },
    }


async def test_create_taken_id(service: httpx.AsyncClient) -> None:
    """Creating under an id that is taken is 409."""
    answer = await service.post(SEGMENTS, json=MINIMAL | {"id": "golden"})

    assert (answer.status_code, answer.json()) == (409, EXISTS)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "New"}, "name"),
        ({"name": {}}, "name"),
        ({"name": {"en": 1}}, "name[...]"),
        ({"name": {"fr": "Nouveau"}}, "name"),
        ({"description": {"xx": "?"}}, "description"),
        ({"siteCode": ""}, "siteCode"),
        ({"siteCode": 1}, "siteCode"),
        ({"status": "active"}, "status"),
        ({"id": ""}, "id"),
        ({"validity": {"from": "2027-01-01"}}, "validity.from"),
        ({"validity": {"to": "2027-01-01T00:00:00"}}, "validity.to"),
        ({"mixins": []}, "mixins"),
        ({"metadata": {"version": "1"}}, "metadata.version"),
    ],
)
async def test_refused_fields(
    service: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    """A field that does not fit is 400 and named, and nothing is changed."""
    for answer in (
        await service.post(SEGMENTS, json=MINIMAL | change),
        await service.put(f"{SEGMENTS}/golden", json=MINIMAL | change),
    ):
        body = answer.json()
        assert answer.status_code == 400
        assert body.pop("details")["field"] == field
        assert body == BAD_REQUEST
    assert (await read(service, "golden"))["metadata"]["version"] == 4


@pytest.mark.parametrize("body", [{"name": {"en": "x"}}, {"siteCode": "main"}, [], "x", None])
async def test_required_fields(service: httpx.AsyncClient, body: Any) -> None:
    """Name and site are required."""
    assert (await service.post(SEGMENTS, json=body)).status_code == 400


@pytest.mark.parametrize(("language", "status"), [("*", 201), ("de, en", 201), ("fr", 400)])
async def test_content_language(service: httpx.AsyncClient, language: str, status: int) -> None:
    """`Content-Language` is `*` or languages of the tenant."""
    headers = {"Content-Language": language}
    assert (await service.post(SEGMENTS, json=MINIMAL, headers=headers)).status_code == status


async def test_put(service: httpx.AsyncClient, clock: Any) -> None:
    """PUT creates what is missing (201, id) and replaces what is there (204, empty)."""
    created = await service.put(f"{SEGMENTS}/new", json=MINIMAL | {"description": {"en": "x"}})
    clock.forward(seconds=1)
    updated = await service.put(f"{SEGMENTS}/new", json=MINIMAL | {"status": "ACTIVE"})

    assert (created.status_code, created.json()) == (201, {"id": "new"})
    assert (updated.status_code, updated.content) == (204, b"")
    assert await read(service, "new") == MINIMAL | {
        "id": "new",
        "status": "ACTIVE",
        "metadata": {"createdAt": NOW, "modifiedAt": "2026-11-22T10:00:01.123Z", "version": 2},
    }


async def test_put_version(
    service: httpx.AsyncClient,
) -> None:
    """A stale version is 409 and changes nothing; without one nothing is checked."""
    before = await read(service, "golden")
    stale = await service.put(f"{SEGMENTS}/golden", json=MINIMAL | {"metadata": {"version": 3}})
    assert (stale.status_code, stale.json()) == (409, CHANGED)
    assert await read(service, "golden") == before

    current = MINIMAL | {"metadata": {"version": 4}}
    assert (await service.put(f"{SEGMENTS}/golden", json=current)).status_code == 204
    assert (await service.put(f"{SEGMENTS}/golden", json=current)).status_code == 409
    assert (await service.put(f"{SEGMENTS}/golden", json=MINIMAL)).status_code == 204
    assert (await read(service, "golden"))["metadata"]["version"] == 6


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "replace", "path": "/status", "value": "INACTIVE"}], {"status": "INACTIVE"}),
        ([{"op": "replace", "path": "/name", "value": {"en": "New"}}], {"name": {"en": "New"}}),
        (
            [
                {"op": "replace", "path": "/name/en", "value": "Gold"},
                {"op": "remove", "path": "/name/de"},
                {"op": "remove", "path": "/name/pl"},
                {"op": "remove", "path": "/name/es"},
            ],
            {"name": {"en": "Gold"}},
        ),
        (
            [{"op": "add", "path": "/validity/to", "value": "2027-01-01T00:00:00.000Z"}],
            {"validity": {"from": "2025-01-01T00:00:00.000Z", "to": "2027-01-01T00:00:00.000Z"}},
        ),
        (
            [
                {"op": "replace", "path": "/mixins/loyalty/discountPercent", "value": 15},
                {"op": "add", "path": "/mixins/a~1b~0c", "value": ["x"]},
                {"op": "add", "path": "/mixins/a~1b~0c/-", "value": "z"},
                {"op": "add", "path": "/mixins/a~1b~0c/1", "value": "y"},
                {"op": "replace", "path": "/mixins/a~1b~0c/0", "value": {"deep": 1}},
                {"op": "replace", "path": "/mixins/a~1b~0c/0/deep", "value": True},
                {"op": "remove", "path": "/mixins/a~1b~0c/2"},
            ],
            {
                "mixins": {
                    "loyalty": {"level": "GOLD", "discountPercent": 15},
                    "a/b~c": [{"deep": True}, "y"],
                }
            },
        ),
        ([], {}),
    ],
    ids=["status", "name", "one-language", "validity", "mixins", "nothing"],
)
async def test_patch(
    service: httpx.AsyncClient, operations: list[Any], expected: dict[str, Any]
) -> None:
    """A patch changes what it names and raises the version."""
    before = await read(service, "golden")
    answer = await service.patch(f"{SEGMENTS}/golden", json=operations)

    assert (answer.status_code, answer.content) == (204, b"")
    metadata = before["metadata"] | {"modifiedAt": NOW, "version": 5}
    assert await read(service, "golden") == before | expected | {"metadata": metadata}


async def test_patch_remove(service: httpx.AsyncClient) -> None:
    """A patch can remove all that is optional."""
    operations = [
        {"op": "remove", "path": path} for path in ("/description", "/mixins", "/metadata/mixins")
    ]
    assert (await service.patch(f"{SEGMENTS}/golden", json=operations)).status_code == 204

    row = await read(service, "golden")
    assert set(row) == {"id", "name", "validity", "status", "siteCode", "metadata"}
    assert set(row["metadata"]) == {"createdAt", "modifiedAt", "version"}


@pytest.mark.parametrize(
    "operations",
    [
        {"op": "replace", "path": "/status", "value": "INACTIVE"},
        [{"op": "test", "path": "/status", "value": "ACTIVE"}],
        [{"op": "move", "from": "/name", "path": "/description"}],
        [{"op": "replace", "path": "status", "value": "INACTIVE"}],
        [{"op": "replace", "path": "", "value": {}}],
        [{"op": "replace", "path": "/status"}],
        [{"op": "replace", "path": "/status", "value": "OFF"}],
        [{"op": "replace", "path": "/status", "value": None}],
        [{"op": "remove", "path": "/siteCode"}],
        [{"op": "remove", "path": "/mixins/none"}],
        [{"op": "replace", "path": "/mixins/none", "value": 1}],
        [{"op": "add", "path": "/mixins/none/deeper", "value": 1}],
        [{"op": "add", "path": "/siteCode/deeper", "value": 1}],
        [{"op": "add", "path": "/id", "value": "other"}],
        [{"op": "add", "path": "/metadata/version", "value": 1}],
        [{"op": "replace", "path": "/metadata", "value": 1}],
        [
            {"op": "replace", "path": "/status", "value": "INACTIVE"},
            {"op": "remove", "path": "/name"},
        ],
        [
            {"op": "add", "path": "/mixins/list", "value": []},
            {"op": "replace", "path": "/mixins/list/0", "value": 1},
        ],
        ["x"],
    ],
)
async def test_refused_patch(service: httpx.AsyncClient, operations: Any) -> None:
    """A patch that cannot be done whole is 400, and nothing of it is done."""
    before = await read(service, "golden")
    answer = await service.patch(f"{SEGMENTS}/golden", json=operations)

    body = answer.json()
    assert (answer.status_code, set(body.pop("details"))) == (400, {"field", "message"})
    assert body == BAD_REQUEST
    assert await read(service, "golden") == before


async def test_patch_unknown(service: httpx.AsyncClient) -> None:
    """A patch of an unknown segment is 404."""
    assert (await service.patch(f"{SEGMENTS}/none", json=[])).status_code == 404


async def test_delete_with_assignments(service: httpx.AsyncClient) -> None:
    """A segment with assignments is only deleted by force, and they go with it."""
    members = (await service.get(f"{SEGMENTS}/vip-2026/customers")).json()
    refused = await service.delete(f"{SEGMENTS}/vip-2026")
    assert (refused.status_code, refused.json()) == (
        400,
        {
            "code": 400,
            "status": "Bad Request",
            "message": "The segment has items or customers assigned to it.",
        },
    )
    assert (await service.delete(f"{SEGMENTS}/vip-2026?forceDelete=maybe")).status_code == 400

    forced = await service.delete(f"{SEGMENTS}/vip-2026?forceDelete=true")
    assert (forced.status_code, forced.content) == (204, b"")
    assert (await service.get(f"{SEGMENTS}/vip-2026")).status_code == 404
    assert (await service.get(f"{SEGMENTS}/vip-2026/customers")).json() == []
    assert len(members) == 8
    for member in members:
        params = {"customerId": member["customer"]["id"], "q": "id:vip-2026"}
        assert (await service.get(SEGMENTS, params=params)).json() == []


async def test_delete(
    service: httpx.AsyncClient,
) -> None:
    """Deleting a segment without assignments, or none at all, is 204."""
    assert (await service.delete(f"{SEGMENTS}/staff")).status_code == 204
    assert (await service.delete(f"{SEGMENTS}/staff")).status_code == 204


async def test_bulk_create(service: httpx.AsyncClient) -> None:
    """A bulk creation returns each item's result in order."""
    bodies = [MINIMAL | {"id": "one"}, {"siteCode": "main"}, MINIMAL | {"id": "golden"}, 7]
    answer = await service.post(f"{SEGMENTS}/bulk", json=bodies)

    assert (answer.status_code, answer.json()) == (
        207,
        [
            {"index": 1, "id": "one", "code": 201, "status": "Created"},
            {"index": 2} | BAD_REQUEST,
            {"index": 3} | EXISTS,
            {"index": 4} | BAD_REQUEST,
        ],
    )


async def test_bulk_upsert(service: httpx.AsyncClient) -> None:
    """A bulk upsert creates, updates and refuses each item on its own."""
    bodies = [
        MINIMAL | {"id": "golden", "metadata": {"version": 4}},
        MINIMAL | {"id": "new"},
        MINIMAL,
        MINIMAL | {"id": "vip-2026", "metadata": {"version": 1}},
    ]
    answer = await service.put(f"{SEGMENTS}/bulk", json=bodies)

    assert (answer.status_code, answer.json()) == (
        207,
        [
            {"index": 1, "id": "golden", "code": 204, "status": "OK"},
            {"index": 2, "id": "new", "code": 201, "status": "Created"},
            {"index": 3} | BAD_REQUEST,
            {"index": 4} | CHANGED,
        ],
    )


async def test_bulk_delete(service: httpx.AsyncClient) -> None:
    """A bulk deletion takes ids and obeys `forceDelete`."""

    async def delete(query: str, segment_ids: list[Any]) -> list[Any]:
        path = f"{SEGMENTS}/bulk{query}"
        answer = await service.request("DELETE", path, json=segment_ids)
        assert answer.status_code == 207
        results: list[Any] = answer.json()
        return results

    assert await delete("", ["staff", "golden", 1]) == [
        {"index": 1, "id": "staff", "code": 204, "status": "OK"},
        {
            "index": 2,
            "code": 400,
            "status": "Bad Request",
            "message": "The segment has items or customers assigned to it.",
        },
        {"index": 3} | BAD_REQUEST,
    ]
    assert await delete("?forceDelete=true", ["golden", "none"]) == [
        {"index": 1, "id": "golden", "code": 204, "status": "OK"},
        {"index": 2, "id": "none", "code": 204, "status": "OK"},
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [["x"] * 201, {"id": "x"}, None])
async def test_refused_bulk(service: httpx.AsyncClient, method: str, body: Any) -> None:
    """A bulk call of more than 200, or of no array, is refused whole."""
    answer = await service.request(method, f"{SEGMENTS}/bulk", json=body)

    assert answer.status_code == 400
    assert {name: answer.json()[name] for name in BAD_REQUEST} == BAD_REQUEST


async def test_bulk_of_200(service: httpx.AsyncClient) -> None:
    """Two hundred items are not too many."""
    bodies = [MINIMAL | {"id": f"s{n}"} for n in range(200)]
    results = (await service.post(f"{SEGMENTS}/bulk", json=bodies)).json()

    assert [result["id"] for result in results] == [body["id"] for body in bodies]
    assert {result["code"] for result in results} == {201}
