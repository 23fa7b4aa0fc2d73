"""Segments by their number of members: `sortKey: MEMBERS_COUNT`."""

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.limits.settings import LimitSettings
from tests.e2e.known import APP_BETA, STUUT
from tests.e2e.serving import Front, Providers, segment_id, serving, settings_with
from tests.sizes import size

LIST = """
query List($filter: SegmentFilter, $reverse: Boolean, $first: Int = 250, $after: String) {
  segments(
    first: $first, after: $after, filter: $filter, sortKey: MEMBERS_COUNT, reverse: $reverse
  ) {
    totalCount
    nodes { id name customersCount { count precision } provider { key } externalId }
    pageInfo { hasNextPage endCursor }
    sources { provider { key } totalCount error { code } }
  }
}
"""
ONCE = {"stuut": 1, "voucherify": 1 + 16, "emporix": 1 + 16}
"""One call for each list, and one for each segment that can be counted."""

BETA, GOLDEN = segment_id("voucherify", APP_BETA), segment_id("emporix", "golden")
PAGE = size("COUNTED_PAGE", 9, 3)


def sizes(nodes: Sequence[Any]) -> list[int | None]:
    """Return the number of members of each segment; None: unknown."""
    return [node["customersCount"] and node["customersCount"]["count"] for node in nodes]


@pytest.mark.parametrize("reverse", [False, True])
async def test_order(front: Front, *, reverse: bool) -> None:
    """All providers in one order; the counts shown are those compared, each read once."""
    shown = (await front.data(LIST, {"reverse": reverse}))["segments"]

    counts = sizes(shown["nodes"])
    known = [count for count in counts if count is not None]
    assert len(known) == 32
    assert known == sorted(known, reverse=reverse)
    # Stuut cannot count: its segments come last in both directions, by id.
    assert counts[32:] == [None] * len(STUUT)
    last = [node["externalId"] for node in shown["nodes"][32:]]
    assert last == sorted(last)
    assert {node["provider"]["key"] for node in shown["nodes"][32:]} == {"stuut"}
    assert shown["totalCount"] == 40
    assert [row["error"] for row in shown["sources"]] == [None] * 4
    assert front.counts == ONCE


async def test_the_largest(front: Front) -> None:
    """The largest ones cost as many calls, whether their counts are shown or not."""
    query = """{ segments(first: 3, sortKey: MEMBERS_COUNT, reverse: true) { nodes { name } } }"""

    assert await front.data(query) == {
        "segments": {
            "nodes": [
                {"name": "Before the relaunch or born before 1960"},
                {"name": "German-speaking countries"},
                {"name": "Frequent buyers"},
            ]
        }
    }
    assert front.counts == ONCE


@pytest.mark.parametrize("reverse", [False, True])
async def test_pages(front: Front, *, reverse: bool) -> None:
    """Its pages are the list cut into pieces, also between equal counts and unknown ones."""
    whole = (await front.data(LIST, {"reverse": reverse}))["segments"]["nodes"]
    result: list[Any] = []
    given: dict[str, Any] = {"reverse": reverse, "first": PAGE}
    while True:
        page = (await front.data(LIST, given))["segments"]
        result += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        given["after"] = page["pageInfo"]["endCursor"]

    assert result == whole


async def test_a_filter_counts_less(front: Front) -> None:
    """Only the segments of the list are counted."""
    shown = (await front.data(LIST, {"filter": {"ids": [GOLDEN, BETA]}}))["segments"]

    assert [node["id"] for node in shown["nodes"]] == [BETA, GOLDEN]
    assert sizes(shown["nodes"]) == [18, 29]
    assert front.counts == {"voucherify": 2, "emporix": 2}


async def test_more_than_are_counted() -> None:
    """A longer list is refused before anything is counted; a filter makes it short enough."""
    limits = LimitSettings(counted_segments=16)
    settings = settings_with().model_copy(update={"limits": limits})
    async with serving(settings=settings) as front:
        answer = await front.ask(LIST)
        refused_calls = front.counts
        front.forget()
        shown = await front.data(LIST, {"filter": {"providers": ["emporix", "stuut"]}})

    assert answer["data"] is None
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        (
            (
                "The list has 32 segments; at most 16 are counted to sort by MEMBERS_COUNT "
                "(limits.counted_segments)."
            ),
            ["segments"],
            {"code": "LIMIT_EXCEEDED"},
        )
    ]
    assert refused_calls == {"stuut": 1, "voucherify": 1, "emporix": 2}  # one signs in
    assert len(shown["segments"]["nodes"]) == 24
    assert front.counts == {"stuut": 1, "emporix": 17}


async def test_a_count_that_fails() -> None:
    """Its segment comes last, and the provider's source has the error."""
    providers = Providers()
    real = providers.real("voucherify")

    async def uncounted(scope: Scope, receive: Receive, send: Send) -> None:
        if f"segment_id={APP_BETA}".encode() in scope["query_string"]:
            await PlainTextResponse("down", 500)(scope, receive, send)
            return
        await real(scope, receive, send)

    async with serving(providers) as front:
        providers.instead["voucherify"] = uncounted
        answer = await front.ask(LIST, {"filter": {"ids": [BETA, GOLDEN]}, "reverse": True})

    shown = answer["data"]["segments"]
    assert [node["id"] for node in shown["nodes"]] == [GOLDEN, BETA]
    assert sizes(shown["nodes"]) == [29, None]
    assert [(row["provider"]["key"], row["error"]) for row in shown["sources"]] == [
        ("voucherify", {"code": "PROVIDER_BROKEN"}),
        ("emporix", None),
    ]
    assert [error["path"] for error in answer["errors"]] == [
        ["segments", "nodes", 1, "customersCount"]
    ]
