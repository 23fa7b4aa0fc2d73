"""Page through lists that continue at an opaque cursor, from any row on."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from gateway.domain.pages import Page
from gateway.errors import BadInput
from gateway.providers.base.lenient_decoding import length, places

T = TypeVar("T")

DIGITS = 6
"""The largest number of digits of `Position.skip`; no page has as many rows."""


class Position(NamedTuple):
    """Where a list continues: on the page of this cursor, after `skip` of its rows.

    A page may be used in part, so a position is more than a cursor. The provider must accept a
    cursor again, also with another page size.
    """

    cursor: str = ""
    """Empty: the first page."""
    skip: int = 0

    def __str__(self) -> str:
        """Return the text that `position` parses."""
        return f"{self.skip}/{self.cursor}"


def position(text: str | None) -> Position:
    """Parse a position; None is the start. Raises `BadInput`."""
    if text is None:
        return Position()
    skip, slash, cursor = text.partition("/")
    if not (slash and skip.isascii() and skip.isdecimal() and len(skip) <= DIGITS):
        raise BadInput("The cursor was not made by this gateway.")
    return Position(cursor, int(skip))


def cursor_page(
    rows: Sequence[T], start: Position, following: str | None, *, decoded: Sequence[Any]
) -> Page[T]:
    """Return the rows of a reply from `start` on.

    `following` is the reply's cursor for the page after it; None or empty: there is none. `rows`
    are the values of `decoded`, the rows of the reply as they were decoded.
    """
    indices, count = places(decoded), length(decoded)
    chosen = [i for i, index in enumerate(indices) if index >= start.skip]
    after = str(Position(following)) if following else None

    def position_after(row: int) -> str:
        skip = indices[chosen[row]] + 1
        return after if after and skip == count else str(start._replace(skip=skip))

    return Page(
        rows=rows[chosen[0] :] if chosen else rows[:0],
        position_after=position_after,
        is_last=after is None,
        end=after,
        skipped=max(0, count - start.skip) - len(chosen),
    )
