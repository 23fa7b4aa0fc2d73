"""Page through lists that number their pages, from any row on."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from gateway.domain.pages import Page, PageRequest
from gateway.errors import BadInput

T = TypeVar("T")

DIGITS = 9
"""No list is longer than a number of so many digits can say."""


def number(position: str | None) -> int:
    """Read a position that is a count of rows; None is the start."""
    if position is None:
        return 0
    if not (position.isascii() and position.isdecimal() and len(position) <= DIGITS):
        raise BadInput("The cursor was not made by this gateway.")
    return int(position)


class Window(NamedTuple):
    """A numbered page that covers the rows wanted: `skip` rows of it come before them."""

    page: int
    size: int
    skip: int


def window(offset: int, wanted: int, largest: int, highest: int | None = None) -> Window:
    """Return the page, counted from 0, that shows most of the rows from `offset` on.

    Providers that number their pages can only be asked for rows n x size to (n + 1) x size. A size
    is chosen so that all `wanted` rows stand on one page, the smallest such; where no size up to
    `largest` does that, the one that shows most of them. No page above `highest` is chosen, if
    `offset` stands on one up to it.
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


def numbered_page(
    rows: Sequence[T], asked: Window, offset: int, wanted: int, total: int | None
) -> Page[T]:
    """Cut what was wanted out of a numbered page.

    A page that is not full is the last; behind a full one more may follow. `total` is the
    provider's own, None when it told none.
    """
    kept = rows[asked.skip : asked.skip + wanted]
    shown_to = asked.page * asked.size + len(rows)
    end = offset + len(kept)
    is_full = len(rows) >= asked.size
    return Page(
        rows=kept,
        position_after=lambda i: str(offset + i + 1),
        is_last=end >= total if total is not None else not is_full and end >= shown_to,
        total=total,
    )


def cut(rows: Sequence[T], page: PageRequest) -> Page[T]:
    """Cut what was wanted out of a list that one answer told as a whole."""
    offset = number(page.position)
    end = offset + page.size
    return Page(
        rows=rows[offset:end],
        position_after=lambda i: str(offset + i + 1),
        is_last=end >= len(rows),
        total=len(rows),
    )
