"""Numbered pages, whatever the list is long and wherever it is entered."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.pages import Page, PageRequest
from gateway.errors import BadInput
from gateway.providers.base.numbered_pages import (
    DIGITS,
    ROUND,
    Position,
    Window,
    number,
    numbered_page,
    page_of_whole_list,
    window,
)

lengths = st.integers(0, 400)
offsets = st.integers(0, 450)
sizes = st.integers(1, 60)


def served(length: int, requested: Window) -> range:
    """Return what a provider with a list of the numbers from 0 shows on a page."""
    return range(length)[requested.page * requested.size : (requested.page + 1) * requested.size]


def shown(
    length: int, offset: int, wanted: int, largest: int, *, is_counted: bool
) -> tuple[list[int], Page[int], int]:
    """Read up to `wanted` rows as a caller does; return them, the last page and the calls."""
    rows: list[int] = []
    calls = 0
    while True:
        at, missing = offset + len(rows), wanted - len(rows)
        requested = window(at, missing, largest)
        total = length if is_counted else None
        page = numbered_page(served(length, requested), requested, Position(at), missing, total)
        calls += 1
        rows += page.rows
        if page.is_last or len(rows) == wanted:
            return rows, page, calls


@given(length=lengths, offset=offsets, wanted=sizes, largest=sizes, is_counted=st.booleans())
def test_no_row_is_lost_or_comes_twice(
    length: int, offset: int, wanted: int, largest: int, *, is_counted: bool
) -> None:
    """Any part of the list is read exactly, in at most one call more than its rows need."""
    rows, page, calls = shown(length, offset, wanted, largest, is_counted=is_counted)
    assert rows == list(range(length)[offset : offset + wanted])
    assert calls <= ceil(wanted / largest) + 1
    assert page.total == (length if is_counted else None)


@given(length=lengths, offset=offsets, wanted=sizes, largest=sizes)
def test_a_counted_list_ends_where_it_ends(
    length: int, offset: int, wanted: int, largest: int
) -> None:
    """With a total a page is the last if and only if nothing follows it."""
    _, page, _ = shown(length, offset, wanted, largest, is_counted=True)
    assert page.is_last == (offset + wanted >= length)


@given(length=lengths, offset=offsets, wanted=sizes, largest=sizes)
def test_an_uncounted_list_never_ends_early(
    length: int, offset: int, wanted: int, largest: int
) -> None:
    """Without a total a page that is called the last has nothing after it."""
    _, page, _ = shown(length, offset, wanted, largest, is_counted=False)
    assert not page.is_last or offset + wanted >= length


@given(length=lengths, offset=offsets, wanted=sizes, largest=sizes)
def test_one_row_more_tells_whether_any_follows(
    length: int, offset: int, wanted: int, largest: int
) -> None:
    """A page requested with one more row is the last if and only if nothing follows it."""
    requested = window(offset, wanted + 1, largest)
    rows = served(length, requested)
    page = numbered_page(rows, requested, Position(offset), wanted, None)
    may_be_cut = 0 < len(rows) < requested.size and len(rows) % ROUND == 0
    if requested.size - requested.skip > wanted and not may_be_cut:
        assert page.rows == range(length)[offset : offset + wanted]
        assert page.is_last == (offset + wanted >= length)


@given(length=lengths, wanted=sizes, largest=sizes)
def test_each_row_tells_where_the_list_goes_on(length: int, wanted: int, largest: int) -> None:
    """A list continued after any row of a page starts with the next row."""
    rows, page, _ = shown(length, 0, wanted, largest, is_counted=True)
    first = len(rows) - len(page.rows)
    for index, row in enumerate(page.rows):
        assert number(page.position_after(index)) == first + index + 1 == row + 1


@given(offset=offsets, wanted=sizes, largest=sizes, highest=st.integers(0, 20))
def test_no_page_is_asked_for_that_does_not_exist(
    offset: int, wanted: int, largest: int, highest: int
) -> None:
    """A list whose pages end is read by pages up to the last that there is, and no further."""
    reach = (highest + 1) * largest
    offset %= reach
    requested = window(offset, wanted, largest, highest)
    assert requested.page <= highest
    assert 1 <= requested.size <= largest
    assert requested.page * requested.size + requested.skip == offset
    assert requested.skip < requested.size


@given(length=lengths, offset=offsets, size=sizes)
def test_a_whole_list_is_cut(length: int, offset: int, size: int) -> None:
    """A list that is at hand is paged by counts of rows, and counted."""
    page = page_of_whole_list(range(length), PageRequest(size, str(offset)))
    assert page.rows == range(length)[offset : offset + size]
    assert page.is_last == (offset + size >= length)
    assert page.total == length
    assert not page.rows or page.position_after(0) == str(offset + 1)


def test_the_start_of_a_list_has_no_position() -> None:
    """None is row 0; a count of rows is itself."""
    assert number(None) == 0
    assert number("0") == 0
    assert number("9" * DIGITS) == 999_999_999


@pytest.mark.parametrize(
    "position", ["", "-1", "1.0", "1e3", " 1", "٣", "²", "x", "[1]", "9" * 10]
)
def test_a_position_of_another_kind_is_refused(position: str) -> None:
    """What is no count of rows was not made by us."""
    with pytest.raises(BadInput):
        number(position)


@given(length=lengths, size=sizes, page=st.integers(0, 30))
def test_a_number_of_pages_says_where_the_list_ends(length: int, size: int, page: int) -> None:
    """A full last page is known to be the last, and no total is claimed."""
    requested = Window(page, size, 0)
    rows = served(length, requested)
    pages = ceil(length / size)
    shown = numbered_page(rows, requested, Position(page * size), size, None, pages=pages)
    assert shown.is_last == (page + 1 >= pages)
    assert (list(shown.rows), shown.total) == (list(rows), None)
