"""Filters of the list of segments: each part alone, parts together, and whom they spare."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.sandbox.emporix.example_segments import SEGMENTS as SEGMENTS_OF_EMPORIX
from tests.e2e.known import (
    APP_BETA,
    DACH_STRATEGIC,
    EMPORIX,
    EMPORIX_INACTIVE,
    EMPORIX_OUTLET,
    HIRO_AT,
    HIRO_IN,
    NEVER_BOUGHT,
    STUUT,
    VOUCHERIFY,
    VOUCHERIFY_RULES,
    VOUCHERIFY_STATIC,
)
from tests.e2e.serving import Front, customer_id, names, segment_id

LIST = """
query List($filter: SegmentFilter, $first: Int = 250) {
  segments(first: $first, filter: $filter) {
    nodes { name }
    sources { provider { key } origin error { code } }
    pageInfo { hasNextPage }
  }
}
"""
ONE_EACH = {"stuut": 1, "voucherify": 1, "emporix": 1}
SEGMENTS = [
    segment_id("emporix", "golden"),
    segment_id("voucherify", APP_BETA),
    segment_id("stuut", DACH_STRATEGIC),
    segment_id("emporix", "no-such-segment"),
    segment_id("emporix", "staff"),
    segment_id("voucherify", NEVER_BOUGHT),
    segment_id("emporix", "golden"),
]
EMPORIX_ACTIVE = [name for name in EMPORIX if name not in EMPORIX_INACTIVE]


@pytest.mark.parametrize(
    ("wanted", "result", "counts"),
    [
        ({}, [*STUUT, *VOUCHERIFY, *EMPORIX], ONE_EACH),
        ({"providers": ["emporix", "stuut"]}, [*STUUT, *EMPORIX], {"stuut": 1, "emporix": 1}),
        ({"providers": []}, [], {}),
        (
            {"ids": SEGMENTS},
            [
                "DACH strategic",
                "App beta testers",
                "Never bought",
                "Golden customers",
                "Staff discount",
            ],
            ONE_EACH,
        ),
        ({"ids": []}, [], {}),
        ({"ids": [segment_id("nobody", "golden")]}, [], {}),
        ({"nameContains": "LATIN"}, ["Latin America"] * 3, ONE_EACH),
        # A name in any language.
        ({"nameContains": "kreis"}, ["Silver circle", "Medical professionals"], ONE_EACH),
        ({"nameContains": ""}, [*STUUT, *VOUCHERIFY, *EMPORIX], ONE_EACH),
        (
            {"membership": ["MANUAL"]},
            [*VOUCHERIFY_STATIC, *EMPORIX],
            {"voucherify": 1, "emporix": 1},
        ),
        ({"membership": ["RULE"]}, [*STUUT, *VOUCHERIFY_RULES], {"stuut": 1, "voucherify": 1}),
        ({"membership": ["RULE", "MANUAL"]}, [*STUUT, *VOUCHERIFY, *EMPORIX], ONE_EACH),
        ({"membership": ["UNKNOWN"]}, [], {"voucherify": 1}),
        ({"membership": []}, [], {}),
        ({"status": "ACTIVE"}, [*STUUT, *VOUCHERIFY, *EMPORIX_ACTIVE], ONE_EACH),
        ({"status": "INACTIVE"}, EMPORIX_INACTIVE, {"emporix": 1}),
        ({"status": "UNKNOWN"}, [], {"emporix": 1}),
        ({"siteCode": "outlet"}, EMPORIX_OUTLET, {"emporix": 1}),
        ({"siteCode": "no, such (site)"}, [], {"emporix": 1}),
        # The bounds are the moments at which segments were made: both are exclusive.
        (
            {
                "createdAfter": "2025-01-13T09:15:00.000Z",
                "createdBefore": "2025-01-16T10:15:03+01:00",
            },
            ["DACH strategic", "Hospitals and practices abroad"],
            ONE_EACH,
        ),
        (
            {
                "createdAfter": "2023-11-20T16:45:10.005Z",
                "createdBefore": "2024-06-03T08:15:27.640Z",
            },
            ["Store opening guests", "Latin America", "German-speaking countries"],
            ONE_EACH,
        ),
        (
            {"createdAfter": "2026-03-11T10:54:01.356Z"},
            ["Outlet regulars", "Food trade", "Birthday club"],
            ONE_EACH,
        ),
        (
            {"createdBefore": "2023-05-15T14:02:08.077Z"},
            ["Customer advisory board"],
            ONE_EACH,
        ),
        # A bound between two milliseconds, which the provider cannot express.
        (
            {"createdBefore": "2023-05-15T14:02:08.077001Z"},
            ["App beta testers", "Customer advisory board"],
            ONE_EACH,
        ),
        # Of Stuut and Voucherify, no segment was ever updated: they are left out.
        ({"updatedAfter": "2025-10-07T10:19:00.791Z"}, EMPORIX[8:], ONE_EACH),
        ({"updatedAfter": "2025-10-07T10:19:00.790999Z"}, EMPORIX[7:], ONE_EACH),
        (
            {"updatedAfter": "2023-01-01T00:00:00Z", "providers": ["stuut", "voucherify"]},
            [],
            {"stuut": 1, "voucherify": 1},
        ),
        ({"externalId": "golden"}, ["Golden customers"], ONE_EACH),
        ({"externalId": "GOLDEN"}, [], ONE_EACH),
        ({"externalId": APP_BETA}, ["App beta testers"], ONE_EACH),
        ({"externalId": DACH_STRATEGIC, "providers": ["stuut"]}, ["DACH strategic"], {"stuut": 1}),
        ({"externalId": "golden", "status": "INACTIVE"}, [], {"emporix": 1}),
        ({"externalId": "golden", "ids": SEGMENTS}, ["Golden customers"], {"emporix": 1}),
        ({"externalId": "staff", "ids": SEGMENTS[:3]}, [], {}),
        ({"externalId": "bulk", "providers": ["emporix"]}, [], {"emporix": 1}),
        ({"native": {"provider": "stuut", "q": "dach"}}, ["DACH strategic", "Rest of DACH"], None),
        (
            {
                "native": {
                    "provider": "voucherify",
                    "q": '{"type": {"conditions": {"$in": ["static"]}}}',
                }
            },
            VOUCHERIFY_STATIC,
            None,
        ),
        (
            {"native": {"provider": "emporix", "q": "siteCode:outlet status:INACTIVE"}},
            ["Staff discount"],
            None,
        ),
        (
            {
                "native": {"provider": "emporix", "q": "siteCode:outlet"},
                "status": "ACTIVE",
                "nameContains": "s",
                "createdAfter": "2025-08-07T00:00:00Z",
                "providers": ["emporix", "stuut"],
            },
            ["Summer sale 2025", "Outlet regulars"],
            None,
        ),
        (
            {"ids": SEGMENTS, "membership": ["MANUAL"], "status": "ACTIVE"},
            ["App beta testers", "Golden customers"],
            {"voucherify": 1, "emporix": 1},
        ),
        (
            {"nameContains": "e", "siteCode": "outlet", "status": "INACTIVE", "providers": None},
            ["Staff discount"],
            {"emporix": 1},
        ),
        (
            {"ids": SEGMENTS, "customerId": customer_id("voucherify", HIRO_AT["voucherify"])},
            ["App beta testers"],
            None,
        ),
    ],
    ids=lambda value: str(value)[:70] if isinstance(value, dict) else "",
)
async def test_filter(
    front: Front,
    wanted: Mapping[str, Any],
    result: Sequence[str],
    counts: Mapping[str, int] | None,
) -> None:
    """All conditions hold; a provider without such segments is not called."""
    shown = (await front.data(LIST, {"filter": wanted}))["segments"]

    assert names(shown) == list(result)
    assert shown["pageInfo"] == {"hasNextPage": False}
    if counts is not None:
        assert front.counts == counts


@pytest.mark.parametrize("key", HIRO_AT)
async def test_filter_by_customer(front: Front, key: str) -> None:
    """`customerId` lists what this customer is in, at the customer's provider alone."""
    wanted = {"customerId": customer_id(key, HIRO_AT[key])}

    shown = (await front.data(LIST, {"filter": wanted}))["segments"]

    assert names(shown) == HIRO_IN[key]
    assert shown["sources"] == [{"provider": {"key": key}, "origin": "LIVE", "error": None}]
    # Voucherify: that the customer exists, the segments' names, the segments whole.
    assert front.counts == {key: 3 if key == "voucherify" else 1}


async def test_sources_of_those_not_asked(front: Front) -> None:
    """Who cannot have such a segment contributes nothing, from nowhere, and does not fail."""
    shown = await front.data(LIST, {"filter": {"status": "INACTIVE"}})

    assert shown["segments"]["sources"] == [
        {"provider": {"key": "stuut"}, "origin": None, "error": None},
        {"provider": {"key": "voucherify"}, "origin": None, "error": None},
        {"provider": {"key": "instaleap"}, "origin": None, "error": None},
        {"provider": {"key": "emporix"}, "origin": "LIVE", "error": None},
    ]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"providers": ["stuut", "nobody"]},
            "filter.providers: no provider has the key 'nobody'.",
        ),
        (
            {"native": {"provider": "nobody", "q": "x"}},
            "filter.native.provider: no provider has the key 'nobody'.",
        ),
        (
            {"ids": [segment_id("emporix", "golden"), "garbage"]},
            "filter.ids[1] is not an id of this gateway.",
        ),
        ({"externalId": ""}, "filter.externalId is empty."),
        (
            {"containsItem": {"type": "PRODUCT", "externalId": ""}},
            "filter.containsItem.externalId is empty.",
        ),
        (
            {"containsItem": {"type": "UNKNOWN", "externalId": "p1001"}},
            "filter.containsItem.type: UNKNOWN is not a type of items.",
        ),
        (
            {"ids": [customer_id("emporix", "1")]},
            "filter.ids[0] is not the id of a segment.",
        ),
        ({"customerId": "garbage"}, "filter.customerId is not an id of this gateway."),
        (
            {"customerId": segment_id("emporix", "golden")},
            "filter.customerId is not the id of a customer.",
        ),
    ],
    ids=str,
)
async def test_refused_filter(front: Front, wanted: Mapping[str, Any], message: str) -> None:
    """A filter with an invalid id is refused without a call."""
    answer = await front.ask(LIST, {"filter": wanted})

    assert answer == {
        "data": None,
        "errors": [
            {
                "message": message,
                "locations": [{"line": 3, "column": 3}],
                "path": ["segments"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }
    assert front.calls == []


@pytest.mark.parametrize(
    ("native", "code", "call_count"),
    [
        ({"provider": "voucherify", "q": "no JSON"}, "BAD_USER_INPUT", 0),
        ({"provider": "voucherify", "q": '{"junction": "or"}'}, "BAD_USER_INPUT", 0),
        ({"provider": "emporix", "q": "((("}, "PROVIDER_REFUSED", 1),
        ({"provider": "instaleap", "q": "x"}, "BAD_USER_INPUT", 0),
    ],
    ids=str,
)
async def test_native_filter_that_its_provider_refuses(
    front: Front, native: Mapping[str, Any], code: str, call_count: int
) -> None:
    """A query that one provider cannot take stands in its source."""
    shown = (await front.data(LIST, {"filter": {"native": native}}))["segments"]

    assert shown == {
        "nodes": [],
        "sources": [
            {"provider": {"key": native["provider"]}, "origin": None, "error": {"code": code}}
        ],
        "pageInfo": {"hasNextPage": False},
    }
    assert len(front.calls) == call_count


@pytest.mark.parametrize("first", [1, 3])
async def test_pages_of_a_filter(front: Front, first: int) -> None:
    """Rows that the gateway itself sifts out leave no page short and no row behind."""
    query = """query($first: Int, $after: String) {
      segments(first: $first, after: $after, filter: {nameContains: "er"}) {
        nodes { name } pageInfo { hasNextPage endCursor }
      }
    }"""
    result: list[str] = []
    after = None
    while True:
        page = (await front.data(query, {"first": first, "after": after}))["segments"]
        result += names(page)
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(page["nodes"]) == first
        after = page["pageInfo"]["endCursor"]

    assert result == [
        *(name for name in STUUT if "er" in name.casefold()),
        *(name for name in VOUCHERIFY if "er" in name.casefold()),
        *(
            segment.name["en"]
            for segment in SEGMENTS_OF_EMPORIX
            if any("er" in name.casefold() for name in segment.name.values())
        ),
    ]
    assert len(result) == 23
