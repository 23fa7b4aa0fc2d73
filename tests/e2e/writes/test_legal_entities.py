"""A customer of Emporix who is in a segment through two legal entities (B2B)."""

from typing import Any

import pytest

from tests.e2e.serving import Front, assignment_id, customer_id, segment_id
from tests.e2e.writes.asking import do

GOLDEN = segment_id("emporix", "golden")


class Buyer:
    """Somebody who buys for two legal entities."""

    def __init__(self, key: str, entities: list[str]) -> None:
        """Know their id, and those of the legal entities."""
        self.key = key
        self.entities = entities
        self.id = customer_id("emporix", key)

    def assigned(self, *entities: str) -> list[str]:
        """Return the ids of their assignments to the segment."""
        return [assignment_id("emporix", "golden", self.key, each) for each in entities]


@pytest.fixture
async def buyer(front: Front) -> Buyer:
    """Put a customer into a segment of nobody else, through both legal entities."""
    query = """query ($after: String) { customers(first: 250, after: $after,
        filter: {providers: ["emporix"]}) {
        nodes { raw } pageInfo { hasNextPage endCursor } } }"""
    after, found = None, None
    for _ in range(10):
        page = (await front.data(query, {"after": after}))["customers"]
        for node in page["nodes"]:
            entities = [each["id"] for each in node["raw"].get("b2b", {}).get("legalEntities", ())]
            if len(entities) == 2:
                found = found or Buyer(node["raw"]["id"], sorted(entities))
        after = page["pageInfo"]["endCursor"]
        if found or not page["pageInfo"]["hasNextPage"]:
            break
    assert found is not None
    for entity in found.entities:
        given = {"segmentId": GOLDEN, "customerId": found.id, "legalEntityId": entity}
        payload = await do(front, "assignmentCreate", given, "__typename")
        assert payload["userErrors"] == []
    front.forget()
    return found


async def own(front: Front, buyer: Buyer) -> list[dict[str, Any]]:
    """Return a customer's own assignments to the segment."""
    query = """query ($id: ID!) { customer(id: $id) { assignments {
        nodes { id segment { externalId } legalEntity { externalId } } } } }"""
    rows = (await front.data(query, {"id": buyer.id}))["customer"]["assignments"]["nodes"]
    return [row for row in rows if row.pop("segment")["externalId"] == "golden"]


async def test_an_assignment_has_one_id_whichever_way_it_is_reached(
    front: Front, buyer: Buyer
) -> None:
    """The customer's own list and the segment's have the same two rows; so has `node`."""
    mine = sorted(await own(front, buyer), key=lambda row: row["legalEntity"]["externalId"])
    assert mine == [
        {"id": row, "legalEntity": {"externalId": entity}}
        for row, entity in zip(buyer.assigned(*buyer.entities), buyer.entities, strict=True)
    ]
    query = """query ($s: ID!, $a: [ID!]!) {
        segment(id: $s) { assignments(first: 250) { nodes { id } } } nodes(ids: $a) { id } }"""
    data = await front.data(query, {"s": GOLDEN, "a": buyer.assigned(*buyer.entities)})
    listed = {row["id"] for row in data["segment"]["assignments"]["nodes"]}
    assert listed >= set(buyer.assigned(*buyer.entities))
    assert [row["id"] for row in data["nodes"]] == buyer.assigned(*buyer.entities)


async def test_a_delete_takes_out_what_its_id_says(front: Front, buyer: Buyer) -> None:
    """The other assignment of the same customer stays."""
    first, second = buyer.assigned(*buyer.entities)
    payload = await do(front, "assignmentDelete", {"id": first}, "deletedAssignmentId")
    assert payload == {"deletedAssignmentId": first, "userErrors": []}
    assert [row["id"] for row in await own(front, buyer)] == [second]


@pytest.mark.parametrize("field", ["assignmentDelete", "assignmentBulkDelete"])
async def test_a_delete_that_took_out_nothing_says_so(
    front: Front, buyer: Buyer, field: str
) -> None:
    """Emporix answers that the customer is gone, who is in through legal entities: still."""
    who = {"customerId": buyer.id}
    shown = "userErrors { field code }"
    if field == "assignmentDelete":
        given: dict[str, Any] = {"segmentId": GOLDEN, **who}
        payload = await do(front, field, given, "deletedAssignmentId")
        row = payload
    else:
        given = {"segmentId": GOLDEN, "assignments": [who]}
        payload = await do(front, field, given, f"results {{ deletedAssignmentId {shown} }}")
        (row,) = payload["results"]
    assert row["deletedAssignmentId"] is None
    assert [(each["field"][-1], each["code"]) for each in row["userErrors"]] == [
        ("legalEntityId", "NOT_FOUND")
    ]
    assert len(await own(front, buyer)) == 2


@pytest.mark.parametrize("first", [1, 2, 3, 250])
async def test_a_customer_is_shown_once_wherever_the_rows_stand(
    front: Front, buyer: Buyer, first: int
) -> None:
    """Also where other customers stand between the two rows, on whatever page."""
    others = [customer_id("emporix", key) for key in await _others(front, buyer)]
    given = {
        "segmentId": GOLDEN,
        "assignments": [{"customerId": each} for each in others],
    }
    await do(front, "assignmentBulkCreate", given, "succeeded")
    again = {"segmentId": GOLDEN, "customerId": buyer.id, "legalEntityId": buyer.entities[0]}
    await do(front, "assignmentDelete", again, "__typename")
    await do(front, "assignmentCreate", again, "__typename")  # now it stands last
    query = """query ($id: ID!, $first: Int!, $after: String) { segment(id: $id) {
        customers(first: $first, after: $after) { nodes { id }
        pageInfo { hasNextPage endCursor } } customersCount { count precision } } }"""
    seen: list[str] = []
    after = None
    for _ in range(200):
        data = await front.data(query, {"id": GOLDEN, "first": first, "after": after})
        page = data["segment"]["customers"]
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen.count(buyer.id) == 1
    assert len(set(seen)) == len(seen)
    assert data["segment"]["customersCount"] == {"count": len(seen), "precision": "EXACT"}


async def _others(front: Front, buyer: Buyer) -> list[str]:
    data = await front.data(
        '{ customers(first: 9, filter: {providers: ["emporix"]}) { nodes { raw } } }'
    )
    keys = [node["raw"]["id"] for node in data["customers"]["nodes"]]
    return [key for key in keys if key != buyer.key][:5]


async def test_replacing_takes_out_through_legal_entities(front: Front, buyer: Buyer) -> None:
    """Whoever is to have no segment has none, in whatever way they had them."""
    given = {
        "provider": "emporix",
        "customers": [{"externalId": buyer.key, "segmentIds": []}],
    }
    payload = await do(
        front, "customerSegmentsReplace", given, "results { outcome userErrors { field code } }"
    )
    assert payload["results"] == [{"outcome": "UPDATED", "userErrors": []}]
    assert await own(front, buyer) == []
