"""Providers: what each can do, its bounds, how it is doing; and what is true of Instaleap."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from tests.e2e.failures import answering
from tests.e2e.known import EVERY_NAME
from tests.e2e.serving import PROVIDERS, Front, customer_id, names, segment_id, serving

OPERATIONS = (
    "SEGMENT_LIST",
    "SEGMENT_GET",
    "SEGMENT_MEMBERS",
    "SEGMENT_ITEMS",
    "SEGMENT_SEARCH_ITEM",
    "CUSTOMER_LIST",
    "CUSTOMER_SEARCH_EMAIL",
    "CUSTOMER_SEARCH_NAME",
    "CUSTOMER_SEARCH_PHONE",
    "CUSTOMER_GET",
    "CUSTOMER_SEGMENTS",
    "ITEM_MATCH",
)
ONLY_EMPORIX = {
    "SEGMENT_ITEMS",
    "SEGMENT_SEARCH_ITEM",
    "CUSTOMER_SEARCH_NAME",
    "CUSTOMER_SEARCH_PHONE",
    "ITEM_MATCH",
}
CANNOT = {
    "stuut": {*ONLY_EMPORIX, "SEGMENT_MEMBERS", "CUSTOMER_SEARCH_EMAIL"},
    "voucherify": ONLY_EMPORIX,
    "instaleap": {*ONLY_EMPORIX, "CUSTOMER_SEARCH_EMAIL"},
    "emporix": set(),
}


async def test_capabilities_of_reading(front: Front) -> None:
    """Capabilities are known in advance, without a call."""
    shown = await front.data("{ providers { key capabilities { operation supported } } }")

    assert {
        row["key"]: {
            each["operation"]: each["supported"]
            for each in row["capabilities"]
            if each["operation"] in OPERATIONS
        }
        for row in shown["providers"]
    } == {key: {name: name not in CANNOT[key] for name in OPERATIONS} for key in PROVIDERS}
    assert front.calls == []


@pytest.mark.parametrize(
    ("keys", "result"),
    [
        (None, PROVIDERS),
        (["emporix", "stuut"], ("stuut", "emporix")),
        ([], ()),
    ],
    ids=str,
)
async def test_providers_by_keys(
    front: Front, keys: Sequence[str] | None, result: Sequence[str]
) -> None:
    """Those with these keys, in configuration order; no keys are none."""
    shown = await front.data("query($k: [String!]) { providers(keys: $k) { key } }", {"k": keys})

    assert shown == {"providers": [{"key": key} for key in result]}


@pytest.mark.parametrize(
    ("query", "argument", "path"),
    [
        ('{ providers(keys: ["emporix", "nobody"]) { key } }', "keys", ["providers"]),
        (
            """{ provider(key: "emporix") {
              segments(filter: {providers: ["nobody"]}) { nodes { id } } } }""",
            "filter.providers",
            ["provider", "segments"],
        ),
    ],
)
async def test_unknown_keys(front: Front, query: str, argument: str, path: Sequence[str]) -> None:
    """A key of no provider is refused by its argument, without a call."""
    answer = await front.ask(query)

    assert [(each["message"], each["path"]) for each in answer["errors"]] == [
        (f"{argument}: no provider has the key 'nobody'.", path)
    ]
    assert front.calls == []


async def test_provider_by_key(front: Front) -> None:
    """One provider by its key; null when there is none."""
    shown = await front.data(
        '{ is: provider(key: "stuut") { key kind displayName } no: provider(key: "x") { key } }'
    )

    assert shown == {
        "is": {"key": "stuut", "kind": "stuut", "displayName": "Stuut"},
        "no": None,
    }


async def test_limits(front: Front) -> None:
    """The maximum is documented; the current usage is read only if selected."""
    bounds = await front.data("{ providers { key limits { name maximum } } }")
    assert front.calls == []
    used = await front.data('{ provider(key: "voucherify") { limits { name current } } }')

    assert bounds == {
        "providers": [
            {"key": "stuut", "limits": []},
            {
                "key": "voucherify",
                "limits": [
                    {"name": "STATIC_SEGMENT_CUSTOMERS", "maximum": 20000},
                    {"name": "DYNAMIC_SEGMENTS", "maximum": 100},
                ],
            },
            {"key": "instaleap", "limits": []},
            {"key": "emporix", "limits": [{"name": "BULK_ROWS", "maximum": 200}]},
        ]
    }
    assert used == {
        "provider": {
            "limits": [
                {"name": "STATIC_SEGMENT_CUSTOMERS", "current": None},
                {"name": "DYNAMIC_SEGMENTS", "current": 12},
            ]
        }
    }
    assert front.counts == {"voucherify": 1}


HEALTH = """{ providers { key health {
  status circuit latencyMsP50 latencyMsP95 lastSuccessAt lastError
} } }"""


async def test_health_before_any_call() -> None:
    """Of a provider that was not called yet nothing is known, and none is called for it."""
    async with serving() as front:
        shown = await front.data(HEALTH)

        assert shown["providers"] == [
            {
                "key": key,
                "health": {
                    "status": "UNKNOWN",
                    "circuit": "CLOSED",
                    "latencyMsP50": None,
                    "latencyMsP95": None,
                    "lastSuccessAt": None,
                    "lastError": None,
                },
            }
            for key in PROVIDERS
        ]
        assert front.calls == []


async def test_health_after_calls(front: Front) -> None:
    """A provider that answers is up; one that is never called stays unknown."""
    await front.data("{ segments { nodes { id } } }")
    shown = await front.data(HEALTH)

    health = {row["key"]: row["health"] for row in shown["providers"]}
    assert {key: row["status"] for key, row in health.items()} == {
        "stuut": "UP",
        "voucherify": "UP",
        "instaleap": "UNKNOWN",
        "emporix": "UP",
    }
    for key in ("stuut", "voucherify", "emporix"):
        figures = health[key]
        assert 0 < figures["latencyMsP50"] <= figures["latencyMsP95"]
        for name in ("latencyMsP50", "latencyMsP95"):
            assert figures[name] == round(figures[name], 1)
        assert figures["lastSuccessAt"].endswith("Z")
        assert figures["lastError"] is None


PART = """query($key: String!, $filter: SegmentFilter, $first: Int, $after: String) {
  provider(key: $key) { segments(filter: $filter, first: $first, after: $after) {
    nodes { name } totalCount pageInfo { hasNextPage endCursor } sources { provider { key } }
  } }
}"""


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        ({}, EVERY_NAME[24:]),
        ({"siteCode": "outlet", "status": "INACTIVE"}, ("Staff discount",)),
        ({"providers": ["emporix", "stuut"]}, EVERY_NAME[24:]),
        ({"providers": ["stuut"]}, ()),
        ({"ids": [segment_id("stuut", "x"), segment_id("emporix", "staff")]}, ("Staff discount",)),
    ],
    ids=str,
)
async def test_segments_of_one_provider(
    front: Front, wanted: dict[str, Any], result: Sequence[str]
) -> None:
    """A provider lists its own part; the parts of a filter all hold, `providers` too."""
    shown = await front.data(PART, {"key": "emporix", "filter": wanted})

    assert names(shown["provider"]["segments"]) == list(result)
    assert set(front.counts) <= {"emporix"}


async def test_instaleap_says_what_is_true(front: Front) -> None:
    """Of Instaleap only the record is shown, nothing is LIVE; what it has not is unsupported."""
    customer = customer_id("instaleap", "AT-1020000000")
    segment = segment_id("instaleap", "tier:gold")

    answer = await front.ask(
        """query($c: ID!, $s: ID!, $cs: [ID!]!, $ss: [ID!]!) {
          provider(key: "instaleap") { segments { totalCount sources { origin } } }
          customer(id: $c) { id }
          segment(id: $s) { id }
          node(id: $s) { id }
          segmentMemberships(customerIds: $cs, segmentIds: $ss) { isMember origin }
          ofCustomer: segments(filter: {customerId: $c}) { ...Told }
          byIds: segments(filter: {ids: $ss}) { ...Told }
          customers(filter: {providers: ["instaleap"]}) { sources { origin error { code } } }
          byEmail: customers(filter: {providers: ["instaleap"], email: "x@example.com"}) {
            sources { origin error { code } }
          }
        }
        fragment Told on SegmentConnection { totalCount sources { origin error { code } } }""",
        {"c": customer, "s": segment, "cs": [customer], "ss": [segment]},
    )

    recorded = {"origin": "RECORDED", "error": None}
    assert answer == {
        "data": {
            "provider": {"segments": {"totalCount": 0, "sources": [{"origin": "RECORDED"}]}},
            "customer": None,
            "segment": None,
            "node": None,
            "segmentMemberships": [{"isMember": False, "origin": "RECORDED"}],
            "ofCustomer": {"totalCount": 0, "sources": [recorded]},
            "byIds": {"totalCount": 0, "sources": [recorded]},
            "customers": {"sources": [recorded]},
            "byEmail": {"sources": [{"origin": None, "error": {"code": "UNSUPPORTED"}}]},
        }
    }
    assert front.calls == []


async def test_what_stuut_cannot_tell(front: Front) -> None:
    """Stuut tells neither members nor items: each field is null, no error, and none is sent."""
    assert await front.ask(
        """query($id: ID!) { segment(id: $id) {
          name assignments { totalCount } customers { totalCount }
          customersCount { count } items { totalCount }
        } }""",
        {"id": segment_id("stuut", "seg_ChSVXpe3")},
    ) == {
        "data": {
            "segment": {
                "name": "Key accounts",
                "assignments": None,
                "customers": None,
                "customersCount": None,
                "items": None,
            }
        }
    }
    assert front.counts == {"stuut": 1}


COUNTED = """{ segments(first: 100) { nodes {
  provider { key } customersCount { count } assignments(first: 1) { nodes { kind } }
  customers(first: 1) { nodes { id } } items(first: 1) { totalCount }
} } }"""
CAN_NOT: Mapping[str, AbstractSet[str]] = {
    "stuut": {"customersCount", "assignments", "customers", "items"},
    "voucherify": {"items"},
    "emporix": set(),
}
"""What each provider has no way to tell of a segment."""


async def test_what_a_provider_cannot_tell_costs_nobody_else(front: Front) -> None:
    """In a list of all, what one provider cannot tell is null in its rows alone, no error."""
    shown = await front.data(COUNTED)

    nodes = shown["segments"]["nodes"]
    assert len(nodes) == 40
    for node in nodes:
        key = node.pop("provider")["key"]
        assert {name for name, value in node.items() if value is None} == CAN_NOT[key]


async def test_at_the_root_a_provider_that_cannot_is_an_error(front: Front) -> None:
    """There the caller has chosen the provider: null without a word would be a wrong answer."""
    answer = await front.ask(
        """query($input: SegmentItemsMatchInput!) {
          segmentItemsMatch(input: $input) { externalId } }""",
        {"input": {"provider": "stuut", "siteCode": "main", "itemIds": [], "segmentIds": []}},
    )

    assert [error["extensions"] for error in answer["errors"]] == [
        {"code": "UNSUPPORTED", "provider": "stuut"}
    ]


async def test_failure_beside_what_cannot_be_told(front: Front) -> None:
    """A provider that fails is an error at its path; one that cannot tell is still none."""
    front.providers.instead["voucherify"] = answering(503, b"down")
    answer = await front.ask(
        """query($stuut: ID!, $other: ID!) {
          stuut: segment(id: $stuut) { customersCount { count } }
          other: segment(id: $other) { id }
        }""",
        {"stuut": segment_id("stuut", "seg_ChSVXpe3"), "other": segment_id("voucherify", "x")},
    )

    assert answer["data"] == {"stuut": {"customersCount": None}, "other": None}
    assert [(e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        (["other"], "PROVIDER_BROKEN")
    ]
