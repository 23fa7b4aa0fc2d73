"""Segments that hold an item: `SegmentFilter.containsItem`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.failures import FAILURES, signed_in
from tests.e2e.serving import Front, customer_id, names, segment_id
from tests.e2e.test_customers import source

LIST = """
query List($filter: SegmentFilter, $first: Int = 250, $after: String) {
  segments(first: $first, after: $after, filter: $filter) {
    totalCount
    nodes { name }
    pageInfo { hasNextPage endCursor }
    sources { provider { key } origin totalCount error { code } }
  }
}
"""
WATERING_CAN = {"type": "PRODUCT", "externalId": "p1012"}
UNSUPPORTED = [source(key, None, "UNSUPPORTED") for key in ("stuut", "voucherify", "instaleap")]
AT_EMPORIX = {"providers": ["emporix"]}
ITEMS = "GET /customer-segment/sandbox/segments/items?"
GOLDEN = segment_id("emporix", "golden")


@pytest.mark.parametrize(
    ("item", "result", "calls"),
    [
        (WATERING_CAN, ["Newsletter readers", "Summer sale 2025"], 2),
        ({"type": "PRODUCT", "externalId": "p1003"}, ["Golden customers"], 2),
        ({"type": "CATEGORY", "externalId": "cat-tea"}, ["Spring preview 2035"], 2),
        # A product of the category that `Golden customers` has.
        ({"type": "CATEGORY", "externalId": "cat-espresso"}, ["Golden customers"], 2),
        ({"type": "CATEGORY", "externalId": "p1012"}, [], 1),
        ({"type": "PRODUCT", "externalId": "p10"}, [], 1),
        # `q` cannot express these: the items are compared here.
        ({"type": "PRODUCT", "externalId": "no such (item)"}, [], 1),
    ],
    ids=str,
)
async def test_segments_of_an_item(
    front: Front, item: Mapping[str, Any], result: Sequence[str], calls: int
) -> None:
    """Those to which it is assigned, by one call for its assignments and one for the segments."""
    shown = (await front.data(LIST, {"filter": {"containsItem": item}}))["segments"]

    assert shown == {
        "totalCount": None,
        "nodes": [{"name": name} for name in result],
        "pageInfo": shown["pageInfo"],
        "sources": [*UNSUPPORTED, source("emporix", len(result))],
    }
    assert front.counts == {"emporix": calls}
    assert front.calls[0].startswith(ITEMS)


@pytest.mark.parametrize(
    ("others", "result", "calls"),
    [
        ({"nameContains": "SUMMER"}, ["Summer sale 2025"], 2),
        ({"status": "INACTIVE"}, [], 2),
        ({"membership": ["RULE"]}, [], 0),
        ({"ids": [GOLDEN]}, [], 1),
        ({"externalId": "golden"}, [], 1),
        ({"customerId": customer_id("emporix", "90000000")}, ["Newsletter readers"], 2),
    ],
    ids=str,
)
async def test_with_other_conditions(
    front: Front, others: Mapping[str, Any], result: Sequence[str], calls: int
) -> None:
    """All conditions hold."""
    wanted = {**AT_EMPORIX, "containsItem": WATERING_CAN, **others}

    shown = (await front.data(LIST, {"filter": wanted}))["segments"]

    assert names(shown) == list(result)
    assert shown["totalCount"] == len(result)
    assert front.counts == ({"emporix": calls} if calls else {})


async def test_pages(front: Front) -> None:
    """Page by page, each segment comes once."""
    given = {"filter": {"containsItem": WATERING_CAN}, "first": 1}

    page = (await front.data(LIST, given))["segments"]
    after = page["pageInfo"]["endCursor"]
    rest = (await front.data(LIST, {**given, "after": after}))["segments"]

    assert (names(page), names(rest)) == (["Newsletter readers"], ["Summer sale 2025"])
    assert page["pageInfo"]["hasNextPage"] is True
    assert rest["pageInfo"]["hasNextPage"] is False


async def test_with_a_native_query(front: Front) -> None:
    """Neither can be expressed in the other: refused, and nothing is sent."""
    wanted = {"containsItem": WATERING_CAN, "native": {"provider": "emporix", "q": "x:1"}}

    answer = await front.ask(LIST, {"filter": wanted})

    message = "filter.native cannot be combined with ids, customerId, externalId or containsItem."
    assert answer["errors"][0]["message"] == message
    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert front.calls == []


async def test_a_failure(front: Front) -> None:
    """Emporix's failure is reported in its source."""
    real = front.providers.real("emporix")
    front.providers.instead["emporix"] = signed_in(FAILURES["500"].server, real)

    shown = (await front.data(LIST, {"filter": {"containsItem": WATERING_CAN}}))["segments"]

    assert shown["nodes"] == []
    assert shown["sources"] == [*UNSUPPORTED, source("emporix", None, "PROVIDER_BROKEN")]


async def test_one_provider(front: Front) -> None:
    """A provider's own list is null where it cannot search by item."""
    query = """query($filter: SegmentFilter) {
      no: provider(key: "stuut") { segments(filter: $filter) { nodes { name } } }
      yes: provider(key: "emporix") { segments(filter: $filter) { nodes { name } } }
    }"""

    shown = await front.data(query, {"filter": {"containsItem": WATERING_CAN}})

    assert shown == {
        "no": {"segments": None},
        "yes": {
            "segments": {"nodes": [{"name": "Newsletter readers"}, {"name": "Summer sale 2025"}]}
        },
    }
