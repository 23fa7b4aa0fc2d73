"""Pages of lists: limits, page requests, and pages of a provider's list."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gateway.domain.entities import Origin
from gateway.domain.lazy_rows import ModelRows, column

T = TypeVar("T")

# The limits of lists. What is accepted, what the schema's descriptions say and what an operation
# costs are derived from these.

MAX_PAGE_SIZE = 250
"""The largest page of a connection."""

DEFAULT_PAGE_SIZE = 50
"""The page size of a connection if `first` is not given."""

DEFAULT_CHANGES_PAGE_SIZE = 100
"""The page size of the change log if `first` is not given."""

MAX_NODES = 250
"""The most ids in one `nodes` query."""

MAX_PAIRS = 10_000
"""The most rows of one membership test."""

MAX_SIZE_POINTS = 2000
"""The longest history of a segment's size."""

MAX_COMPARED_SEGMENTS = 6
"""The most segments in one comparison: six have up to 63 regions."""

MAX_CALLS_PER_PAGE = 100
"""The most calls to one provider for one page of a locally filtered or sorted list."""

COUNTED_SEGMENTS = 500
"""The most segments whose members are counted to sort a list; `limits.counted_segments`."""


class PageRequest(NamedTuple):
    """A requested page: at most `size` rows from `position` on (None: from the start)."""

    size: int
    position: str | None = None
    with_total: bool = False


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a provider's list, in the provider's order.

    It may be shorter than requested even if more rows follow; only `is_last` says that none do.
    `position_after(i)` is the position after row i, in the adapter's own notation. `total` is the
    size of the whole list as the provider reports it, None if it does not.
    """

    rows: Sequence[T]
    position_after: Callable[[int], str]
    is_last: bool
    total: int | None = None
    origin: Origin | None = Origin.LIVE
    """None if no provider was called."""
    fetched_at: datetime | None = None
    """When it was fetched from the provider; None: during this request."""
    end: str | None = None
    """The position after the page, unless it is the one after its last row."""
    skipped: int = 0
    """The number of rows left out because their ids cannot be read."""

    @property
    def refs(self) -> frozenset[Any]:
        """The identities of its rows; fewer than rows if there are duplicates."""
        rows: Sequence[Any] = self.rows
        try:
            # Almost all rows have one; a function call per row is expensive.
            return frozenset(column(rows, "ref", lambda rows: [row.ref for row in rows]))
        except AttributeError:
            return frozenset(map(ref_of, rows))

    @property
    def is_distinct(self) -> bool:
        """Whether there are no duplicate rows."""
        rows = self.rows
        if type(rows) is ModelRows:
            return rows.is_distinct
        try:  # almost all rows have a ref
            return len({row.ref for row in rows}) == len(rows)  # type: ignore[attr-defined]  # caught
        except AttributeError:
            return len(self.refs) == len(rows)

    @property
    def next_position(self) -> str | None:
        """The position after this page; None if unknown."""
        if self.end is not None:
            return self.end
        return self.position_after(len(self.rows) - 1) if self.rows else None


def ref_of(row: Any) -> Any:
    """Return what identifies a row in its list."""
    return getattr(row, "ref", row)


def complete_page(rows: Iterable[T]) -> Page[T]:
    """Return a complete list as one page; positions are counts of rows."""
    every = tuple(rows)
    return Page(rows=every, position_after=lambda i: str(i + 1), is_last=True, total=len(every))


class CompleteList(list[T]):
    """A list that was read to its end; `skipped` counts the rows with unreadable ids."""

    skipped = 0

    def with_rows(self, rows: Iterable[Any]) -> "CompleteList[Any]":
        """Return a list with these rows and the same number of skipped ones."""
        result = CompleteList[Any](rows)
        result.skipped = self.skipped
        return result
