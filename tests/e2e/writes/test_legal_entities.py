"""A customer of Emporix who is in a segment through two legal entities (B2B)."""

from typing import Any

import pytest

from gateway.domain.entities import Ref
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.e2e.serving import Front, assignment_id, customer_id, segment_id
from tests.e2e.writes.asking import do, problem

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
    after, buyer = None, None
    for _ in range(10):
        page = (await front.data(query, {"after": after}))["customers"]
        for node in page["nodes"]:
            entities = [each["id"] for each in node["raw"].get("b2b", {}).get("legalEntities", ())]
            if len(entities) == 2:
                buyer = buyer or Buyer(node["raw"]["id"], sorted(entities))
        after = page["pageInfo"]["endCursor"]
        if buyer or not page["pageInfo"]["hasNextPage"]:
            break
    assert buyer is not None
    for entity in buyer.entities:
        given = {"segmentId": GOLDEN, "customerId": buyer.id, "legalEntityId": entity}
        payload = await do(front, "assignmentCreate", given, "__typename")
        assert payload["userErrors"] == []
    front.forget()
    return buyer


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


GIVEN = ["create", "delete", "bulk create", "bulk delete"]


def entity_id(provider: str, key: str) -> str:
    """Return the global id of a legal entity."""
    return global_ids.of_ref(Kind.LEGAL_ENTITY, Ref(provider, key))


def assigning(case: str, buyer: Buyer, entity: str) -> tuple[str, dict[str, Any]]:
    """Return a mutation and its input for a customer through a legal entity."""
    who = {"customerId": buyer.id, "legalEntityId": entity}
    if "bulk" in case:
        name = "assignmentBulkCreate" if "create" in case else "assignmentBulkDelete"
        return name, {"segmentId": GOLDEN, "assignments": [who]}
    name = "assignmentCreate" if "create" in case else "assignmentDelete"
    return name, {"segmentId": GOLDEN, **who}


@pytest.mark.parametrize("case", GIVEN)
async def test_a_legal_entity_by_its_global_id(front: Front, buyer: Buyer, case: str) -> None:
    """`legalEntityId` takes either id of a legal entity, with the same effect."""
    shown = "query($id: ID!) { node(id: $id) { ... on Assignment { legalEntity { id } } } }"
    data = await front.data(shown, {"id": buyer.assigned(*buyer.entities)[0]})
    entity = data["node"]["legalEntity"]["id"]
    assert entity == entity_id("emporix", buyer.entities[0])
    if "create" in case:
        field, given = assigning("delete", buyer, buyer.entities[0])
        await do(front, field, given, "__typename")
    field, given = assigning(case, buyer, entity)

    payload = await do(front, field, given, "__typename")

    assert payload["userErrors"] == []
    left = buyer.entities if "create" in case else buyer.entities[1:]
    assert sorted(row["id"] for row in await own(front, buyer)) == sorted(buyer.assigned(*left))


@pytest.mark.parametrize("case", GIVEN)
@pytest.mark.parametrize(
    "entity",
    [entity_id("voucherify", "x"), entity_id("gone", "x"), GOLDEN, customer_id("emporix", "1")],
    ids=["of another provider", "of no provider", "a segment", "a customer"],
)
async def test_another_id_for_a_legal_entity(
    front: Front, buyer: Buyer, case: str, entity: str
) -> None:
    """The global id of anything else is a mistake, and nothing is sent."""
    field, given = assigning(case, buyer, entity)
    errors = "userErrors { field code provider }"

    payload = await do(front, field, given, f"results {{ {errors} }}" if "bulk" in case else "")

    error = {"field": ["legalEntityId"], "code": "INVALID", "provider": None}
    if "bulk" in case:
        error["field"] = ["assignments", "0", "legalEntityId"]
        assert payload["results"] == [{"userErrors": [error]}]
    else:
        assert payload["userErrors"] == [error]
    assert [call for call in front.calls if not call.startswith("GET ")] == []


async def test_a_delete_takes_out_what_its_id_says(front: Front, buyer: Buyer) -> None:
    """The other assignment of the same customer stays."""
    first, second = buyer.assigned(*buyer.entities)
    payload = await do(front, "assignmentDelete", {"id": first}, "deletedAssignmentId")
    assert payload == {"deletedAssignmentId": first, "userErrors": []}
    assert [row["id"] for row in await own(front, buyer)] == [second]


async def test_changes(front: Front, buyer: Buyer) -> None:
    """ENTERED with the first assignment, LEFT with the last, UPDATED between them."""
    one, two = buyer.entities
    for entity in (one, one, two):
        given = {"segmentId": GOLDEN, "customerId": buyer.id, "legalEntityId": entity}
        await do(front, "assignmentDelete", given, "__typename")
    query = """query ($filter: ChangeFilter) { changes(filter: $filter) {
        nodes { kind ... on AssignmentChange { legalEntity { externalId } } } } }"""
    only = {"segmentIds": [GOLDEN], "customerIds": [buyer.id]}
    nodes = (await front.data(query, {"filter": only}))["changes"]["nodes"]
    assert [(node["kind"], node["legalEntity"]["externalId"]) for node in nodes] == [
        ("ENTERED", one),
        ("UPDATED", two),
        ("UPDATED", one),
        ("LEFT", two),
    ]


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


async def test_a_delete_by_id_says_so_at_the_id(front: Front, buyer: Buyer) -> None:
    """A mistake is at the field that was given, whatever parts it stands for."""
    given = {"id": assignment_id("emporix", "golden", buyer.key)}
    payload = await do(front, "assignmentDelete", given, "deletedAssignmentId")
    assert payload == {
        "deletedAssignmentId": None,
        "userErrors": [problem("id", "NOT_FOUND", "emporix")],
    }


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
