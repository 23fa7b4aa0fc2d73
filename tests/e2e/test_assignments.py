"""Assignments: of a segment, of a customer, one by its id, and what hangs on them."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.domain.entities import Ref
from gateway.sandbox.emporix.example_customers import stable_id
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.e2e.known import APP_BETA, DACH_STRATEGIC, HIRO, HIRO_AT, HIRO_IN, SILVER_MEMBERS
from tests.e2e.serving import (
    READABLE,
    Front,
    assignment_id,
    customer_id,
    segment_id,
)

OF_SEGMENT = """
query($id: ID!, $first: Int, $after: String) {
  segment(id: $id) {
    assignments(first: $first, after: $after) {
      totalCount
      nodes {
        id kind state origin createdAt updatedAt version
        provider { key }
        segment { id name }
        customer { id name }
        legalEntity { externalId name }
      }
      pageInfo { hasNextPage endCursor }
      sources { provider { key } origin totalCount error { code } }
    }
  }
}
"""
COMPANY, LOGISTICS = "Lindqvist Vienna GmbH", "Lindqvist Logistics Vienna"


async def test_assignments_of_a_segment_of_companies(front: Front) -> None:
    """In B2B an assignment has its legal entity; a customer of two companies has two."""
    shown = await front.data(OF_SEGMENT, {"id": segment_id("emporix", "b2b-partners"), "first": 2})

    def expected(company: str, moment: str) -> Mapping[str, Any]:
        entity = stable_id(company)
        return {
            "id": assignment_id("emporix", "b2b-partners", HIRO_AT["emporix"], entity),
            "kind": "MANUAL",
            "state": "CONFIRMED",
            "origin": "LIVE",
            "createdAt": moment,
            "updatedAt": moment,
            "version": 1,
            "provider": {"key": "emporix"},
            "segment": {"id": segment_id("emporix", "b2b-partners"), "name": "B2B partners"},
            "customer": {"id": customer_id("emporix", HIRO_AT["emporix"]), "name": HIRO.name},
            "legalEntity": {"externalId": entity, "name": company},
        }

    assignments = shown["segment"]["assignments"]
    assert assignments["nodes"] == [
        expected(COMPANY, "2025-05-05T10:44:00.226Z"),
        expected(LOGISTICS, "2025-05-05T11:44:00.226Z"),
    ]
    assert assignments["totalCount"] == 40
    assert assignments["sources"] == [
        {"provider": {"key": "emporix"}, "origin": "LIVE", "totalCount": 40, "error": None}
    ]
    # The segment, its assignments, their one customer.
    assert front.counts == {"emporix": 3}


async def test_id_of_a_legal_entity(front: Front) -> None:
    """It is unique over all providers, so that clients' caches keep two apart; it is no node."""
    shown = await front.data(
        """query($id: ID!) { segment(id: $id) { assignments(first: 1) { nodes {
          legalEntity { id externalId } } } } }""",
        {"id": segment_id("emporix", "b2b-partners")},
    )
    (row,) = shown["segment"]["assignments"]["nodes"]
    entity = stable_id(COMPANY)
    other = global_ids.of_ref(Kind.LEGAL_ENTITY, Ref("another", entity))

    assert row["legalEntity"]["externalId"] == entity
    assert row["legalEntity"]["id"] == global_ids.of_ref(Kind.LEGAL_ENTITY, Ref("emporix", entity))
    assert row["legalEntity"]["id"] not in {entity, other}
    assert await front.data(
        "query($id: ID!) { node(id: $id) { id } }", {"id": row["legalEntity"]["id"]}
    ) == {"node": None}


@pytest.mark.parametrize(
    ("segment", "kind"), [(SILVER_MEMBERS, "AUTOMATIC"), (APP_BETA, "MANUAL")]
)
async def test_assignments_of_a_segment_of_voucherify(
    front: Front, segment: str, kind: str
) -> None:
    """Who made an assignment follows from the segment; it comes with its customer whole."""
    shown = await front.data(OF_SEGMENT, {"id": segment_id("voucherify", segment), "first": 250})

    nodes = shown["segment"]["assignments"]["nodes"]
    hiro = assignment_id("voucherify", segment, HIRO_AT["voucherify"])
    assert [node for node in nodes if node["id"] == hiro] == [
        {
            "id": hiro,
            "kind": kind,
            "state": "CONFIRMED",
            "origin": "LIVE",
            "createdAt": None,
            "updatedAt": None,
            "version": None,
            "provider": {"key": "voucherify"},
            "segment": {
                "id": segment_id("voucherify", segment),
                "name": "Silver members" if segment == SILVER_MEMBERS else "App beta testers",
            },
            "customer": {
                "id": customer_id("voucherify", HIRO_AT["voucherify"]),
                "name": HIRO.name,
            },
            "legalEntity": None,
        }
    ]
    assert {node["kind"] for node in nodes} == {kind}
    assert shown["segment"]["assignments"]["totalCount"] == len(nodes)
    assert front.counts == {"voucherify": 2}


@pytest.mark.parametrize("first", [1, 7, 100])
@pytest.mark.parametrize("key", ["voucherify", "emporix"])
async def test_pages_of_assignments(front: Front, key: str, first: int) -> None:
    """Every assignment comes once, whatever the size of a page."""
    segment = SILVER_MEMBERS if key == "voucherify" else "b2b-partners"
    query = """query($id: ID!, $first: Int, $after: String) {
      segment(id: $id) { customersCount { count precision }
        assignments(first: $first, after: $after) {
          nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    result: list[str] = []
    given: dict[str, Any] = {"id": segment_id(key, segment), "first": first}
    while True:
        shown = (await front.data(query, given))["segment"]
        result += [node["id"] for node in shown["assignments"]["nodes"]]
        if not shown["assignments"]["pageInfo"]["hasNextPage"]:
            break
        given["after"] = shown["assignments"]["pageInfo"]["endCursor"]

    total = 69 if key == "voucherify" else 40
    assert len(result) == len(set(result)) == total
    # Eight customers of Emporix are in it through two legal entities.
    customers = 69 if key == "voucherify" else 32
    assert shown["customersCount"] == {"count": customers, "precision": "EXACT"}


OF_CUSTOMER = """
query($id: ID!, $first: Int, $after: String) {
  customer(id: $id) {
    assignments(first: $first, after: $after) {
      totalCount
      nodes { id kind segment { name } customer { name } provider { key } }
      pageInfo { hasNextPage endCursor }
      sources { provider { key } origin totalCount error { code } }
    }
  }
}
"""


@pytest.mark.parametrize("key", READABLE)
async def test_assignments_of_a_customer(front: Front, key: str) -> None:
    """A customer's assignments lead to the segments and back to the customer."""
    given = {"id": customer_id(key, HIRO_AT[key])}
    shown = (await front.data(OF_CUSTOMER, given))["customer"]["assignments"]

    kinds = {
        "stuut": ["AUTOMATIC"],
        "voucherify": ["AUTOMATIC", "AUTOMATIC", "AUTOMATIC", "MANUAL"],
        # Through both of his legal entities, and by himself.
        "emporix": ["MANUAL", "MANUAL", "MANUAL"],
    }[key]
    segments = HIRO_IN[key]
    if key == "emporix":
        segments = [segments[0], *segments]
    assert [
        (row["segment"]["name"], row["kind"], row["customer"]["name"], row["provider"]["key"])
        for row in shown["nodes"]
    ] == [
        (name, kind, None if key == "stuut" else HIRO.name, key)
        for name, kind in zip(segments, kinds, strict=True)
    ]
    assert shown["totalCount"] == len(kinds)
    assert shown["sources"] == [
        {
            "provider": {"key": key},
            "origin": "LIVE",
            "totalCount": len(kinds),
            "error": None,
        }
    ]


@pytest.mark.parametrize("key", READABLE)
async def test_each_assignment_is_found_by_its_id(front: Front, key: str) -> None:
    """The ids of a customer's assignments are ids of nodes: each shows the same assignment."""
    given = {"id": customer_id(key, HIRO_AT[key])}
    listed = (await front.data(OF_CUSTOMER, given))["customer"]["assignments"]["nodes"]

    shown = await front.data(
        "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Assignment {"
        " id kind segment { name } customer { name } provider { key } } } }",
        {"ids": [row["id"] for row in listed]},
    )

    assert shown["nodes"] == listed
    assert len(listed) == len(HIRO_IN[key]) + (key == "emporix")


async def test_pages_of_a_customers_assignments(front: Front) -> None:
    """What is read as a whole is still shown in pages."""
    given = {"id": customer_id("voucherify", HIRO_AT["voucherify"]), "first": 3}
    first = (await front.data(OF_CUSTOMER, given))["customer"]["assignments"]
    cursor = first["pageInfo"]["endCursor"]
    second = (await front.data(OF_CUSTOMER, {**given, "after": cursor}))["customer"]["assignments"]

    result = [row["segment"]["name"] for row in [*first["nodes"], *second["nodes"]]]
    assert result == HIRO_IN["voucherify"]
    assert len(first["nodes"]) == 3
    assert first["pageInfo"]["hasNextPage"] is True
    assert second["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        (
            assignment_id("emporix", "b2b-partners", HIRO_AT["emporix"], stable_id(LOGISTICS)),
            {"kind": "MANUAL", "legalEntity": {"name": LOGISTICS}},
        ),
        (
            assignment_id("emporix", "golden", "90000000"),
            {"kind": "MANUAL", "legalEntity": None},
        ),
        (
            assignment_id("voucherify", APP_BETA, HIRO_AT["voucherify"]),
            {"kind": "MANUAL", "legalEntity": None},
        ),
        (
            assignment_id("stuut", DACH_STRATEGIC, HIRO_AT["stuut"]),
            {"kind": "AUTOMATIC", "legalEntity": None},
        ),
        (assignment_id("emporix", "golden", HIRO_AT["emporix"]), None),
        (assignment_id("emporix", "b2b-partners", HIRO_AT["emporix"], "none"), None),
        (assignment_id("emporix", "golden", "90000000", stable_id(LOGISTICS)), None),
        (assignment_id("voucherify", "seg_none", HIRO_AT["voucherify"]), None),
        (assignment_id("stuut", "seg_none", HIRO_AT["stuut"]), None),
    ],
)
async def test_one_assignment(front: Front, wanted: str, result: Mapping[str, Any] | None) -> None:
    """An assignment is found by its id, and only with the legal entity it was made through."""
    shown = await front.data(
        "query($id: ID!) { node(id: $id) { ... on Assignment { kind legalEntity { name } } } }",
        {"id": wanted},
    )

    assert shown == {"node": result}
