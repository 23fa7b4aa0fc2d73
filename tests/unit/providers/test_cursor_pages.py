"""Lists with opaque cursors: each row once, whatever the pages."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.pages import Page
from gateway.errors import BadInput
from gateway.providers.base.cursor_pages import Position, cursor_page, position
from gateway.providers.base.lenient_decoding import Rows


def page(rows: Sequence[int], start: Position, size: int, largest: int) -> Page[int]:
    """Return the page of a provider that sends at most `largest` rows, and whose 13 is odd."""
    first = int(start.cursor or 0)
    sent = rows[first : first + min(start.skip + size, largest)]
    following = str(first + len(sent)) if first + len(sent) < len(rows) else None
    places = [place for place, row in enumerate(sent) if row != 13]
    readable = [sent[place] for place in places]
    decoded = Rows(readable, places, len(sent), [])
    return cursor_page(readable, start, following, decoded=decoded)


@given(
    count=st.integers(0, 40),
    largest=st.integers(1, 20),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    used=st.lists(st.integers(1, 9), min_size=1),
)
def test_each_row_is_shown_once(
    count: int, largest: int, sizes: list[int], used: list[int]
) -> None:
    """Pages of any sizes, used in part or as a whole, show every row in order."""
    rows = list(range(count))
    shown: list[int] = []
    skipped, where = 0, None
    for turn in range(2 * count + 2):
        listed = page(rows, position(where), sizes[turn % len(sizes)], largest)
        part = used[turn % len(used)]
        if part < len(listed.rows):
            shown += listed.rows[:part]
            where = listed.position_after(part - 1)
            continue
        shown += listed.rows
        skipped += listed.skipped
        if listed.is_last:
            break
        where = listed.next_position
    assert shown == [row for row in rows if row != 13]
    assert skipped <= 1


@pytest.mark.parametrize("text", ["", "3", "/c", "-1/c", "1.5/c", "²/c", "1234567/c", "c/1"])
def test_what_is_no_position_is_refused(text: str) -> None:
    """A position is a number of rows, a slash and a cursor."""
    with pytest.raises(BadInput):
        position(text)


def test_positions_are_texts() -> None:
    """A cursor may contain anything, also slashes."""
    for each in (Position(), Position("a/b=", 7), Position("", 3)):
        assert position(str(each)) == each
