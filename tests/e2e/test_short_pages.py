"""Providers that return smaller pages than requested: all rows, none twice."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from gateway.sandbox.faults import Fault
from tests.e2e.known import SILVER_MEMBERS
from tests.e2e.serving import Front, segment_id

CUSTOMERS = """query($keys: [String!], $first: Int!, $after: String) {
  list: customers(filter: {providers: $keys}, first: $first, after: $after) {
    nodes { id } totalCount pageInfo { hasNextPage endCursor }
    sources { error { code } } } }"""
SEGMENTS = CUSTOMERS.replace("list: customers", "list: segments")


@pytest.fixture
async def short(front: Front) -> AsyncIterator[Front]:
    """Return a gateway whose providers are healed afterwards."""
    yield front
    front.providers.faults.replace(())


def cap(front: Front, provider: Any, rows: int) -> None:
    """Let a provider give pages of so many rows."""
    front.providers.faults.replace([Fault(provider, kind="short_pages", most_rows=rows)])
    front.forget()


async def walked(front: Front, query: str, provider: str, first: int) -> Sequence[str]:
    """Return the ids of a list, read page by page to where it says that it ends."""
    result: list[str] = []
    after = None
    for _ in range(400):
        given = {"keys": [provider], "first": first, "after": after}
        page = (await front.data(query, given))["list"]
        assert [source["error"] for source in page["sources"]] == [None]
        result += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        assert len(page["nodes"]) == first or not page["pageInfo"]["hasNextPage"]
        if not page["pageInfo"]["hasNextPage"]:
            return result
    raise AssertionError("the list does not come to an end")


@pytest.mark.parametrize(
    ("provider", "query", "rows"),
    [
        ("emporix", CUSTOMERS, 100),
        ("emporix", CUSTOMERS, 37),
        ("emporix", SEGMENTS, 5),
        ("voucherify", CUSTOMERS, 37),
        ("voucherify", SEGMENTS, 5),
        # Stuut has no totals: only a round number of rows may have been cut.
        ("stuut", CUSTOMERS, 50),
    ],
)
@pytest.mark.parametrize("first", [30, 250])
async def test_all_rows_and_none_twice(
    short: Front, provider: str, query: str, rows: int, first: int
) -> None:
    """The list is the same, in order, and says at its end that it ends."""
    whole = await walked(short, query, provider, 250)
    assert len(whole) > rows
    cap(short, provider, rows)
    assert await walked(short, query, provider, first) == whole


async def test_calls(short: Front) -> None:
    """A list goes on by what came: each page of it is read once."""
    total = len(await walked(short, CUSTOMERS, "emporix", 250))
    cap(short, "emporix", 50)
    assert len(await walked(short, CUSTOMERS, "emporix", 250)) == total
    assert short.counts == {"emporix": -(-total // 50)}


async def test_members(short: Front) -> None:
    """So it is with the customers of a segment."""
    query = """query($id: ID!) { segment(id: $id) { customers(first: 250) {
        nodes { id } pageInfo { hasNextPage } } } }"""
    for provider, key in (("voucherify", SILVER_MEMBERS), ("emporix", "golden")):
        given = {"id": segment_id(provider, key)}
        whole = await short.data(query, given)
        assert len(whole["segment"]["customers"]["nodes"]) > 3
        cap(short, provider, 3)
        assert await short.data(query, given) == whole
        short.providers.faults.replace(())
