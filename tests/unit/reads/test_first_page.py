"""A list's first page from a single reply: the same page at a quarter of the cost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.entities import Origin
from gateway.domain.pages import Page, PageRequest
from gateway.reads.base import first_page
from gateway.reads.merged_list import ListSource, single_list
from tests.unit.reads.listings import FakeList, Row


@settings(max_examples=200)
@given(
    fake=st.builds(
        FakeList,
        provider=st.just("a"),
        length=st.integers(0, 23),
        largest=st.integers(1, 8),
        sees_its_end=st.booleans(),
    ),
    first=st.integers(1, 12),
    knows_total=st.booleans(),
    origin=st.sampled_from(Origin),
)
async def test_a_first_answer_that_is_the_page_is_shown_as_the_list_would(
    fake: FakeList, first: int, *, knows_total: bool, origin: Origin
) -> None:
    """The same page with the same cursors; None exactly where the list needs a second call."""
    fake.total = fake.length if knows_total else None
    first_rows = msgspec.structs.replace(
        await fake.page(PageRequest(first, None, with_total=True)),
        origin=origin,
        fetched_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    pages = iter([first_rows])
    listing = ListSource("a", partial(_next, pages, fake))
    connection = first_page("a", first_rows, first, lambda: "these")
    expected = await single_list(listing, first, None, of="these", with_total=True)
    assert (connection is None) is (len(fake.requests) > 1)
    if connection is None:
        return
    assert list(connection.rows) == expected.rows
    assert (
        connection.has_next,
        connection.has_previous,
        connection.total,
        connection.end_cursor,
    ) == (
        expected.has_next,
        expected.has_previous,
        expected.total,
        expected.end_cursor,
    )
    places = range(len(expected.rows))
    assert list(map(connection.cursor, places)) == list(map(expected.cursor, places))
    # What is LIVE was read "now": that is told anew each time.
    ours, theirs = connection.sources, expected.sources
    if origin is Origin.LIVE:
        assert ours[0].fetched_at is not None
        ours, theirs = ([each[0]._replace(fetched_at=None)] for each in (ours, theirs))
    assert ours == theirs


async def _next(pages: Iterator[Page[Row]], fake: FakeList, request: PageRequest) -> Page[Row]:
    """Answer from what was told already, then by asking."""
    return next(pages, None) or await fake.page(request)


@pytest.mark.parametrize(
    "page",
    [
        Page(rows=[Row("a", 1)] * 2, position_after=str, is_last=True),
        Page(rows=[Row("a", 1), Row("a", 2), Row("a", 3)], position_after=str, is_last=True),
        Page(rows=[Row("a", 1)], position_after=str, is_last=False),
        Page(rows=[], position_after=str, is_last=False),
    ],
    ids=["a row twice", "more than asked", "fewer, and more follow", "none, and more follow"],
)
def test_a_first_answer_that_is_not_the_page(page: Page[Row]) -> None:
    """Two rows are wanted: the list itself sees to it."""
    assert first_page("a", page, 2, lambda: "these") is None
