from collections.abc import Callable
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

SEGMENTS = "/customer-segment/sandbox/segments"
CUSTOMERS = "/customer/sandbox/customers"
NOW = "2026-11-22T10:00:00.123Z"
FRESH = {"createdAt": NOW, "modifiedAt": NOW, "version": 1}
BUYER = "90000037"
"""A person of the cast who buys for two legal entities."""
BAD_REQUEST = {
    "code": 400,
    "status": "Bad Request",
    "message": "Validation problem with request body.",
}
CHANGED = {
    "code": 409,
    "status": "Conflict",
    "message": "The resource you are attempting to access has changed.",
}
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
ASSIGNMENT_RESPONSE = {  # CustomerAssignmentResponse of the vendor's file, 2026-08-21
    "type": "object",
    "required": ["customer", "assignmentType", "metadata"],
    "properties": {
        "customer": STRINGS | {"required": ["id", "firstName", "lastName", "email"]},
        "legalEntity": STRINGS | {"required": ["id", "name"]},
        "assignmentType": {"enum": ["MANUAL", "AUTOMATIC"]},
        "mixins": {"type": "object"},
        "metadata": {"required": ["createdAt", "modifiedAt", "version"]},
    },
    "additionalProperties": False,
}


async def entities(service: httpx.AsyncClient, number: str) -> list[dict[str, str]]:
    """Return a customer's legal entities."""
    customer = (await service.get(f"{CUSTOMERS}/{number}")).json()
    entities: list[dict[str, str]] = customer["b2b"]["legalEntities"]
    return entities


async def test_shape_of_the_example(
    service: httpx.AsyncClient,
) -> None:
    """Every example assignment has the documented shape."""
    kinds = set()
    for segment in (await service.get(SEGMENTS)).json():
        path = f"{SEGMENTS}/{segment['id']}/customers"
        rows = (await service.get(path, params={"pageSize": 100})).json()
        jsonschema.validate(rows, {"type": "array", "items": ASSIGNMENT_RESPONSE})
        kinds |= {(row["assignmentType"], "legalEntity" in row) for row in rows}

    assert kinds == {("MANUAL", False), ("MANUAL", True), ("AUTOMATIC", False)}


async def test_buyer_of_two_companies(service: httpx.AsyncClient) -> None:
    """A buyer is in a segment once per legal entity he buys for."""
    path = f"{SEGMENTS}/b2b-partners/customers"
    answer = await service.get(path, params={"q": f"customer.id:{BUYER}"})

    assert [row["legalEntity"] for row in answer.json()] == [
        {"id": entity["id"], "name": entity["name"]} for entity in await entities(service, BUYER)
    ]
    for row in answer.json():
        one = await service.get(f"{path}/{BUYER}/{row['legalEntity']['id']}")
        assert (one.status_code, one.json()) == (200, row)
    assert (await service.get(f"{path}/{BUYER}")).status_code == 404


async def test_life_of_an_assignment(service: httpx.AsyncClient, clock: Any) -> None:
    """An assignment is created (201), changed (204) and removed; its version is checked."""
    path = f"{SEGMENTS}/staff/customers/90000000"
    created = await service.put(path, json={})
    assert (created.status_code, created.content) == (201, b"")
    row = {
        "customer": {
            "id": "90000000",
            "firstName": "Ana",
            "lastName": "Almeida",
            "email": "ana.almeida.0@example.com",
        },
        "assignmentType": "MANUAL",
        "metadata": FRESH,
    }
    assert (await service.get(path)).json() == row
    listed = await service.get(SEGMENTS, params={"customerId": "90000000", "q": "id:staff"})
    assert [segment["id"] for segment in listed.json()] == ["staff"]

    clock.forward(seconds=60)
    mixins = {"badge": {"colour": "red"}}
    body = {"mixins": mixins, "metadata": {"version": 1, "mixins": {"badge": "https://x.test/b"}}}
    updated = await service.put(path, json=body)
    assert (updated.status_code, updated.content) == (204, b"")
    metadata = {
        "createdAt": NOW,
        "modifiedAt": "2026-11-22T10:01:00.123Z",
        "version": 2,
        "mixins": {"badge": "https://x.test/b"},
    }
    assert (await service.get(path)).json() == row | {"mixins": mixins, "metadata": metadata}

    stale = await service.put(path, json=body)
    assert (stale.status_code, stale.json()) == (409, CHANGED)

    for _ in range(2):
        assert (await service.delete(path)).status_code == 204
    missing = await service.get(path)
    assert (missing.status_code, missing.json()) == (
        404,
        {
            "code": 404,
            "status": "Not Found",
            "message": "The resource with id 90000000 has not been found.",
        },
    )
    listed = await service.get(SEGMENTS, params={"customerId": "90000000", "q": "id:staff"})
    assert listed.json() == []


async def test_b2b_and_b2c_are_separate(
    service: httpx.AsyncClient,
) -> None:
    """Removing one of a customer's assignments leaves the others."""
    path = f"{SEGMENTS}/staff/customers/{BUYER}"
    first, second = [entity["id"] for entity in await entities(service, BUYER)]
    for tail in ("", f"/{first}", f"/{second}"):
        assert (await service.put(f"{path}{tail}")).status_code == 201
    assert len((await service.get(f"{SEGMENTS}/staff/customers")).json()) == 3

    await service.delete(f"{path}/{first}")
    await service.delete(path)
    left = (await service.get(f"{SEGMENTS}/staff/customers")).json()
    assert [row["legalEntity"]["id"] for row in left] == [second]
    listed = await service.get(SEGMENTS, params={"customerId": BUYER, "q": "id:staff"})
    assert len(listed.json()) == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("none/customers/90000000", {}, "segmentId"),
        ("staff/customers/none", {}, "customerId"),
        ("staff/customers/90000037/none", {}, "legalEntityId"),
        ("staff/customers/90000000", {"mixins": 1}, "mixins"),
        ("staff/customers/90000000", {"metadata": {"version": "1"}}, "metadata.version"),
        ("staff/customers/90000000", [], ""),
    ],
)
async def test_refused_assignments(
    service: httpx.AsyncClient, path: str, body: Any, field: str
) -> None:
    """An unknown segment, customer or legal entity, or a bad body, is 400 and named."""
    answer = await service.put(f"{SEGMENTS}/{path}", json=body)

    body = answer.json()
    assert (answer.status_code, body.pop("details")["field"]) == (400, field)
    assert body == BAD_REQUEST


async def test_lists(service: httpx.AsyncClient) -> None:
    """Lists and searches page, sort, count and project alike."""
    path = f"{SEGMENTS}/golden/customers"
    total = {"X-Total-Count": "true"}
    params: dict[str, Any] = {"pageSize": 10, "sort": "customer.lastName:desc,customer.id"}
    first = await service.get(path, params=params, headers=total)
    rest = await service.get(path, params=params | {"pageNumber": 2, "pageSize": 100})
    searched = await service.post(
        f"{path}/search", params=params, headers=total, json={"q": "assignmentType:MANUAL"}
    )
    everything = (await service.get(path, params={"pageSize": 100})).json()

    assert len(first.json()) == 10
    assert first.headers["X-Total-Count"] == str(len(everything)) == "29"
    assert rest.json() == []
    assert (searched.json(), searched.headers["X-Total-Count"]) == (first.json(), "29")
    names = [row["customer"]["lastName"] for row in first.json()]
    every = sorted((row["customer"]["lastName"] for row in everything), reverse=True)
    assert names == every[:10]

    automatic = await service.get(path, params={"q": "assignmentType:AUTOMATIC"})
    assert automatic.json() == []
    fields = await service.get(path, params={"fields": "customer.id", "pageSize": 1})
    assert fields.json() == [{"customer": {"id": "90000000"}}]


@pytest.mark.parametrize("tail", ["customers", "items", "groups"])
async def test_lists_of_an_unknown_segment(service: httpx.AsyncClient, tail: str) -> None:
    """A segment that is not there has nothing in it; no 404 is documented."""
    listed = await service.get(f"{SEGMENTS}/none/{tail}")
    searched = await service.post(f"{SEGMENTS}/none/{tail}/search", json={})

    assert [(answer.status_code, answer.json()) for answer in (listed, searched)] == [
        (200, [])
    ] * 2


async def test_bulk(
    service: httpx.AsyncClient,
) -> None:
    """A bulk call returns each item's result in order, without ids, and accepts at most 200."""
    first, _ = [entity["id"] for entity in await entities(service, BUYER)]
    path = f"{SEGMENTS}/staff/customers/bulk"
    bodies: list[Any] = [
        {"customerId": "90000000"},
        {"customerId": BUYER, "legalEntityId": first, "mixins": {"a": {}}},
        {"customerId": "none"},
        {"customerId": "90000000"},
        {"legalEntityId": first},
        {"customerId": "90000000", "metadata": {"version": 1}},
    ]
    answer = await service.put(path, json=bodies)
    assert (answer.status_code, answer.json()) == (
        207,
        [
            {"index": 1, "code": 201, "status": "Created"},
            {"index": 2, "code": 201, "status": "Created"},
            {"index": 3} | BAD_REQUEST,
            {"index": 4, "code": 204, "status": "OK"},
            {"index": 5} | BAD_REQUEST,
            {"index": 6} | CHANGED,
        ],
    )

    deleted = await service.request("DELETE", path, json=bodies[:3] + bodies[4:5])
    assert (deleted.status_code, deleted.json()) == (
        207,
        [
            {"index": 1, "code": 204, "status": "OK"},
            {"index": 2, "code": 204, "status": "OK"},
            {"index": 3, "code": 204, "status": "OK"},
            {"index": 4} | BAD_REQUEST,
        ],
    )
    assert (await service.get(f"{SEGMENTS}/staff/customers")).json() == []
    for method in ("PUT", "DELETE"):
        too_many = await service.request(method, path, json=bodies[:1] * 201)
        assert too_many.status_code == 400


async def test_shopper(
    service: httpx.AsyncClient, shopper: Callable[[str], httpx.AsyncClient]
) -> None:
    """Shoppers see themselves in their own ACTIVE segments, and no other customer."""
    await service.put(f"{SEGMENTS}/staff/customers/90000000")  # INACTIVE
    client = shopper("90000000")

    own = (await client.get(f"{SEGMENTS}/golden/customers")).json()
    assert [row["customer"]["id"] for row in own] == ["90000000"]
    for other in ("staff", "b2b-partners"):
        assert (await client.get(f"{SEGMENTS}/{other}/customers")).json() == []


async def test_copies_follow_the_customer(service: httpx.AsyncClient) -> None:
    """Names in assignments follow the customer, and go with him."""
    await service.patch(f"{CUSTOMERS}/90000000", json={"lastName": "Berg"})
    row = (await service.get(f"{SEGMENTS}/golden/customers/90000000")).json()
    assert row["customer"]["lastName"] == "Berg"

    await service.delete(f"{CUSTOMERS}/90000000")
    assert (await service.get(f"{SEGMENTS}/golden/customers/90000000")).status_code == 404
    params = {"customerId": "90000000"}
    assert (await service.get(SEGMENTS, params=params)).json() == []


async def test_groups(
    service: httpx.AsyncClient, shopper: Callable[[str], httpx.AsyncClient]
) -> None:
    """Members of an IAM group inherit its segments; only groups of customers may be assigned."""
    club = (await service.get(SEGMENTS, params={"q": 'name.en:"Birthday club"'})).json()[0]["id"]
    path = f"{SEGMENTS}/{club}/groups"
    assert (await service.put(f"{path}/grp-keyaccounts")).status_code == 201
    assert (await service.put(f"{path}/grp-keyaccounts", json={})).status_code == 204
    for answer in (
        await service.put(f"{path}/grp-support"),
        await service.put(f"{path}/none"),
        await service.put(f"{SEGMENTS}/none/groups/grp-keyaccounts"),
    ):
        assert answer.status_code == 400

    row = {
        "segmentId": club,
        "group": {"id": "grp-keyaccounts", "name": {"de": "Großkunden"}},
        "metadata": FRESH | {"version": 2},
    }
    german = {"Accept-Language": "de"}
    response = await service.post(
        f"{path}/search", json={"q": "group.id:grp-keyaccounts"}, headers=german
    )
    sort = {"sort": "group.id:ASC"}
    assert (await service.get(path, params=sort, headers=german)).json() == [row]
    assert response.json() == [row]
    assert (await service.get(f"{path}/grp-keyaccounts", headers=german)).json() == row
    assert (await service.get(f"{path}/grp-testers")).status_code == 404

    assert (await service.get(f"{SEGMENTS}/{club}/customers")).json() == []
    inherited = await service.get(SEGMENTS, params={"customerId": "90000000"})
    assert club in {segment["id"] for segment in inherited.json()}
    mine = (await shopper("90000000").get(f"{SEGMENTS}/me")).json()
    assert club in {segment["id"] for segment in mine}
    assert (await service.delete(f"{SEGMENTS}/{club}")).status_code == 400

    for _ in range(2):
        assert (await service.delete(f"{path}/grp-keyaccounts")).status_code == 204
    assert (await service.get(path)).json() == []
