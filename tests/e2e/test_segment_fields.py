"""What one segment shows: texts by language, status, rule, attributes, members, items."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.known import APP_BETA, DACH_STRATEGIC, NEVER_BOUGHT, SEGMENT_OF, SILVER_MEMBERS
from tests.e2e.serving import READABLE, Front, segment_id

WHOLE = """
query($id: ID!) {
  segment(id: $id) {
    externalId name names { language text } description descriptions { language text }
    membership emitsMembershipEvents status isActive validity { from to } siteCode priority
    rule { native expression conditions { path field operator values } }
    createdAt updatedAt version attributes raw origin provider { key kind displayName }
  }
}
"""


async def test_segment_of_stuut(front: Front) -> None:
    """A segment of Stuut has a rule and a rank; no language is known."""
    shown = await front.data(WHOLE, {"id": segment_id("stuut", DACH_STRATEGIC)})

    conditions = {
        "address": {"country": {"in": ["DE", "AT", "CH"]}},
        "or": [
            {"businessUnit": {"name": {"in": ["Industrial"]}}},
            {"businessUnit": {"name": {"in": ["Medical"]}}},
        ],
    }
    about = "Large accounts in the German-speaking countries"
    assert shown["segment"] == {
        "externalId": DACH_STRATEGIC,
        "name": "DACH strategic",
        "names": [{"language": "und", "text": "DACH strategic"}],
        "description": about,
        "descriptions": [{"language": "und", "text": about}],
        "membership": "RULE",
        "emitsMembershipEvents": False,
        "status": "ACTIVE",
        "isActive": True,
        "validity": None,
        "siteCode": None,
        "priority": 1,
        "rule": {
            "native": conditions,
            "expression": None,
            "conditions": [
                {
                    "path": "/address/country/in",
                    "field": "address.country",
                    "operator": "in",
                    "values": ["DE", "AT", "CH"],
                },
                {
                    "path": "/or/0/businessUnit/name/in",
                    "field": "businessUnit.name",
                    "operator": "in",
                    "values": ["Industrial"],
                },
                {
                    "path": "/or/1/businessUnit/name/in",
                    "field": "businessUnit.name",
                    "operator": "in",
                    "values": ["Medical"],
                },
            ],
        },
        "createdAt": "2025-01-14T09:15:01.000Z",
        "updatedAt": None,
        "version": None,
        "attributes": None,
        "raw": {
            "id": DACH_STRATEGIC,
            "name": "DACH strategic",
            "description": about,
            "priority": 1,
            "conditions": conditions,
            "created_at": "2025-01-14T09:15:01Z",
            "modified_at": None,
            "object": "customer_segment",
        },
        "origin": "LIVE",
        "provider": {"key": "stuut", "kind": "stuut", "displayName": "Stuut"},
    }


NEVER_BOUGHT_RULE = {"junction": "and", "summary.orders.total_count": {"conditions": {"$is": 0}}}


@pytest.mark.parametrize(
    ("segment", "result"),
    [
        (
            NEVER_BOUGHT,
            {
                "name": "Never bought",
                "membership": "RULE",
                "emitsMembershipEvents": True,
                "rule": {
                    "native": NEVER_BOUGHT_RULE,
                    "expression": None,
                    "conditions": [
                        {
                            "path": "/summary.orders.total_count/conditions/$is",
                            "field": "summary.orders.total_count",
                            "operator": "$is",
                            "values": [0],
                        }
                    ],
                },
                "createdAt": "2024-10-07T13:41:02.119Z",
            },
        ),
        (
            SILVER_MEMBERS,
            {
                "name": "Silver members",
                "membership": "RULE",
                "emitsMembershipEvents": False,
                "rule": {
                    "native": {
                        "junction": "and",
                        "metadata.tier": {"conditions": {"$is": "Silver"}},
                    },
                    "expression": None,
                    "conditions": [
                        {
                            "path": "/metadata.tier/conditions/$is",
                            "field": "metadata.tier",
                            "operator": "$is",
                            "values": ["Silver"],
                        }
                    ],
                },
                "createdAt": "2023-09-04T07:30:00.000Z",
            },
        ),
        (
            APP_BETA,
            {
                "name": "App beta testers",
                "membership": "MANUAL",
                "emitsMembershipEvents": False,
                "rule": None,
                "createdAt": "2023-05-15T14:02:08.077Z",
            },
        ),
    ],
    ids=["auto-update", "passive", "static"],
)
async def test_segment_of_voucherify(
    front: Front, segment: str, result: Mapping[str, Any]
) -> None:
    """The three types of Voucherify's segments differ in rule and events."""
    shown = (await front.data(WHOLE, {"id": segment_id("voucherify", segment)}))["segment"]

    raw = shown.pop("raw")
    assert (raw["id"], raw["name"], raw["created_at"]) == (
        segment,
        result["name"],
        result["createdAt"],
    )
    assert shown == {
        "externalId": segment,
        "names": [{"language": "und", "text": result["name"]}],
        "description": None,
        "descriptions": [],
        "status": "ACTIVE",
        "isActive": True,
        "validity": None,
        "siteCode": None,
        "priority": None,
        "updatedAt": None,
        "version": None,
        "attributes": None,
        "origin": "LIVE",
        "provider": {"key": "voucherify", "kind": "voucherify", "displayName": "Voucherify"},
        **result,
    }


async def test_segment_of_emporix(front: Front) -> None:
    """A segment of Emporix has languages, a validity and mixins."""
    shown = (await front.data(WHOLE, {"id": segment_id("emporix", "golden")}))["segment"]

    raw = shown.pop("raw")
    assert raw["mixins"] == shown["attributes"]
    assert raw["metadata"]["mixins"] == {"loyalty": "https://example.com/schemas/loyalty.v1.json"}
    assert shown == {
        "externalId": "golden",
        "name": "Golden customers",
        "names": [
            {"language": "en", "text": "Golden customers"},
            {"language": "de", "text": "Goldkunden"},
            {"language": "pl", "text": "Złoci klienci"},
            {"language": "es", "text": "Clientes oro"},
        ],
        "description": "The highest tier of the loyalty programme",
        "descriptions": [
            {"language": "en", "text": "The highest tier of the loyalty programme"},
            {"language": "de", "text": "Die höchste Stufe des Treueprogramms"},
        ],
        "membership": "MANUAL",
        "emitsMembershipEvents": False,
        "status": "ACTIVE",
        "isActive": True,
        "validity": {"from": "2025-01-01T00:00:00.000Z", "to": "2034-12-31T23:59:59.000Z"},
        "siteCode": "main",
        "priority": None,
        "rule": None,
        "createdAt": "2025-03-04T09:30:00.000Z",
        "updatedAt": "2025-03-19T09:30:00.000Z",
        "version": 4,
        "attributes": {"loyalty": {"level": "GOLD", "discountPercent": 10}},
        "origin": "LIVE",
        "provider": {"key": "emporix", "kind": "emporix", "displayName": "Emporix"},
    }


async def test_status_and_validity(front: Front) -> None:
    """Active means switched on and valid now; an open end is null."""
    query = """{ segments(filter: {providers: ["emporix"]}) {
      nodes { name status isActive validity { from to } }
    } }"""
    shown = await front.data(query)

    by_name = {node.pop("name"): node for node in shown["segments"]["nodes"]}
    summer = {"from": "2025-06-01T00:00:00.000Z", "to": "2025-08-31T23:59:59.000Z"}
    assert by_name["Staff discount"] == {
        "status": "INACTIVE",
        "isActive": False,
        "validity": None,
    }
    assert by_name["Summer sale 2025"] == {
        "status": "ACTIVE",
        "isActive": False,
        "validity": summer,
    }
    assert by_name["Food trade"] == {"status": "INACTIVE", "isActive": False, "validity": summer}
    assert by_name["Spring preview 2035"] == {
        "status": "ACTIVE",
        "isActive": False,
        "validity": {"from": "2035-03-01T00:00:00.000Z", "to": None},
    }
    assert by_name["Bronze starters"] == {"status": "ACTIVE", "isActive": True, "validity": None}


# Golden customers are named in English, German, Polish and Spanish; described in the first two.
GOLDEN, GOLDKUNDEN, ORO = "Golden customers", "Goldkunden", "Clientes oro"
IN_ENGLISH = "The highest tier of the loyalty programme"
IN_GERMAN = "Die höchste Stufe des Treueprogramms"


@pytest.mark.parametrize(
    ("argument", "header", "name", "description"),
    [
        (None, None, GOLDEN, IN_ENGLISH),
        ("de", None, GOLDKUNDEN, IN_GERMAN),
        ("de-CH", None, GOLDKUNDEN, IN_GERMAN),
        ("DE-ch", None, GOLDKUNDEN, IN_GERMAN),
        ("es", None, ORO, IN_ENGLISH),
        ("fr", None, GOLDEN, IN_ENGLISH),
        ("", "de", GOLDKUNDEN, IN_GERMAN),
        (None, "de", GOLDKUNDEN, IN_GERMAN),
        (None, "fr;q=0.9, es-MX;q=0.3, de;q=0.5", GOLDKUNDEN, IN_GERMAN),
        (None, "es, de;q=0.9", ORO, IN_GERMAN),
        (None, "*", GOLDEN, IN_ENGLISH),
        (None, "de;q=0, es", ORO, IN_ENGLISH),
        (None, "; , ;;q=x,de;q=high,=", GOLDEN, IN_ENGLISH),
        ("es", "de", ORO, IN_ENGLISH),
    ],
)
async def test_texts_by_language(
    front: Front, argument: str | None, header: str | None, name: str, description: str
) -> None:
    """The requested language, its base, what the caller accepts, the provider's default."""
    query = """query($id: ID!, $language: String) {
      segment(id: $id) { name(language: $language) description(language: $language) }
    }"""
    headers = {} if header is None else {"accept_language": header}

    given = {"id": segment_id("emporix", "golden"), "language": argument}
    shown = await front.data(query, given, **headers)

    assert shown == {"segment": {"name": name, "description": description}}


async def test_several_languages_in_one_query(front: Front) -> None:
    """All languages come in the one call."""
    query = """query($id: ID!) { segment(id: $id) {
      name de: name(language: "de") pl: name(language: "pl-PL") xx: name(language: "xx")
    } }"""

    assert await front.data(query, {"id": segment_id("emporix", "golden")}) == {
        "segment": {"name": GOLDEN, "de": GOLDKUNDEN, "pl": "Złoci klienci", "xx": GOLDEN}
    }
    assert front.counts == {"emporix": 1}


@pytest.mark.parametrize("key", READABLE)
async def test_fragments_and_type_names(front: Front, key: str) -> None:
    """A segment is a node, identified by its type name, and shown through fragments."""
    shown = await front.data(
        """query($id: ID!) { node(id: $id) { __typename id ...Named } }
        fragment Named on Segment { externalId ... { provider { key } } }""",
        {"id": segment_id(key, SEGMENT_OF[key])},
    )

    assert shown["node"] == {
        "__typename": "Segment",
        "id": segment_id(key, SEGMENT_OF[key]),
        "externalId": SEGMENT_OF[key],
        "provider": {"key": key},
    }
