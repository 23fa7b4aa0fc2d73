"""Voucherify's two long lists, newest first: segments by creation time, customers by pages first.

Facts: docs.voucherify.io/api-reference (list segments, list customers, fetching data), API
v2018-08-01, read 2026-11-21.
"""

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
from gateway.providers.base.numbered_pages import number, numbered_page, window
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

        `show` makes the rows of what was told at these places of the reply.
        """
        known = self.shown
        new: Sequence[int] = range(len(told))
        if known:
            new = [place for place in new if told[place].id not in known]
        places = new[: self.wanted]
        kept = [told[place] for place in places]
        # A short page of what was shown before is the end, whatever the count beside it says.
        is_end = is_end or not (new or len(told) >= self.limit)
        if not kept and not is_end:
            raise Malformed(self.provider, self.operation, detail="does not advance")
        return Page(
            rows=show(kept, places),
            position_after=self.edges(kept),
            is_last=is_end and len(kept) == len(new),
            total=total,
        )

    def edges(self, rows: Sequence[M]) -> Callable[[int], str]:
        """Return how to tell the position behind each of these rows."""
        moments = []
        for row in rows:
            if row.created_at is None:
                raise Malformed(self.provider, self.operation, detail=f"{row.id}: no created_at")
            moments.append(utc(row.created_at))

        def position_after(i: int) -> str:
            at_ms = min((moments[i] - EPOCH) // MILLISECOND, LAST_MS)
            first = EPOCH + timedelta(milliseconds=at_ms)
            last = LAST if at_ms == LAST_MS else first + MILLISECOND - MICROSECOND
            here = tuple(rows[j].id for j in range(i + 1) if first <= moments[j] <= last)
            if self.behind is not None and self.behind.at_ms == at_ms:
                here = self.shown + here
            return msgspec.json.encode(Edge(at_ms, here)).decode()

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
        return asked.page(
            body.data,
            lambda told, at: segments_of(provider, told, documents(reply, at, "data")),
            # `total` counts what is older than the bound, not the whole list.
            is_end=len(body.data) >= body.total,
            total=body.total if behind is None and wanted.is_whole else None,
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
        return self._numbered(number(page.position), page.size)

    def _numbered(self, offset: int, wanted: int) -> Exchange[Page[T]]:
        if offset >= PAGED_ROWS:
            raise BadInput("The cursor was not made by this gateway.")
        asked = window(offset, wanted, LARGEST_PAGE, HIGHEST_PAGE - 1)

        def read(reply: Reply) -> Page[T]:
            body = self._told(reply)
            told = body.customers
            if len(told) > asked.size:
                raise Malformed(self.provider, self.operation, detail="more rows than asked for")
            page = numbered_page(told, asked, offset, wanted, body.total)
            if not page.rows and not page.is_last:
                raise Malformed(self.provider, self.operation, detail="does not advance")
            position_after = page.position_after
            if offset + len(page.rows) == PAGED_ROWS and not page.is_last:
                stretch = Stretch(self.provider, self.operation, None, wanted)
                edges = stretch.edges(told)
                last = len(page.rows) - 1

                def position_after(i: int) -> str:
                    return edges(asked.skip + i) if i == last else page.position_after(i)

            places = range(asked.skip, asked.skip + len(page.rows))
            return Page(
                rows=self.show(page.rows, documents(reply, places, "customers")),
                position_after=position_after,
                is_last=page.is_last,
                total=page.total,
            )

        paging = (("limit", str(asked.size)), ("page", str(asked.page + 1)), NEWEST_FIRST)
        return Exchange(self.operation, self._call(paging), read)

    def _aged(self, behind: Edge, wanted: int) -> Exchange[Page[T]]:
        asked = Stretch(self.provider, self.operation, behind, wanted)

        def read(reply: Reply) -> Page[T]:
            body = self._told(reply)
            is_short = len(body.customers) < asked.limit
            return asked.page(
                body.customers,
                lambda told, at: self.show(told, documents(reply, at, "customers")),
                is_end=is_short if body.has_more is None else not body.has_more,
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
        return decode(provider, operation, reply, Counted).total

    return Exchange(operation, Call("GET", path, (("limit", "1"), *params)), read)
