"""The change log has exactly what writes changed, in the documented order."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.serving import Front, customer_id, segment_id
from tests.e2e.writes.asking import do, shoppers
from tests.e2e.writes.inputs import GOLDEN, STUUT, VOUCHERIFY

CHANGES = """query($first: Int, $after: String, $filter: ChangeFilter) {
  changes(first: $first, after: $after, filter: $filter) {
    edges { cursor }
    nodes {
      __typename id cursor occurredAt recordedAt source kind provider { key }
      ... on AssignmentChange {
        segmentId customerId legalEntity { externalId } segment { id } customer { id }
      }
      ... on SegmentChange { segmentId segment { id } }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
STAFF = segment_id("emporix", "staff")
Shown = tuple[str, str] | tuple[str, str, str]


async def page(front: Front, **variables: Any) -> Any:
    """Return a page of changes."""
    return (await front.data(CHANGES, variables))["changes"]


async def changes(front: Front, after: str | None = None) -> Sequence[Shown]:
    """Return kind, segment and customer of all changes behind a cursor."""
    nodes = (await page(front, first=250, after=after))["nodes"]
    assert {node["source"] for node in nodes} <= {"WRITE"}
    assert all(node["occurredAt"] <= node["recordedAt"] for node in nodes)
    for node in nodes:
        is_gone = node["kind"] == "DELETED"
        assert (node["segment"] is None) is is_gone
    return [
        (node["kind"], node["segmentId"], node["customerId"])
        if node["__typename"] == "AssignmentChange"
        else (node["kind"], node["segmentId"])
        for node in nodes
    ]


async def cursor(front: Front) -> str:
    """Return where the log stands."""
    cursor = (await front.data("{ changesCursor }"))["changesCursor"]
    assert isinstance(cursor, str)
    return cursor


async def created(front: Front, provider: str, **parts: Any) -> str:
    """Create a segment; return its id."""
    given = {"provider": provider, "name": "Fresh", **parts}
    payload = await do(front, "segmentCreate", given, selection="segment { id }")
    segment = payload["segment"]["id"]
    assert isinstance(segment, str)
    return segment


async def test_one_segment(front: Front) -> None:
    """Create, update and delete are one change each; items update their segment."""
    start = await cursor(front)
    fresh = await created(front, "emporix", externalId="fresh", siteCode="main")
    await do(front, "segmentUpdate", {"id": fresh, "name": "Old"})
    items = [
        {"externalId": "p1001", "type": "PRODUCT"},
        {"externalId": "cat-tea", "type": "CATEGORY"},
    ]
    await do(front, "segmentItemsBulkAssign", {"segmentId": fresh, "items": items})
    written = await cursor(front)
    assert await changes(front, start) == [
        ("CREATED", fresh),
        ("UPDATED", fresh),
        ("UPDATED", fresh),
    ]
    await do(front, "segmentDelete", {"id": fresh, "force": True})
    nodes = (await page(front, after=written))["nodes"]
    assert [(node["kind"], node["segment"]) for node in nodes] == [("DELETED", None)]


async def test_items(front: Front) -> None:
    """One write of items is one UPDATED; it is none if the provider took none of them."""
    start = await cursor(front)
    items = [
        {"externalId": "p1001", "type": "PRODUCT"},
        {"externalId": "p9999", "type": "PRODUCT"},
        {"externalId": "cat-tea", "type": "CATEGORY"},
    ]
    outcomes = []
    for field, given, key in (
        ("segmentItemsBulkAssign", items, "1"),
        ("segmentItemsBulkAssign", items, "1"),
        ("segmentItemsBulkAssign", items[1:2], "2"),
        ("segmentItemsBulkAssign", [], "3"),
        ("segmentItemsBulkUnassign", [items[2], items[0]], "4"),
    ):
        rows = {"segmentId": STAFF, "items": given, "idempotencyKey": key}
        payload = await do(front, field, rows)
        outcomes.append([row["outcome"] for row in payload["results"]])
    assert outcomes == [
        *[["CREATED", "FAILED", "CREATED"]] * 2,
        ["FAILED"],
        [],
        ["DELETED", "DELETED"],
    ]
    assert await changes(front, start) == [("UPDATED", STAFF)] * 2
    only = {"segmentIds": [STAFF], "kinds": ["UPDATED"]}
    assert len((await page(front, after=start, filter=only))["nodes"]) == 2
    of_customers = {"customerIds": [customer_id("emporix", "p1001")]}
    assert (await page(front, after=start, filter=of_customers))["nodes"] == []


async def test_reordered(front: Front) -> None:
    """Each segment that is reordered is UPDATED, in the order of the input."""
    start = await cursor(front)
    data = await front.data('{ provider(key: "stuut") { segments(first: 3) { nodes { id } } } }')
    one, _, three = (node["id"] for node in data["provider"]["segments"]["nodes"])
    await do(front, "segmentsReorder", {"provider": "stuut", "ids": [three, one]})
    assert await changes(front, start) == [("UPDATED", three), ("UPDATED", one)]


async def test_made_of_customers(front: Front) -> None:
    """A segment made of customers is CREATED, then each of them ENTERED, in the order given."""
    start = await cursor(front)
    members = await front.data(
        '{ customers(first: 3, filter: {providers: ["voucherify"]}) { nodes { id } } }'
    )
    ids = [node["id"] for node in members["customers"]["nodes"]][::-1]
    fresh = await created(front, "voucherify", customers=ids)
    assert await changes(front, start) == [
        ("CREATED", fresh),
        *(("ENTERED", fresh, each) for each in ids),
    ]


async def test_assignments(front: Front) -> None:
    """Who is in already does not enter again, nor does anybody leave twice."""
    start = await cursor(front)
    fresh = await created(front, "emporix", externalId="fresh", siteCode="main")
    data = await front.data(
        '{ customers(first: 3, filter: {providers: ["emporix"]}) { nodes { id } } }'
    )
    one, two, three = (node["id"] for node in data["customers"]["nodes"])
    await do(front, "assignmentCreate", {"segmentId": fresh, "customerId": two})
    nobody = customer_id("emporix", "nobody")
    rows = [{"customerId": each} for each in (three, nobody, two, one)]
    payload = await do(front, "assignmentBulkCreate", {"segmentId": fresh, "assignments": rows})
    assert payload["failed"] == 1
    del rows[1]
    await do(front, "assignmentDelete", {"segmentId": fresh, "customerId": one})
    await do(front, "assignmentBulkDelete", {"segmentId": fresh, "assignments": rows})
    assert await changes(front, start) == [
        ("CREATED", fresh),
        ("ENTERED", fresh, two),
        ("ENTERED", fresh, three),
        ("ENTERED", fresh, one),
        ("LEFT", fresh, one),
        ("LEFT", fresh, three),
        ("LEFT", fresh, two),
    ]


async def test_replaced_pairs(front: Front) -> None:
    """A replacement is LEFT before ENTERED per customer, in the order of the input."""
    start = await cursor(front)
    one, two = shoppers(2)

    def entry(customer: str, *values: str) -> dict[str, Any]:
        pairs = [{"type": "t", "value": value} for value in values]
        return {"externalId": customer, "segments": pairs}

    for key, rows in (
        ("1", [entry(two, "b", "a"), entry(one, "c")]),
        ("2", [entry(two, "a", "z", "d"), entry(one)]),
    ):
        given = {"provider": "instaleap", "customers": rows, "idempotencyKey": key}
        await do(front, "customerSegmentsReplace", given)
        await do(front, "customerSegmentsReplace", given)
    nodes = (await page(front, after=start))["nodes"]
    assert [(node["kind"], node["segmentId"], node["customerId"]) for node in nodes] == [
        (kind, segment_id("instaleap", f"t:{value}"), customer_id("instaleap", customer))
        for kind, value, customer in (
            ("ENTERED", "b", two),
            ("ENTERED", "a", two),
            ("ENTERED", "c", one),
            ("LEFT", "b", two),
            ("ENTERED", "z", two),
            ("ENTERED", "d", two),
            ("LEFT", "c", one),
        )
    ]


async def test_bulk(front: Front) -> None:
    """Bulk rows are changes in the order of the input; a row that failed is none."""
    start = await cursor(front)
    rows = [{"externalId": key, "name": key, "siteCode": "main"} for key in ("c", "a", "b")]
    await do(front, "segmentBulkUpsert", {"provider": "emporix", "segments": rows})
    ids = [segment_id("emporix", "b"), customer_id("emporix", "a"), segment_id("emporix", "a")]
    await do(front, "segmentBulkDelete", {"ids": ids, "force": True})
    nodes = (await page(front, after=start))["nodes"]
    assert [(node["kind"], node["segmentId"]) for node in nodes] == [
        *(("CREATED", segment_id("emporix", key)) for key in ("c", "a", "b")),
        ("DELETED", segment_id("emporix", "b")),
        ("DELETED", segment_id("emporix", "a")),
    ]


async def test_refused(front: Front) -> None:
    """What a provider refuses, or what is a mistake, changes nothing."""
    start = await cursor(front)
    missing = segment_id("stuut", "019a0000-0000-7000-8000-000000000000")
    await do(front, "segmentUpdate", {"id": missing, "name": "X"})
    await do(front, "assignmentCreate", {"segmentId": STUUT, "customerId": STUUT})
    assert await changes(front, start) == []


async def test_paging_and_nodes(front: Front) -> None:
    """Cursors are exclusive, any of them goes on, and a change is a node by its id."""
    start = await cursor(front)
    fresh = await created(front, "emporix", externalId="fresh", siteCode="main")
    for name in ("one", "two"):
        await do(front, "segmentUpdate", {"id": fresh, "name": name})
    first = await page(front, first=2, after=start)
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": first["pageInfo"]["hasPreviousPage"],
        "startCursor": first["nodes"][0]["cursor"],
        "endCursor": first["nodes"][1]["cursor"],
    }
    assert [edge["cursor"] for edge in first["edges"]] == [n["cursor"] for n in first["nodes"]]
    rest = await page(front, after=first["pageInfo"]["endCursor"])
    assert [node["kind"] for node in rest["nodes"]] == ["UPDATED"]
    end = rest["pageInfo"]["endCursor"]
    empty = await page(front, after=end)
    assert (empty["nodes"], empty["pageInfo"]["endCursor"]) == ([], end)
    assert end == await cursor(front)
    query = "query($id: ID!) { node(id: $id) { id ... on SegmentChange { kind cursor } } }"
    node = first["nodes"][0]
    entry = (await front.data(query, {"id": node["id"]}))["node"]
    assert entry == {"id": node["id"], "kind": "CREATED", "cursor": node["cursor"]}
    whole = await page(front, first=250)
    assert [each["id"] for each in whole["nodes"]][-3:] == [
        each["id"] for each in first["nodes"] + rest["nodes"]
    ]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, ["CREATED", "ENTERED", "UPDATED"]),
        ({"kinds": ["ENTERED"]}, ["ENTERED"]),
        ({"kinds": []}, []),
        ({"providers": ["emporix"]}, ["CREATED", "ENTERED", "UPDATED"]),
        ({"providers": ["nobody"]}, []),
        ({"segmentIds": [segment_id("emporix", "fresh")]}, ["CREATED", "ENTERED", "UPDATED"]),
        ({"segmentIds": [GOLDEN, VOUCHERIFY, STAFF]}, []),
        ({"customerIds": [customer_id("emporix", "nobody")]}, []),
        ({"since": "2099-01-01T00:00:00Z"}, []),
        ({"since": "2020-01-01T00:00:00Z"}, ["CREATED", "ENTERED", "UPDATED"]),
    ],
)
async def test_filter(front: Front, given: dict[str, Any], kinds: list[str]) -> None:
    """All given conditions hold; an empty list and an unknown provider match nothing."""
    start = await cursor(front)
    fresh = await created(front, "emporix", externalId="fresh", siteCode="main")
    data = await front.data(
        '{ customers(first: 1, filter: {providers: ["emporix"]}) { nodes { id } } }'
    )
    [who] = data["customers"]["nodes"]
    await do(front, "assignmentCreate", {"segmentId": fresh, "customerId": who["id"]})
    await do(front, "segmentUpdate", {"id": fresh, "name": "Old"})
    connection = await page(front, after=start, filter=given)
    assert [node["kind"] for node in connection["nodes"]] == kinds
    of_customer = await page(front, after=start, filter={"customerIds": [who["id"]]})
    assert [node["kind"] for node in of_customer["nodes"]] == ["ENTERED"]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"after": "nonsense"}, "BAD_USER_INPUT"),
        ({"after": "wQ" + "A" * 30}, "CURSOR_EXPIRED"),
        ({"first": 0}, "BAD_USER_INPUT"),
        ({"first": 251}, "BAD_USER_INPUT"),
    ],
)
async def test_bad_input(front: Front, variables: dict[str, Any], code: str) -> None:
    """A text that is no cursor is another mistake than the cursor of another database."""
    body = await front.ask(CHANGES, variables)
    assert [error["extensions"]["code"] for error in body["errors"]] == [code]
    assert body["data"] == {"changes": None}


@pytest.mark.parametrize("name", ["segmentIds", "customerIds"])
async def test_bad_id(front: Front, name: str) -> None:
    """A text that is no id is an error with its place in the filter."""
    body = await front.ask(CHANGES, {"filter": {name: ["nonsense"]}})
    assert [(each["message"], each["extensions"]) for each in body["errors"]] == [
        (f"filter.{name}[0] is not an id of this gateway.", {"code": "BAD_USER_INPUT"})
    ]
    assert body["data"] == {"changes": None}
