from collections.abc import Callable
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

SEGMENTS = "/customer-segment/sandbox/segments"
NOW = "2026-11-22T10:00:00.123Z"
FRESH = {"createdAt": NOW, "modifiedAt": NOW, "version": 1}
BAD_REQUEST = {
    "code": 400,
    "status": "Bad Request",
    "message": "Validation problem with request body.",
}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
ITEM_RESPONSE = {  # ItemAssignmentResponse of the vendor's file, 2026-08-21
    "type": "object",
    "required": ["segmentId", "item", "type", "metadata"],
    "properties": {
        "segmentId": {"type": "string"},
        "item": {
            "type": "object",
            "required": ["id", "code", "name"],
            "properties": {"id": {"type": "string"}, "code": {"type": "string"}, "name": TEXTS},
        },
        "type": {"enum": ["PRODUCT", "CATEGORY"]},
        "metadata": {"required": ["createdAt", "modifiedAt", "version"]},
    },
}
CATEGORY_NODE = {
    "type": "object",
    "required": ["id", "code", "name", "isSegmentAssigned"],
    "properties": {
        "name": TEXTS,
        "isSegmentAssigned": {"type": "boolean"},
        "subcategories": {"type": "array", "items": {"$ref": "#/definitions/node"}},
    },
}


def items(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return the items listed, each with its segment."""
    assert answer.status_code == 200
    return [(row["segmentId"], row["item"]["id"]) for row in answer.json()]


async def test_items_of_all_segments(service: httpx.AsyncClient) -> None:
    """The items of all segments are listed, filtered and counted."""
    every = await service.get(f"{SEGMENTS}/items", headers={"X-Total-Count": "true"})
    jsonschema.validate(every.json(), {"type": "array", "items": ITEM_RESPONSE})
    assert (len(every.json()), every.headers["X-Total-Count"]) == (15, "15")

    products = await service.get(
        f"{SEGMENTS}/items", params={"q": "type:PRODUCT segmentId:golden"}
    )
    assert items(products) == [("golden", "p1003"), ("golden", "p1004")]
    outlet = await service.get(f"{SEGMENTS}/items", params={"siteCode": "outlet"})
    assert [item for _, item in items(outlet)] == ["p1012", "p1012", "p1013", "p1014"]


async def test_only_active(
    service: httpx.AsyncClient,
) -> None:
    """`onlyActive` leaves out items of INACTIVE segments."""
    await service.put(f"{SEGMENTS}/staff/items/PRODUCT/p1001")
    path = f"{SEGMENTS}/items"
    params = {"q": "segmentId:staff"}

    assert items(await service.get(path, params=params)) == [("staff", "p1001")]
    assert items(await service.get(path, params=params | {"onlyActive": "true"})) == []
    assert (await service.get(path, params={"onlyActive": "yes"})).status_code == 400


async def test_items_of_one_segment(
    service: httpx.AsyncClient,
) -> None:
    """One segment's items are listed, searched, and read one by one."""
    path = f"{SEGMENTS}/golden/items"
    golden = [("golden", "p1003"), ("golden", "p1004"), ("golden", "cat-espresso")]
    assert items(await service.get(path)) == golden
    assert items(await service.post(f"{path}/search", json={"q": "type:CATEGORY"})) == golden[2:]

    one = await service.get(f"{path}/PRODUCT/p1003", headers={"Accept-Language": "de"})
    assert (one.status_code, one.json()) == (
        200,
        {
            "segmentId": "golden",
            "item": {"id": "p1003", "code": "SKU-1003", "name": {"de": "Espressobohnen, 1 kg"}},
            "type": "PRODUCT",
            "metadata": {
                "createdAt": "2025-03-04T09:40:00.000Z",
                "modifiedAt": "2025-03-04T09:40:00.000Z",
                "version": 1,
            },
        },
    )
    assert (await service.get(f"{path}/CATEGORY/p1003")).status_code == 404
    assert (await service.get(f"{path}/product/p1003")).status_code == 404


async def test_life_of_an_assignment(service: httpx.AsyncClient) -> None:
    """An item is assigned (201), changed (204) and removed; the version is minded."""
    path = f"{SEGMENTS}/staff/items/CATEGORY/cat-tea"
    created = await service.put(path, json={"mixins": {"a": {"b": 1}}})
    assert (created.status_code, created.content) == (201, b"")
    assert (await service.get(path)).json() == {
        "segmentId": "staff",
        "item": {"id": "cat-tea", "code": "tea", "name": {"en": "Tea"}},
        "type": "CATEGORY",
        "mixins": {"a": {"b": 1}},
        "metadata": FRESH,
    }
    updated = await service.put(path, json={"metadata": {"version": 1}})
    assert (updated.status_code, updated.content) == (204, b"")
    assert (await service.put(path, json={"metadata": {"version": 1}})).status_code == 409
    assert (await service.delete(f"{SEGMENTS}/staff")).status_code == 400
    for _ in range(2):
        assert (await service.delete(path)).status_code == 204
    assert (await service.get(path)).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["none/items/PRODUCT/p1001", "staff/items/PRODUCT/cat-tea", "staff/items/THING/p1001"],
)
async def test_refused_assignments(service: httpx.AsyncClient, path: str) -> None:
    """An unknown segment, item or type is 400."""
    answer = await service.put(f"{SEGMENTS}/{path}", json={})

    assert answer.status_code == 400
    assert {name: answer.json()[name] for name in BAD_REQUEST} == BAD_REQUEST


async def test_bulk(service: httpx.AsyncClient) -> None:
    """A bulk call returns each item's result in order, without ids, and accepts at most 200."""
    path = f"{SEGMENTS}/staff/items/PRODUCT/bulk"
    bodies: list[Any] = [{"id": "p1001"}, {"id": "none"}, {}, {"id": "p1001"}]
    answer = await service.put(path, json=bodies)
    assert (answer.status_code, answer.json()) == (
        207,
        [
            {"index": 1, "code": 201, "status": "Created"},
            {"index": 2} | BAD_REQUEST,
            {"index": 3} | BAD_REQUEST,
            {"index": 4, "code": 204, "status": "OK"},
        ],
    )
    deleted = await service.request("DELETE", path, json=["p1001", "none", {"id": "p1001"}])
    assert (deleted.status_code, deleted.json()) == (
        207,
        [
            {"index": 1, "code": 204, "status": "OK"},
            {"index": 2, "code": 204, "status": "OK"},
            {"index": 3} | BAD_REQUEST,
        ],
    )
    for method in ("PUT", "DELETE"):
        assert (await service.request(method, path, json=["x"] * 201)).status_code == 400
        wrong = path.replace("PRODUCT", "product")
        assert (await service.request(method, wrong, json=[])).status_code == 400


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"site": "main", "segmentIds": ["golden"]}, ["p1004", "p1003"]),
        ({"siteCode": "main", "segmentIds": ["golden"]}, ["p1004", "p1003"]),
        ({"site": "outlet", "siteCode": "main", "segmentIds": ["golden"]}, []),
        ({"site": "main", "segmentIds": ["b2b-partners"]}, ["p1007"]),
        ({"site": "main", "segmentIds": ["none", "golden"]}, ["p1004", "p1003"]),
        ({"site": "main", "segmentIds": []}, []),
        ({"site": "outlet", "segmentIds": ["staff"]}, []),
    ],
    ids=["site", "siteCode", "both", "category-above", "unknown", "none", "inactive"],
)
async def test_match(
    service: httpx.AsyncClient, body: dict[str, Any], expected: list[str]
) -> None:
    """`match` returns the products of ACTIVE segments of the site, also through categories."""
    await service.put(f"{SEGMENTS}/staff/items/PRODUCT/p1003")
    products = [{"id": one} for one in ("p1004", "p1007", "p1003", "p1004", "none")]
    answer = await service.post(f"{SEGMENTS}/match", json=body | {"items": products})

    assert (answer.status_code, answer.json()) == (200, [{"id": one} for one in expected])


@pytest.mark.parametrize(
    "body",
    [
        {"items": [], "segmentIds": []},
        {"site": "main", "segmentIds": []},
        {"site": "main", "items": []},
        {"site": "main", "items": ["p1001"], "segmentIds": []},
        {"site": "main", "items": [{}], "segmentIds": []},
        [],
    ],
)
async def test_refused_match(service: httpx.AsyncClient, body: Any) -> None:
    """A match without items, segments or a site is 400."""
    answer = await service.post(f"{SEGMENTS}/match", json=body)

    assert answer.status_code == 400
    assert {name: answer.json()[name] for name in BAD_REQUEST} == BAD_REQUEST


async def test_shopper(
    service: httpx.AsyncClient, shopper: Callable[[str], httpx.AsyncClient]
) -> None:
    """A shopper sees only items of his own ACTIVE segments."""
    await service.put(f"{SEGMENTS}/staff/customers/90000000")
    await service.put(f"{SEGMENTS}/staff/items/PRODUCT/p1001")
    client = shopper("90000000")

    assert set(items(await client.get(f"{SEGMENTS}/items"))) >= {("golden", "p1003")}
    assert {segment for segment, _ in items(await client.get(f"{SEGMENTS}/items"))} <= {
        row["id"] for row in (await client.get(f"{SEGMENTS}/me")).json()
    }
    assert len(items(await client.get(f"{SEGMENTS}/golden/items"))) == 3
    assert (await client.get(f"{SEGMENTS}/golden/items/PRODUCT/p1003")).status_code == 200
    for other in ("staff", "b2b-partners"):
        assert items(await client.get(f"{SEGMENTS}/{other}/items")) == []
    assert (await client.get(f"{SEGMENTS}/staff/items/PRODUCT/p1001")).status_code == 404


async def test_category_trees(
    shopper: Callable[[str], httpx.AsyncClient],
) -> None:
    """The tree has the assigned categories, what is below them, and what leads to them."""
    client = shopper("90000037")
    path = f"{SEGMENTS}/items/category-trees"
    tree = (await client.get(path, headers={"Accept-Language": "de"})).json()

    schema = {"definitions": {"node": CATEGORY_NODE}, "type": "array", "items": CATEGORY_NODE}
    jsonschema.validate(tree, schema)

    def outline(nodes: list[Any]) -> list[Any]:
        return [
            (node["name"]["de"], node["isSegmentAssigned"], outline(node["subcategories"]))
            for node in nodes
        ]

    workshop: Any = ("Werkstatt", True, [("Handwerkzeug", True, []), ("Arbeitsschutz", True, [])])
    assert outline(tree) == [workshop]
    assert (await client.get(path, params={"siteCode": "outlet"})).json() == []

    golden = (await shopper("90000000").get(path, headers={"Accept-Language": "de"})).json()
    assert outline(golden) == [
        ("Küche", False, [("Kaffee", True, [("Espresso", True, [])])]),
        ("Garten", True, []),
    ]
