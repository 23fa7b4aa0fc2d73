"""Pages of lists: their bounds, what is requested, and a stretch of a provider's list."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gateway.domain.entities import Origin

T = TypeVar("T")

# The bounds of lists. What is accepted, what the schema's descriptions say and what an operation
# costs are derived from these.

LARGEST_FIRST = 250
"""The most rows of one page of a connection."""

DEFAULT_FIRST = 50
"""The rows of a page whose `first` is not given."""

MOST_NODES = 250
"""The most ids that `nodes` takes."""

MOST_PAIRS = 10_000
"""The most rows of one membership test."""

MOST_CALLS = 100
"""The most calls to one provider for one page of a list that is filtered or sorted locally."""


class PageRequest(NamedTuple):
    """What is asked of a list: at most `size` rows from `position` on (None: from the start)."""

    size: int
    position: str | None = None
    with_total: bool = False


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True, dict=True):
    """A stretch of a provider's list, in the provider's order.

    It may be shorter than asked though more follows; `is_last` alone says that nothing does.
    `position_after(i)` is where the list goes on behind row i, in the adapter's own notation.
    `total` counts the whole list as the provider tells it, None when it does not.
    """

    rows: Sequence[T]
    position_after: Callable[[int], str]
    is_last: bool
    total: int | None = None
    origin: Origin | None = Origin.LIVE
    """None when nobody was asked."""
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    end: str | None = None
    """Where the list goes on behind the page, unless that is behind its last row."""
    skipped: int = 0
    """Rows of the stretch that are left out, since their ids cannot be read."""

    @cached_property
    def refs(self) -> frozenset[Any]:
        """What tells its rows apart; fewer than rows where one stands there twice."""
        return frozenset(_refs(self.rows))

    @cached_property
    def is_distinct(self) -> bool:
        """Whether none of its rows stands there twice."""
        return len(_refs(self.rows)) == len(self.rows)

    @property
    def goes_on_at(self) -> str | None:
        """Where the list goes on behind this page; None where nothing tells."""
        if self.end is not None:
            return self.end
        return self.position_after(len(self.rows) - 1) if self.rows else None


def ref_of(row: Any) -> Any:
    """Return what tells a row from the others of its list."""
    return getattr(row, "ref", row)


def _refs(rows: Iterable[Any]) -> set[Any]:
    try:
        return {row.ref for row in rows}  # all but a few have one; a call for each is dear
    except AttributeError:
        return set(map(ref_of, rows))


def whole(rows: Iterable[T]) -> Page[T]:
    """Return a list that is known to its end as one page; positions are counts of rows."""
    kept = tuple(rows)
    return Page(rows=kept, position_after=lambda i: str(i + 1), is_last=True, total=len(kept))


class Walked(list[T]):
    """A list that was read to its end; `skipped` counts rows whose ids cannot be read."""

    skipped = 0

    def but(self, rows: Iterable[Any]) -> "Walked[Any]":
        """Return what was made of these rows, of which as many are left out."""
        made = Walked[Any](rows)
        made.skipped = self.skipped
        return made
