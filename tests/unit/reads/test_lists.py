"""Merged lists: nothing lost, nothing twice, whatever the providers' paging is like."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.entities import Customer, Origin, Ref
from gateway.domain.pages import Page, PageRequest
from gateway.errors import BadInput, Broken, Malformed
from gateway.reads import merged_list
from gateway.reads.merged_list import Connection, ListSource, complete_list, merge
from gateway.reads.source_rows import Source
from tests.unit.reads.listings import FakeList, Row, every_row, listings

steady = settings(max_examples=60)


def _fake_list(provider: str) -> st.SearchStrategy[FakeList]:
    return st.builds(
        FakeList,
        provider=st.just(provider),
        length=st.integers(0, 23),
        largest=st.integers(1, 8),
        sees_its_end=st.booleans(),
        holds=st.sampled_from([None, lambda row: row.place % 3 == 0, lambda _: False]),
    )


several = st.tuples(*(_fake_list(key) for key in "abc"))
sizes = st.integers(1, 12)


async def walked(lists_: Sequence[FakeList], first: int) -> list[Connection[Row]]:
    """Read page after page, as a client does, until none is promised and none failed."""
    pages: list[Connection[Row]] = []
    after = None
    while True:
        page = await merge(listings(lists_), first, after, of="these")
        pages.append(page)
        assert len(pages) < 200, "the walk does not end"
        if not page.has_next and all(source.error is None for source in page.sources):
            return pages
        after = page.end_cursor


def rows_of(pages: Sequence[Connection[Row]]) -> list[Row]:
    """Return the rows of all pages."""
    return [row for page in pages for row in page.rows]


@steady
@given(lists_=several, first=sizes)
async def test_a_walk_shows_each_row_once_in_order(
    lists_: tuple[FakeList, ...], first: int
) -> None:
    """All pages together are the lists, one after the other; every page but the last is full."""
    pages = await walked(lists_, first)
    rows = every_row(lists_)
    assert rows_of(pages) == rows
    assert [len(page.rows) for page in pages][: len(rows) // first] == [first] * (
        len(rows) // first
    )
    assert [page.has_previous for page in pages] == [False] + [True] * (len(pages) - 1)


@steady
@given(lists_=several, first=sizes, data=st.data())
async def test_any_cursor_resumes_right_behind_its_row(
    lists_: tuple[FakeList, ...], first: int, data: st.DataObject
) -> None:
    """From the cursor of any row of any page the list goes on with the next row."""
    pages = await walked(lists_, first)
    places = [(page, place) for page in pages for place in range(len(page.rows))]
    if not places:
        return
    at = data.draw(st.integers(0, len(places) - 1))
    page, place = places[at]
    rest = await merge(listings(lists_), 100, page.cursor(place), of="these")
    assert list(rest.rows) == every_row(lists_)[at + 1 :]
    assert rest.has_previous is True


@steady
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    first=sizes,
    knows_total=st.booleans(),
)
async def test_lists_that_see_their_end_promise_no_page_too_many(
    lengths: list[int], first: int, *, knows_total: bool
) -> None:
    """`has_next` is exact, also where a list ends at a page's edge; so is a known total."""
    lists_ = [
        FakeList(str(index), length, total=length if knows_total else None)
        for index, length in enumerate(lengths)
    ]
    after, seen, whole = None, 0, sum(lengths)
    for _ in range(max(1, ceil(whole / first))):
        page = await merge(listings(lists_), first, after, of="these", with_total=True)
        seen += len(page.rows)
        assert page.has_next == (seen < whole)
        after = page.end_cursor
        totals = [source.total for source in page.sources]
        if knows_total:
            assert totals == lengths
        assert page.total == (None if None in totals else whole)
    assert seen == whole


@steady
@given(
    lists_=several,
    first=sizes,
    failing=st.tuples(*(st.frozensets(st.integers(0, 6), max_size=4) for _ in "abc")),
)
async def test_what_fails_now_and_then_still_comes_once(
    lists_: tuple[FakeList, ...], first: int, failing: tuple[frozenset[int], ...]
) -> None:
    """Each list is shown whole and in order by the pages that follow its failures."""
    for each, fails_at in zip(lists_, failing, strict=True):
        each.fails_at = fails_at
    # A provider that failed promises no page: whoever wants its rows asks once more.
    pages = await walked(lists_, first)
    pages += await walked_on(lists_, first, pages[-1].end_cursor)
    rows = rows_of(pages)
    for each in lists_:
        assert [row for row in rows if row.provider == each.provider] == each.rows
    for page in pages:
        failed = {source.provider for source in page.sources if source.error is not None}
        assert failed.isdisjoint(row.provider for row in page.rows)
        assert (page.total is None) or not failed


async def walked_on(
    lists_: Sequence[FakeList], first: int, after: str | None
) -> list[Connection[Row]]:
    """Read the remaining pages until one is empty and reports no failure."""
    pages: list[Connection[Row]] = []
    while after is not None:
        page = await merge(listings(lists_), first, after, of="these")
        assert len(pages) < 200, "the walk does not end"
        pages.append(page)
        if not page.rows and all(source.error is None for source in page.sources):
            break
        after = page.end_cursor
    return pages


async def test_the_first_page_asks_all_at_once_and_later_ones_only_whom_they_need() -> None:
    """Page 1 costs each provider one call; later ones a call of each provider they stand in."""
    a, b, c = FakeList("a", 5), FakeList("b", 5), FakeList("c", 5)
    one = await merge(listings([a, b, c]), 3, None, of="x")
    assert [each.requests for each in (a, b, c)] == [[PageRequest(3)]] * 3
    two = await merge(listings([a, b, c]), 3, one.end_cursor, of="x")
    assert two.rows == [Row("a", 3), Row("a", 4), Row("b", 0)]
    assert a.requests[1:] == [PageRequest(3, "at 3")]
    assert b.requests[1:] == [PageRequest(1)]
    assert c.requests[1:] == []
    three = await merge(listings([a, b, c]), 3, two.end_cursor, of="x")
    assert three.rows == [Row("b", 1), Row("b", 2), Row("b", 3)]
    assert [len(each.requests) for each in (a, b, c)] == [2, 3, 1]
    assert [source.origin for source in two.sources] == [Origin.LIVE, Origin.LIVE, None]
    assert [source.fetched_at is None for source in two.sources] == [False, False, True]


async def test_the_first_page_waits_for_no_provider_before_it_asks_the_next() -> None:
    """All providers are called before any has replied."""
    together = asyncio.Barrier(3)

    async def page(_: PageRequest) -> Page[Row]:
        await together.wait()
        return Page(rows=[], position_after=str, is_last=True)

    async with asyncio.timeout(5):
        connection = await merge([ListSource(key, page) for key in "abc"], 3, None, of="x")
    assert (connection.rows, connection.has_next, connection.end_cursor, connection.total) == (
        [],
        False,
        None,
        0,
    )


async def test_a_failing_provider_stands_in_the_sources_alone() -> None:
    """The page has the others' rows; the next page calls the failed provider again, in order."""
    a = FakeList("a", 2, fails_at=frozenset({0}), total=2)
    b = FakeList("b", 3, total=3)
    page = await merge(listings([a, b]), 2, None, of="x", with_total=True)
    assert page.rows == [Row("b", 0), Row("b", 1)]
    assert (page.has_next, page.total) == (True, None)
    failed, fine = page.sources
    assert isinstance(failed.error, Broken)
    assert failed[:4] == ("a", None, None, None)
    assert (fine.provider, fine.origin, fine.total, fine.error) == ("b", Origin.LIVE, 3, None)

    page = await merge(listings([a, b]), 9, page.end_cursor, of="x", with_total=True)
    assert page.rows == [Row("a", 0), Row("a", 1), Row("b", 2)]
    assert (page.has_next, page.total) == (False, 5)
    assert [source.error for source in page.sources] == [None, None]


async def test_when_all_fail_the_list_is_empty_and_promises_nothing() -> None:
    """No rows, no next page, no total, every provider reported; the start may be read again."""
    lists_ = [FakeList(key, 3, fails_at=frozenset({0})) for key in "ab"]
    page = await merge(listings(lists_), 5, None, of="x")
    assert (page.rows, page.has_next, page.end_cursor, page.total) == ([], False, None, None)
    assert [type(source.error) for source in page.sources] == [Broken, Broken]


async def test_a_failure_inside_a_stretch_shows_nothing_of_it() -> None:
    """Rows read before the failure are not shown, so that none comes twice."""
    a = FakeList("a", 6, largest=2, fails_at=frozenset({1}))
    page = await merge(listings([a]), 5, None, of="x")
    assert (page.rows, page.has_next) == ([], False)
    assert [type(source.error) for source in page.sources] == [Broken]


@pytest.mark.parametrize("next_position", [None, "at 0"], ids=["nowhere", "where it was"])
async def test_a_list_that_does_not_advance_is_malformed(next_position: str | None) -> None:
    """An endless first page is noticed at once instead of being read for ever."""
    calls = 0

    async def page(_: PageRequest) -> Page[Row]:
        nonlocal calls
        calls += 1
        return Page(rows=[], position_after=str, is_last=False, end=next_position)

    connection = await merge([ListSource("a", page)], 5, None, of="x")
    assert (connection.rows, connection.has_next) == ([], False)
    assert isinstance(connection.sources[0].error, Malformed)
    assert calls == (1 if next_position is None else 2)


async def test_a_long_sift_ends_short_and_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page costs a provider a bounded number of calls, and the next never repeats them."""
    monkeypatch.setattr(merged_list, "MAX_CALLS_PER_PAGE", 3)
    monkeypatch.setattr(merged_list, "FILTERED_PAGE", 10)
    a = FakeList("a", 100, holds=lambda row: row.place in {5, 95})
    pages = await walked([a], 4)
    assert [list(page.rows) for page in pages] == [[Row("a", 5)], [], [], [Row("a", 95)]]
    assert [page.has_next for page in pages] == [True, True, True, False]
    assert [request.position for request in a.requests] == [
        None if at == 0 else f"at {at}" for at in range(0, 100, 10)
    ]


async def test_the_total_is_asked_only_when_it_is_wanted_and_only_once() -> None:
    """Only the first call requests a total; the cursor carries it."""
    a = FakeList("a", 9, largest=2, total=9)
    page = await merge(listings([a]), 4, None, of="x", with_total=True)
    assert page.total == 9
    page = await merge(listings([a]), 4, page.end_cursor, of="x", with_total=True)
    assert page.total == 9
    assert [request.with_total for request in a.requests] == [True, False, False, False]
    b = FakeList("b", 9, total=9)
    page = await merge(listings([b]), 4, None, of="x")
    assert (page.total, b.requests) == (None, [PageRequest(4)])


async def test_a_list_read_to_its_end_is_counted_by_that() -> None:
    """Without a provider's total the end gives it: rows shown before, and those of the page."""
    a = FakeList("a", 5)
    page = await merge(listings([a]), 3, None, of="x")
    assert page.total is None
    page = await merge(listings([a]), 3, page.end_cursor, of="x")
    assert page.total == 5


@given(length=st.integers(0, 12), first=sizes)
@steady
async def test_a_list_read_as_a_whole_is_paged_here(length: int, first: int) -> None:
    """Its pages together are the list; its total is known from the first page on."""

    async def rows() -> list[int]:
        return list(range(length))

    seen: list[int] = []
    after, has_next = None, True
    while has_next:
        page = await merge([complete_list("a", rows)], first, after, of="x")
        assert page.total == length
        seen += page.rows
        after, has_next = page.end_cursor, page.has_next
    assert seen == list(range(length))


@pytest.mark.parametrize("largest", [1000, 4], ids=["on one page", "on several"])
async def test_rows_that_a_provider_repeats_are_shown_once(largest: int) -> None:
    """Neither the page they stand on nor the next one shows them again."""
    places = [0, 0, 1, 0, 1, 2, 3, 3, 4]

    async def page(request: PageRequest) -> Page[Row]:
        start = int(request.position or 0)
        shown = places[start : start + min(request.size, largest)]
        return Page(
            rows=[Row("a", place) for place in shown],
            position_after=lambda i: str(start + i + 1),
            is_last=start + len(shown) >= len(places),
        )

    connection = await merge([ListSource("a", page)], 4, None, of="these")
    assert [row.place for row in connection.rows] == [0, 1, 2, 3]
    connection = await merge([ListSource("a", page)], 50, None, of="these")
    assert [row.place for row in connection.rows] == [0, 1, 2, 3, 4]
    assert (connection.has_next, connection.total) == (False, 5)


async def test_a_list_read_as_a_whole_shows_and_counts_repeated_rows_once() -> None:
    """Also where the repetition stands on the next page of it."""

    async def rows() -> list[int]:
        return [1, 2, 1, 3, 3]

    first = await merge([complete_list("a", rows)], 2, None, of="x")
    second = await merge([complete_list("a", rows)], 2, first.end_cursor, of="x")
    assert (first.rows, second.rows, second.total, second.has_next) == ([1, 2], [3], 3, False)


async def test_a_list_read_as_a_whole_is_as_old_as_its_oldest_row() -> None:
    """Cached replies state their time; others were read just now."""
    times = [None, datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]

    async def rows() -> list[Customer]:
        return [
            Customer(
                ref=Ref("a", str(place)),
                keys=(),
                origin=Origin.CACHED if at else Origin.LIVE,
                fetched_at=at,
            )
            for place, at in enumerate(times)
        ]

    connection = await merge([complete_list("a", rows)], 5, None, of="x")
    assert connection.sources == [Source("a", Origin.CACHED, times[2], 3, None)]


async def test_a_cursor_of_another_list_is_refused() -> None:
    """A cursor is good for the list that it was made by and for no other."""
    page = await merge(listings([FakeList("a", 5)]), 2, None, of="these")
    a = FakeList("a", 5)
    with pytest.raises(BadInput):
        await merge(listings([a]), 2, page.end_cursor, of="those")
    assert a.requests == []


async def test_a_bug_is_not_taken_for_a_failing_provider() -> None:
    """Only the foreseen errors stand in the sources; anything else is raised."""

    async def page(_: PageRequest) -> Page[Row]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await merge([ListSource("a", page)], 2, None, of="x")
