"""Orders of the list of segments: keys, directions, ties, rows without a value."""

from collections.abc import Sequence

import pytest

from tests.e2e.known import EMPORIX, EVERY_NAME, STUUT
from tests.e2e.serving import PROVIDERS, Front, Providers, names, segment_id, serving

ORDER = """
query Order($key: SegmentSortKey, $reverse: Boolean, $first: Int = 250, $after: String) {
  segments(first: $first, after: $after, sortKey: $key, reverse: $reverse) {
    nodes { name createdAt updatedAt priority externalId provider { key } }
    totalCount
    pageInfo { hasNextPage endCursor }
  }
}
"""
BY_UPDATE = (*EMPORIX[:6], "Summer sale 2025", *EMPORIX[7:])


@pytest.mark.parametrize(
    ("key", "reverse", "result"),
    [
        ("PROVIDER", False, EVERY_NAME),
        (None, None, EVERY_NAME),
        ("PROVIDER", True, EVERY_NAME[::-1]),
        ("PRIORITY", False, STUUT),
        ("PRIORITY", True, STUUT[::-1]),
        ("UPDATED_AT", False, BY_UPDATE),
        ("UPDATED_AT", True, BY_UPDATE[::-1]),
    ],
)
async def test_order(
    front: Front, key: str | None, result: Sequence[str], *, reverse: bool | None
) -> None:
    """Rows without a value come last in both directions, by provider and id."""
    shown = (await front.data(ORDER, {"key": key, "reverse": reverse}))["segments"]

    assert names(shown)[: len(result)] == list(result)
    rest = [
        (PROVIDERS.index(node["provider"]["key"]), node["externalId"])
        for node in shown["nodes"][len(result) :]
    ]
    assert rest == sorted(rest)
    assert len(result) + len(rest) == len(EVERY_NAME)
    assert front.counts == {"stuut": 1, "voucherify": 1, "emporix": 1}


@pytest.mark.parametrize("reverse", [False, True])
async def test_order_by_creation(front: Front, *, reverse: bool) -> None:
    """All providers' segments stand in one order of time."""
    shown = await front.data(ORDER, {"key": "CREATED_AT", "reverse": reverse})

    times = [node["createdAt"] for node in shown["segments"]["nodes"]]
    assert len(times) == len(EVERY_NAME)
    assert times == sorted(times, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
async def test_order_by_name(front: Front, *, reverse: bool) -> None:
    """Names are compared ignoring case."""
    shown = await front.data(ORDER, {"key": "NAME", "reverse": reverse})

    result = names(shown["segments"])
    assert result == sorted(EVERY_NAME, key=str.casefold, reverse=reverse)


async def test_order_by_name_in_the_callers_language(front: Front) -> None:
    """The names compared are those that the caller is shown."""
    shown = await front.data(ORDER, {"key": "NAME"}, accept_language="de-AT, en;q=0.5")

    result = names(shown["segments"])
    assert "Goldkunden" in result
    assert result == sorted(result, key=str.casefold)


@pytest.mark.parametrize("key", ["PROVIDER", "NAME", "CREATED_AT", "UPDATED_AT", "PRIORITY"])
async def test_pages_of_an_order(front: Front, key: str) -> None:
    """Its pages, backwards, are the list cut into pieces."""
    given = {"key": key, "reverse": True}
    whole = (await front.data(ORDER, given))["segments"]
    result = []
    after = None
    for size in (7, 7, 7, 7, 7, 5):
        page = (await front.data(ORDER, {**given, "first": 7, "after": after}))["segments"]
        assert len(page["nodes"]) == size
        assert page["pageInfo"]["hasNextPage"] is (size == 7)
        result += page["nodes"]
        after = page["pageInfo"]["endCursor"]

    assert result == whole["nodes"]
    assert len(result) == len(EVERY_NAME)


@pytest.mark.parametrize("key", ["NAME", "PROVIDER"])
async def test_pages_while_segments_come_and_go(key: str) -> None:
    """A segment made in front shifts nothing, and a deleted one makes no other be missed."""
    async with serving(Providers()) as front:
        given = {"key": key, "reverse": True, "first": 5}
        whole = names((await front.data(ORDER, {**given, "first": 250}))["segments"])
        page = (await front.data(ORDER, given))["segments"]
        last = page["nodes"][-1]
        deleted = await front.data(
            """mutation($id: ID!) {
              segmentCreate(input: {
                provider: "emporix", externalId: "zzz", name: "ZZZ", siteCode: "main"
              }) { userErrors { message } }
              segmentDelete(input: {id: $id, force: true}) { userErrors { message } }
            }""",
            {"id": segment_id(last["provider"]["key"], last["externalId"])},
        )
        assert {"userErrors": []} == deleted["segmentCreate"] == deleted["segmentDelete"]

        rest = await front.data(
            ORDER, {**given, "first": 250, "after": page["pageInfo"]["endCursor"]}
        )

    assert names(page) == whole[:5]
    # Behind the deleted one nothing is missing, and the new one stands in front of them.
    assert names(rest["segments"]) == whole[5:]


async def test_total_of_an_order(front: Front) -> None:
    """A total that is known anyway is returned on every page."""
    query = "{ segments(first: 1, sortKey: NAME) { totalCount } }"

    assert await front.data(query) == {"segments": {"totalCount": 40}}
