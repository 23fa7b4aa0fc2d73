"""Page through lists that number their pages, from any row on."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from gateway.domain.pages import Page, PageRequest
from gateway.errors import BadInput
from gateway.providers.base.lenient_decoding import Rows

T = TypeVar("T")

DIGITS = 9
"""The largest number of digits of a position; no list is that long."""

ROUND = 50
"""Providers that return smaller pages than requested return a multiple of this many rows."""


class Position(NamedTuple):
    """Where a numbered list continues: after `offset` rows.

    `largest` is the provider's largest page, if it turned out to be smaller than requested.
    """

    offset: int = 0
    largest: int | None = None

    def __str__(self) -> str:
        """Return the text that `position` parses."""
        return str(self.offset) if self.largest is None else f"{self.offset}/{self.largest}"


START = Position()


def position(text: str | None) -> Position:
    """Parse a position; None is the start. Raises `BadInput`."""
    if text is None:
        return START
    offset, slash, largest = text.partition("/")
    return Position(number(offset), (number(largest) or None) if slash else None)


def number(position: str | None) -> int:
    """Parse a position that is a number of rows; None is the start. Raises `BadInput`."""
    if position is None:
        return 0
    if not (position.isascii() and position.isdecimal() and len(position) <= DIGITS):
        raise BadInput("The cursor was not made by this gateway.")
    return int(position)


class Window(NamedTuple):
    """A numbered page that contains the requested rows, after `skip` others."""

    page: int
    size: int
    skip: int


@lru_cache(1024)  # many lists of an operation are read from the same row on
def window(offset: int, wanted: int, largest: int, highest: int | None = None) -> Window:
    """Return the page, counted from 0, that contains most of the `wanted` rows from `offset` on.

    A numbered page consists of the rows n x size to (n + 1) x size. The smallest size is chosen
    for which all `wanted` rows are on one page; if no size up to `largest` fits, the one with most
    of them. No page above `highest` is chosen, unless `offset` is on none of the others.
    """
    wanted = min(wanted, largest)
    best = Window(offset // largest, largest, offset % largest)
    for size in range(wanted, largest + 1):
        page, skip = divmod(offset, size)
        if highest is not None and page > highest:
            continue
        if skip + wanted <= size:
            return Window(page, size, skip)
        if size - skip > best.size - best.skip:
            best = Window(page, size, skip)
    return best


def numbered_page(  # noqa: PLR0913  # parts of one page, most by name
    rows: Sequence[T],
    requested: Window,
    start: Position,
    wanted: int,
    total: int | None,
    *,
    decoded: Sequence[Any] | None = None,
    pages: int | None = None,
) -> Page[T]:
    """Return the wanted rows of a numbered page.

    A page that is not full is the last one, unless the provider's `total` says that more follow.
    In that case its pages are smaller than requested, and the list continues after the rows that
    were received. Without a total, a short page with a multiple of `ROUND` rows may have been cut,
    so the next page is requested, too. `pages` is the provider's number of pages of the
    requested size, if it reports that: it alone says whether more follow. `decoded` are the rows
    of the reply as they were decoded, if some could not be.
    """
    places, count = _received(rows, decoded)
    at, size, skip = requested
    first = at * size
    if pages is not None:
        follows = at + 1 < pages
    elif total is None:
        follows = count >= size or (count > 0 and count % ROUND == 0)
    else:
        follows = total > first + count
    is_cut = follows and 0 < count < size
    if is_cut and (at or skip >= count):
        # The provider numbers its pages by a smaller size: request the rows again by that size.
        return Page(
            rows=(),
            position_after=str,
            is_last=False,
            total=total,
            end=str(Position(start.offset, count)),
        )
    largest = count if is_cut else start.largest
    end = min(skip + wanted, count) if count > skip else skip
    is_last = end >= count and not follows
    if places is None:
        from_row, to_row = min(skip, count), min(end, count)
        ends_with_row = is_last or from_row < to_row
    else:
        from_row, to_row = bisect_left(places, skip), bisect_left(places, end)
        ends_with_row = places[to_row - 1] + 1 == end if from_row < to_row else is_last

    def position_after(i: int) -> str:
        row = from_row + i
        return str(Position(first + (row if places is None else places[row]) + 1, largest))

    return Page(
        rows=rows[from_row:to_row],
        position_after=position_after,
        is_last=is_last,
        total=total,
        end=None if ends_with_row else str(Position(first + end, largest)),
        skipped=end - skip - (to_row - from_row),
    )


def page_of_whole_list(
    rows: Sequence[T], page: PageRequest, decoded: Sequence[Any] | None = None
) -> Page[T]:
    """Return a page of a list that the reply contains as a whole; `decoded` as above."""
    places, count = _received(rows, decoded)
    indices = range(count) if places is None else places
    offset = number(page.position)
    end = min(offset + page.size, max(count, offset))
    chosen = [i for i, index in enumerate(indices) if offset <= index < end]
    is_last = end >= count
    return Page(
        rows=rows[chosen[0] : chosen[-1] + 1] if chosen else rows[:0],
        position_after=lambda i: str(indices[chosen[i]] + 1),
        is_last=is_last,
        total=count,
        end=str(end) if chosen or not is_last else None,
        skipped=end - offset - len(chosen),
    )


def _received(
    rows: Sequence[Any], decoded: Sequence[Any] | None
) -> tuple[Sequence[int] | None, int]:
    """Return the index of each row in the reply, and the number of rows in the reply.

    None: all rows of the reply could be decoded, as mostly.
    """
    if isinstance(decoded, Rows):
        return decoded.places, decoded.length
    return None, len(rows if decoded is None else decoded)
