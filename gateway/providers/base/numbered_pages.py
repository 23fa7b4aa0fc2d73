"""Page through lists that number their pages, from any row on."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from gateway.domain.pages import Page, PageRequest
from gateway.errors import BadInput
from gateway.providers.base.lenient_decoding import length, places

T = TypeVar("T")

DIGITS = 9
"""No list is longer than a number of so many digits can say."""

ROUND = 50
"""Providers that give smaller pages than they are asked for give round numbers of rows."""


class Position(NamedTuple):
    """Where a numbered list goes on: behind so many rows.

    `largest` is how many rows a page of this list turned out to have at most, where that is fewer
    than were asked for.
    """

    offset: int = 0
    largest: int | None = None

    def __str__(self) -> str:
        """Return it as `position` reads it."""
        return str(self.offset) if self.largest is None else f"{self.offset}/{self.largest}"


def position(text: str | None) -> Position:
    """Read a position; None is the start."""
    if text is None:
        return Position()
    offset, slash, largest = text.partition("/")
    return Position(number(offset), (number(largest) or None) if slash else None)


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


def numbered_page(  # noqa: PLR0913  # parts of one page, most by name
    rows: Sequence[T],
    asked: Window,
    at: Position,
    wanted: int,
    total: int | None,
    *,
    told: Sequence[Any] | None = None,
) -> Page[T]:
    """Cut what was wanted out of a numbered page.

    A page that is not full is the last, unless `total`, the provider's own, says that more
    follows: then its pages are smaller than was asked for, and the list goes on by what came.
    Without a total a page of a round number of rows may have been cut, and the next one decides.
    `told` are the rows as they were read, where some could not be.
    """
    stands_at, came = (
        (range(len(rows)), len(rows)) if told is None else (places(told), length(told))
    )
    start = asked.page * asked.size
    if total is None:
        follows = came >= asked.size or (came > 0 and came % ROUND == 0)
    else:
        follows = total > start + came
    is_cut = follows and 0 < came < asked.size
    if is_cut and (asked.page or asked.skip >= came):
        # It was numbered by another size than was asked for: ask again, for such pages.
        return Page(
            rows=(),
            position_after=str,
            is_last=False,
            total=total,
            end=str(Position(at.offset, came)),
        )
    largest = came if is_cut else at.largest
    end = min(asked.skip + wanted, max(came, asked.skip))
    kept = [i for i, place in enumerate(stands_at) if asked.skip <= place < end]
    is_last = end >= came and not follows
    return Page(
        rows=rows[kept[0] : kept[-1] + 1] if kept else rows[:0],
        position_after=lambda i: str(Position(start + stands_at[kept[i]] + 1, largest)),
        is_last=is_last,
        total=total,
        end=str(Position(start + end, largest)) if kept or not is_last else None,
        skipped=max(0, end - asked.skip) - len(kept),
    )


def cut(rows: Sequence[T], page: PageRequest, told: Sequence[Any] | None = None) -> Page[T]:
    """Cut what was wanted out of a list that one answer told as a whole; `told` as above."""
    stands_at, came = (
        (range(len(rows)), len(rows)) if told is None else (places(told), length(told))
    )
    offset = number(page.position)
    end = min(offset + page.size, max(came, offset))
    kept = [i for i, place in enumerate(stands_at) if offset <= place < end]
    is_last = end >= came
    return Page(
        rows=rows[kept[0] : kept[-1] + 1] if kept else rows[:0],
        position_after=lambda i: str(stands_at[kept[i]] + 1),
        is_last=is_last,
        total=came,
        end=str(end) if kept or not is_last else None,
        skipped=end - offset - len(kept),
    )
