"""Voucherify's two long lists, newest first: segments by creation time, customers by pages first.

Facts: docs.voucherify.io/api-reference (list segments, list customers, fetching data), API
v2018-08-01, read 2026-11-21.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec

from gateway.domain.entities import Segment
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import SegmentQuery
from gateway.errors import BadInput, Malformed
from gateway.providers.base.decoding import Document, decode, documents, iso, utc
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.lenient_decoding import length, places
from gateway.providers.base.numbered_pages import Position, numbered_page, position, window
from gateway.providers.voucherify.model import (
    Counted,
    CustomerList,
    CustomerModel,
    Listed,
    SegmentModel,
    segments_of,
)
from gateway.providers.voucherify.query import MILLISECOND, Params, filters

LARGEST_PAGE = 100
HIGHEST_PAGE = 99
PAGED_ROWS = LARGEST_PAGE * HIGHEST_PAGE
"""Rows of the list of customers that its pages reach."""

NEWEST_FIRST = ("order", "-created_at")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 253_402_300_799_998
"""The last millisecond of the calendar but one, since EPOCH."""
LAST = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

T = TypeVar("T")
M = TypeVar("M", SegmentModel, CustomerModel)


class Edge(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where a list goes on that can only be asked for what is older than a time.

    Two rows made in the same millisecond on both sides of the edge would be lost by asking for
    what is older: so that millisecond is asked for again, and its rows that were shown are known.
    """

    at_ms: Annotated[int, msgspec.Meta(ge=-62_135_596_800_000, le=LAST_MS)]
    shown: tuple[str, ...]
    """Ids of the rows made at `at_ms` that have been shown."""

    @property
    def before(self) -> datetime:
        """The time that all rows to come are older than."""
        return EPOCH + timedelta(milliseconds=self.at_ms) + MILLISECOND


def edge(position: str) -> Edge:
    """Read a position that is an edge."""
    try:
        return msgspec.json.decode(position, type=Edge)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput("The cursor was not made by this gateway.") from error


class Stretch(NamedTuple):
    """What is asked of a list behind an edge, or from its start."""

    provider: str
    operation: str
    behind: Edge | None
    wanted: int

    @property
    def limit(self) -> int:
        """Rows to ask for: those wanted, those that come again, and one that says more follow."""
        return min(self.wanted + len(self.shown) + 1, LARGEST_PAGE)

    @property
    def shown(self) -> tuple[str, ...]:
        """Ids of rows that may come again."""
        return () if self.behind is None else self.behind.shown

    def page(
        self,
        told: Sequence[M],
        show: Callable[[Sequence[M], Iterable[int]], list[T]],
        *,
        is_end: bool,
        total: int | None = None,
    ) -> Page[T]:
        """Cut what is new and wanted out of a reply; `is_end` when nothing follows the reply.

        `show` makes the rows of those of `told` at these places in it.
        """
        new = self.new(told)
        at = new[: self.wanted]
        kept = [told[i] for i in at]
        if not kept and not is_end:
            raise Malformed(self.provider, self.operation, detail="does not advance")
        # Of rows that came again the time may be what is odd: they can come once more.
        again = [row.id for row in told if row.created_at is None and row.id in self.shown]
        is_whole = len(kept) == len(new)
        end = length(told) if is_whole else places(told)[at[-1]] + 1
        return Page(
            rows=show(kept, at),
            position_after=self.edges(kept, again),
            is_last=is_end and is_whole,
            total=total,
            skipped=end - bisect_left(places(told), end),
        )

    def is_end(self, told: Sequence[M]) -> bool:
        """Tell whether nothing follows a reply that does not say so: it is short, and old."""
        return length(told) < self.limit and not self.new(told)

    def new(self, told: Sequence[M]) -> Sequence[int]:
        """Return which of the rows have not been shown."""
        known = self.shown
        return (
            [i for i, row in enumerate(told) if row.id not in known] if known else range(len(told))
        )

    def edges(self, rows: Sequence[M], again: Sequence[str] = ()) -> Callable[[int], str]:
        """Return how to tell the position behind each of these rows.

        A row without a time is as old as the one before it, or older: the list goes on behind
        that one, and the row is known when it comes again.
        """
        moments = [utc(row.created_at) for row in rows]

        def position_after(i: int) -> str:
            known = next((at for at in reversed(moments[: i + 1]) if at is not None), None)
            if known is not None:
                at_ms = min((known - EPOCH) // MILLISECOND, LAST_MS)
            else:
                at_ms = LAST_MS if self.behind is None else self.behind.at_ms
            first = EPOCH + timedelta(milliseconds=at_ms)
            last = LAST if at_ms == LAST_MS else first + MILLISECOND - MICROSECOND
            here: list[str] = [
                row.id
                for row, at in zip(rows[: i + 1], moments, strict=False)
                if at is None or first <= at <= last
            ]
            is_same = self.behind is not None and self.behind.at_ms == at_ms
            before: Sequence[str] = self.shown if is_same else again
            return msgspec.json.encode(Edge(at_ms, (*before, *here))).decode()

        return position_after


def segments_page(
    provider: str, query: SegmentQuery, page: PageRequest
) -> Exchange[Page[Segment]]:
    """Read one stretch of the segments. The list has no pages, only a bound on the age."""
    operation = "segments.list"
    behind = None if page.position is None else edge(page.position)
    asked = Stretch(provider, operation, behind, page.size)
    wanted = filters(query)

    def read(reply: Reply) -> Page[Segment]:
        body = decode(provider, operation, reply, Listed[SegmentModel])
        rows, total = body.data, body.total
        return asked.page(
            rows,
            lambda told, at: segments_of(provider, told, documents(reply, rows, at, "data")),
            # `total` counts what is older than the bound, not the whole list.
            is_end=asked.is_end(rows) if total is None else length(rows) >= total,
            total=total if behind is None and wanted.is_whole else None,
        )

    params = wanted.params(behind.before if behind else None)
    call = Call("GET", "/v1/segments", (("limit", str(asked.limit)), NEWEST_FIRST, *params))
    return Exchange(operation, call, read)


class Customers(NamedTuple, Generic[T]):
    """The list of customers, or of those that `params` choose; `show` makes rows of them."""

    provider: str
    operation: str
    show: Callable[[Sequence[CustomerModel], Iterable[Document]], list[T]]
    params: Params = ()

    def page(self, page: PageRequest) -> Exchange[Page[T]]:
        """Read one stretch: by numbered pages as far as they reach, behind that by age.

        Pages come first because combining a segment with a bound "may return unexpected results".
        """
        if page.position is not None and page.position.startswith("["):
            return self._aged(edge(page.position), page.size)
        return self._numbered(position(page.position), page.size)

    def _numbered(self, at: Position, wanted: int) -> Exchange[Page[T]]:
        largest = min(at.largest or LARGEST_PAGE, LARGEST_PAGE)
        reach = largest * HIGHEST_PAGE
        if at.offset >= reach:
            raise BadInput("The cursor was not made by this gateway.")
        asked = window(at.offset, wanted, largest, HIGHEST_PAGE - 1)

        def read(reply: Reply) -> Page[T]:
            body = self._told(reply)
            told = body.customers
            if length(told) > asked.size:
                raise Malformed(self.provider, self.operation, detail="more rows than asked for")
            page = numbered_page(range(len(told)), asked, at, wanted, body.total, decoded=told)
            if not length(told) and not page.is_last:
                raise Malformed(self.provider, self.operation, detail="does not advance")
            edges = Stretch(self.provider, self.operation, None, wanted).edges(told)
            no_page = str(Position(reach, at.largest))

            def beyond(position: str | None, row: int) -> str | None:
                """Go on by age where no page reaches what follows."""
                return edges(row) if position == no_page and not page.is_last else position

            chosen = page.rows
            rows = [told[i] for i in chosen]
            return Page(
                rows=self.show(rows, documents(reply, told, chosen, "customers")),
                position_after=lambda i: beyond(page.position_after(i), chosen[i]) or "",
                is_last=page.is_last,
                total=page.total,
                end=beyond(page.end, len(told) - 1),
                skipped=page.skipped,
            )

        paging = (("limit", str(asked.size)), ("page", str(asked.page + 1)), NEWEST_FIRST)
        return Exchange(self.operation, self._call(paging), read)

    def _aged(self, behind: Edge, wanted: int) -> Exchange[Page[T]]:
        asked = Stretch(self.provider, self.operation, behind, wanted)

        def read(reply: Reply) -> Page[T]:
            body = self._told(reply)
            rows = body.customers
            return asked.page(
                rows,
                lambda told, at: self.show(told, documents(reply, rows, at, "customers")),
                is_end=asked.is_end(rows) if body.has_more is None else not body.has_more,
            )

        # Alone it means "older than", newest first; with an order of created_at, "younger than".
        paging = (("limit", str(asked.limit)), ("starting_after", iso(behind.before)))
        return Exchange(self.operation, self._call(paging), read)

    def _call(self, paging: Params) -> Call:
        return Call("GET", "/v1/customers", (*paging, *self.params))

    def _told(self, reply: Reply) -> CustomerList:
        return decode(self.provider, self.operation, reply, CustomerList)


def count(provider: str, operation: str, path: str, params: Params) -> Exchange[int]:
    """Count the rows of a list."""

    def read(reply: Reply) -> int:
        total = decode(provider, operation, reply, Counted).total
        if total is None:
            raise Malformed(provider, operation, detail="no total")
        return total

    return Exchange(operation, Call("GET", path, (("limit", "1"), *params)), read)
