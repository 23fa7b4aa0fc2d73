"""The merged list of segments: what it shows, its pages, and what they cost."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.known import EMPORIX, EVERY_NAME, STUUT, VOUCHERIFY, VOUCHERIFY_STATIC
from tests.e2e.serving import PROVIDERS, READABLE, Front, names

MAX_ROWS_PER_CALL = {"stuut": 500, "voucherify": 100, "emporix": 200}
NAMES = {"stuut": STUUT, "voucherify": VOUCHERIFY, "emporix": EMPORIX}
KEPT_BY_HAND = {"stuut": (), "voucherify": VOUCHERIFY_STATIC, "emporix": EMPORIX}
PAGE = """
query Page($first: Int, $after: String) {
  segments(first: $first, after: $after) {
    nodes { id name }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    sources { provider { key } error { code } }
  }
}
"""


async def test_the_first_query(front: Front) -> None:
    """The query of the README brings every segment; of Instaleap nothing is recorded yet."""
    data = await front.data(
        "{ segments(first: 100) { totalCount nodes { name membership provider { key } }"
        " sources { provider { key } error { code } } } }"
    )

    assert data == {
        "segments": {
            "totalCount": 40,
            "nodes": [
                {
                    "name": name,
                    "membership": "MANUAL" if name in KEPT_BY_HAND[key] else "RULE",
                    "provider": {"key": key},
                }
                for key in READABLE
                for name in NAMES[key]
            ],
            "sources": [{"provider": {"key": key}, "error": None} for key in PROVIDERS],
        }
    }
    assert front.counts == {"stuut": 1, "voucherify": 1, "emporix": 1}


async def walked(front: Front, first: int) -> Sequence[Any]:
    """Return all pages, each with the calls it took."""
    pages: list[Any] = []
    after = None
    while not pages or pages[-1]["pageInfo"]["hasNextPage"]:
        front.forget()
        page = (await front.data(PAGE, {"first": first, "after": after}))["segments"]
        pages.append({**page, "counts": front.counts})
        after = page["pageInfo"]["endCursor"]
    return pages


@pytest.mark.parametrize("first", [1, 2, 7, 50, 100, 250])
async def test_pages(front: Front, first: int) -> None:
    """Pages of any size bring every row once, in order, at no more calls than they must."""
    pages = await walked(front, first)

    assert [name for page in pages for name in names(page)] == list(EVERY_NAME)
    assert len({node["id"] for page in pages for node in page["nodes"]}) == len(EVERY_NAME)
    assert len(pages) == math.ceil(len(EVERY_NAME) / first)
    assert pages[0]["counts"] == dict.fromkeys(READABLE, 1)
    for page in pages:
        for key, count in page["counts"].items():
            # Voucherify's pages overlap where its list goes on.
            assert count <= math.ceil(first / MAX_ROWS_PER_CALL[key]) + (key == "voucherify")
        info = page["pageInfo"]
        assert [edge["node"] for edge in page["edges"]] == [
            {"id": node["id"]} for node in page["nodes"]
        ]
        assert info["startCursor"] == page["edges"][0]["cursor"]
        assert info["endCursor"] == page["edges"][-1]["cursor"]
        assert info["hasPreviousPage"] is (page is not pages[0])


async def test_later_pages_ask_those_whose_rows_can_stand_on_them(front: Front) -> None:
    """A page asks nothing of the providers before and behind its rows."""
    pages = await walked(front, 7)

    assert [page["counts"] for page in pages] == [
        {"stuut": 1, "voucherify": 1, "emporix": 1},
        {"stuut": 1, "voucherify": 1},
        {"voucherify": 1},
        {"voucherify": 1, "emporix": 1},
        {"emporix": 1},
        {"emporix": 1},
    ]


async def test_every_cursor_goes_on_behind_its_row(front: Front) -> None:
    """The list goes on behind any edge, not only behind a page's last."""
    edges = (await walked(front, 40))[0]["edges"]

    result = [
        names((await front.data(PAGE, {"first": 3, "after": edges[row]["cursor"]}))["segments"])
        for row in (0, 6, 7, 8, 16, 22, 23, 24, 38, 39)
    ]

    assert result == [
        list(EVERY_NAME[row + 1 : row + 4]) for row in (0, 6, 7, 8, 16, 22, 23, 24, 38, 39)
    ]


SOURCES = """
query Sources($first: Int, $after: String) {
  segments(first: $first, after: $after) {
    pageInfo { endCursor hasNextPage }
    sources {
      provider { key } origin totalCount
      error { code message retryable retryAfterMs upstreamStatus }
    }
  }
}
"""


def source(key: str, origin: str | None, total: int | None) -> dict[str, Any]:
    """Return the row of a provider that did not fail."""
    return {"provider": {"key": key}, "origin": origin, "totalCount": total, "error": None}


async def test_sources(front: Front) -> None:
    """Each page has the origin of each provider's rows; null if it was not called."""
    first = (await front.data(SOURCES, {"first": 12}))["segments"]
    cursor = first["pageInfo"]["endCursor"]
    second = (await front.data(SOURCES, {"first": 12, "after": cursor}))["segments"]

    assert first["sources"] == [
        source("stuut", "LIVE", 8),
        source("voucherify", "LIVE", 16),
        source("instaleap", "RECORDED", 0),
        source("emporix", "LIVE", 16),
    ]
    assert second["sources"] == [
        source("stuut", None, 8),
        source("voucherify", "LIVE", 16),
        source("instaleap", None, 0),
        source("emporix", None, 16),
    ]


async def test_fetched_at_and_request_id_of_sources(front: Front) -> None:
    """An answer has the time it was read, a failure the request's id for the log."""
    query = """{
      well: segments { sources { fetchedAt error { requestId } } }
      ill: customers(filter: {email: "x@example.com", providers: ["stuut"]}) {
        sources { fetchedAt error { requestId } }
      }
    }"""
    reply = await front.client.post("/graphql", json={"query": query})
    shown = reply.json()["data"]

    fetched = [row["fetchedAt"] for row in shown["well"]["sources"]]
    assert [moment is None for moment in fetched] == [False, False, True, False]
    assert all(moment.endswith("Z") for moment in fetched if moment)
    assert [row["error"] for row in shown["well"]["sources"]] == [None] * 4
    request_id = reply.headers["x-request-id"]
    assert shown["ill"]["sources"] == [{"fetchedAt": None, "error": {"requestId": request_id}}]


async def test_emporix_is_always_asked_for_the_total(front: Front) -> None:
    """Only the total tells a page that was cut short from the last one."""
    await front.data("{ segments(first: 5) { nodes { id } } }")

    assert [kind for kind, headers in front.providers.headers if "x-total-count" in headers] == [
        "emporix"
    ]
    assert front.counts == {"stuut": 1, "voucherify": 1, "emporix": 1}


@pytest.mark.parametrize(
    ("providers", "first", "total"),
    [
        (None, 250, 40),
        (["voucherify", "emporix"], 1, 32),
        (["stuut", "emporix"], 8, 24),
        (["stuut", "emporix"], 7, None),
        ([], 1, 0),
    ],
    ids=str,
)
async def test_total_count(
    front: Front, providers: list[str] | None, first: int, total: int | None
) -> None:
    """The total is the sum; null when a provider in scope cannot tell."""
    query = """query($keys: [String!], $first: Int) {
      segments(first: $first, filter: {providers: $keys}) { totalCount }
    }"""

    assert await front.data(query, {"keys": providers, "first": first}) == {
        "segments": {"totalCount": total}
    }


async def test_total_that_nobody_tells_is_not_walked_for(front: Front) -> None:
    """Stuut tells no total: it is null until the list's end was read anyway."""
    query = 'query($n: Int) { provider(key: "stuut") { segments(first: $n) { totalCount } } }'

    short = await front.data(query, {"n": 7})
    whole = await front.data(query, {"n": 8})

    assert short == {"provider": {"segments": {"totalCount": None}}}
    assert whole == {"provider": {"segments": {"totalCount": 8}}}
    assert front.counts == {"stuut": 2}
