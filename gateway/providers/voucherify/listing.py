"""Voucherify's long lists, newest first: segments by creation time, customers by pages at first.

Facts: docs.voucherify.io/api-reference (list segments, list customers, fetching data), API
v2018-08-01, read 2026-11-21.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from gateway.domain.entities import Segment
from gateway.domain.lazy_rows import ModelRows
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import SegmentQuery
from gateway.errors import BadInput, Malformed
from gateway.providers.base.decoding import Document, decode, documents, iso, utc
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.lenient_decoding import Rows, length, places
from gateway.providers.base.numbered_pages import (
    START,
    Position,
    numbered_page,
    position,
    window,
)
from gateway.providers.voucherify.model import (
    SEGMENT_COLUMNS,
    Counted,
    CustomerList,
    CustomerModel,
    SegmentList,
    SegmentModel,
    segments_of,
)
from gateway.providers.voucherify.query import MILLISECOND, Params, filters
from gateway.providers.voucherify.time_position import (
    EPOCH,
    LAST_MS,
    MOST,
    MomentPosition,
    TimePosition,
    moment_position,
    time_position,
)

MAX_ROWS_PER_CALL = 100
MAX_PAGE_NUMBER = 99
PAGED_ROWS = MAX_ROWS_PER_CALL * MAX_PAGE_NUMBER
"""The number of customers that can be read by pages."""

NEWEST_FIRST = ("order", "-created_at")
SEGMENTS = SegmentList[SegmentModel]
LAST = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

T = TypeVar("T")
M = TypeVar("M", SegmentModel, CustomerModel)


class PageByTime(NamedTuple):
    """A page of a list after a `TimePosition`, or from the start."""

    provider: str
    operation: str
    after: TimePosition | None
    wanted: int

    @property
    def limit(self) -> int:
        """The wanted rows, those that are read again, and one that shows whether more follow."""
        again = 0 if self.after is None or self.after.has_many else len(self.shown)
        return min(self.wanted + again + 1, MAX_ROWS_PER_CALL)

    @property
    def shown(self) -> tuple[str, ...]:
        """The ids of rows that may be read again."""
        return () if self.after is None else self.after.shown

    def page(
        self,
        decoded: Sequence[M],
        show: Callable[[Sequence[M], Sequence[int]], Sequence[T]],
        *,
        is_end: bool,
        total: int | None = None,
    ) -> Page[T]:
        """Return the new rows of a reply, up to `wanted`; `is_end` if nothing follows the reply.

        `show` converts those of the decoded rows that have these indices.
        """
        new = self.new(decoded)
        chosen = new[: self.wanted]
        models = [decoded[i] for i in chosen] if self.shown else decoded[: self.wanted]
        if not models and not is_end:
            raise Malformed(self.provider, self.operation, detail="does not advance")
        is_whole = len(models) == len(new)
        end = length(decoded) if is_whole else places(decoded)[chosen[-1]] + 1
        return Page(
            rows=show(models, chosen),
            position_after=self.positions(models, decoded),
            is_last=is_end and is_whole,
            total=total,
            skipped=end - bisect_left(places(decoded), end),
        )

    def is_end(self, decoded: Sequence[M]) -> bool:
        """Return whether the list ends with a reply that does not say so: nothing in it is new."""
        return length(decoded) < self.limit and not self.new(decoded)

    def new(self, decoded: Sequence[M]) -> Sequence[int]:
        """Return the indices of the rows that have not been shown."""
        shown = self.shown
        if not shown:
            return range(len(decoded))
        return [i for i, row in enumerate(decoded) if row.id not in shown]

    def positions(self, rows: Sequence[M], decoded: Sequence[M] = ()) -> Callable[[int], str]:
        """Return the function that returns the position after a row, out of the decoded ones.

        A row without a time is as old as the row before it, or older. So the list continues after
        that one, and the position contains the id of the row without a time.
        """
        moments: list[datetime | None] = []

        def position_after(i: int) -> str:
            if not moments:  # most pages are shown without cursors
                moments.extend(utc(row.created_at) for row in rows)
            known = next((at for at in reversed(moments[: i + 1]) if at is not None), None)
            if known is not None:
                at_ms = min((known - EPOCH) // MILLISECOND, LAST_MS)
            else:
                at_ms = LAST_MS if self.after is None else self.after.at_ms
            first = EPOCH + timedelta(milliseconds=at_ms)
            last = LAST if at_ms == LAST_MS else first + MILLISECOND - MICROSECOND
            here: list[str] = [
                row.id
                for row, at in zip(rows[: i + 1], moments, strict=False)
                if at is None or first <= at <= last
            ]
            is_same = self.after is not None and self.after.at_ms == at_ms
            # Rows that were read again and have no time may be read once more.
            before: Sequence[str] = (
                self.shown
                if is_same
                else [row.id for row in decoded if row.created_at is None and row.id in self.shown]
            )
            return str(TimePosition(at_ms, (*before, *here)))

        return position_after


def segments_page(
    provider: str, query: SegmentQuery, page: PageRequest
) -> Exchange[Page[Segment]]:
    """Read one page of the segments. The list has no pages, only a bound on the creation time.

    Many segments of one millisecond that were shown are excluded by their ids.
    """
    operation = "segments.list"
    after = None if page.position is None else time_position(page.position)
    requested = PageByTime(provider, operation, after, page.size)
    chosen = filters(query)

    def read(reply: Reply) -> "Page[Segment]":  # quoted: else evaluated for each call
        body = decode(provider, operation, reply, SEGMENTS)
        rows, total = body.data, body.total
        return requested.page(
            rows,
            partial(_shown, provider, reply, rows),
            # `total` counts what is older than the bound, not the whole list.
            is_end=requested.is_end(rows) if total is None else length(rows) >= total,
            total=total if after is None and chosen.is_whole else None,
        )

    excluded = after.shown if after and after.has_many else ()
    if len(excluded) > MOST:
        raise Malformed(provider, operation, detail="too many rows of one moment")
    params = chosen.params(after.before if after else None, excluded)
    call = Call("GET", "/v1/segments", (("limit", str(requested.limit)), NEWEST_FIRST, *params))
    return Exchange(operation, call, read, bounds_depth=True)


def _shown(
    provider: str,
    reply: Reply,
    decoded: Sequence[SegmentModel],
    models: Sequence[SegmentModel],
    indices: Sequence[int],
) -> Sequence[Segment]:
    convert = partial(_converted, provider, reply, decoded)
    if isinstance(decoded, Rows):  # what is odd should be noticed now
        return convert(models, indices)
    return ModelRows(provider, SEGMENT_COLUMNS, convert, models, indices)


def _converted(
    provider: str,
    reply: Reply,
    decoded: Sequence[SegmentModel],
    models: Sequence[SegmentModel],
    indices: Sequence[int],
) -> list[Segment]:
    return segments_of(provider, models, documents(reply, decoded, indices, "data"))


class Customers(NamedTuple, Generic[T]):
    """The list of customers, filtered by `params`; `show` converts its rows."""

    provider: str
    operation: str
    show: Callable[[Sequence[CustomerModel], Iterable[Document]], list[T]]
    params: Params = ()

    def page(self, page: PageRequest) -> Exchange[Page[T]]:
        """Read one page: by its number as far as possible, after that by creation time.

        Page numbers are preferred because a segment combined with a time "may return unexpected
        results".
        """
        if page.position is None:
            return self._numbered(START, page.size)
        if page.position.startswith("["):
            after = time_position(page.position)
            if after.has_many:
                return self._of_moment(MomentPosition(after), page.size)
            return self._by_time(after, page.size)
        moment = moment_position(page.position)
        if moment is not None:
            return self._of_moment(moment, page.size)
        return self._numbered(position(page.position), page.size)

    def _numbered(self, start: Position, wanted: int) -> Exchange[Page[T]]:
        largest = min(start.largest or MAX_ROWS_PER_CALL, MAX_ROWS_PER_CALL)
        reach = largest * MAX_PAGE_NUMBER
        if start.offset >= reach:
            raise BadInput("The cursor was not made by this gateway.")
        requested = window(start.offset, wanted, largest, MAX_PAGE_NUMBER - 1)

        def read(reply: Reply) -> Page[T]:
            body = self._decode(reply)
            models = body.customers
            if length(models) > requested.size:
                raise Malformed(self.provider, self.operation, detail="more rows than requested")
            total = body.total
            if body.has_more is False and total is not None and length(models) < requested.size:
                # Whether the total of a filtered list is its own is not documented.
                total = min(total, requested.page * requested.size + length(models))
            indices = range(len(models))
            page = numbered_page(indices, requested, start, wanted, total, decoded=models)
            if not length(models) and not page.is_last:
                raise Malformed(self.provider, self.operation, detail="does not advance")
            by_time = PageByTime(self.provider, self.operation, None, wanted).positions(models)
            end_of_pages = str(Position(reach, start.largest))

            def continued(position: str | None, row: int) -> str | None:
                """Continue by creation time after the last page that has a number."""
                if position != end_of_pages or page.is_last:
                    return position
                after = time_position(by_time(row))
                if models and after.includes(models[0].created_at):
                    # More rows of this millisecond may have been shown, on the pages before.
                    after = TimePosition(after.at_ms, (models[row].id,))
                    return str(MomentPosition(after, is_sought=True))
                return str(after)

            chosen = page.rows
            rows = [models[i] for i in chosen]
            return Page(
                rows=self.show(rows, documents(reply, models, chosen, "customers")),
                position_after=lambda i: continued(page.position_after(i), chosen[i]) or "",
                is_last=page.is_last,
                total=page.total,
                end=continued(page.end, len(models) - 1),
                skipped=page.skipped,
            )

        number, size = str(requested.page + 1), str(requested.size)
        paging = (("limit", size), ("page", number), NEWEST_FIRST)
        return Exchange(self.operation, self._call(paging), read, bounds_depth=True)

    def _by_time(self, after: TimePosition, wanted: int) -> Exchange[Page[T]]:
        requested = PageByTime(self.provider, self.operation, after, wanted)

        def read(reply: Reply) -> Page[T]:
            body = self._decode(reply)
            rows = body.customers
            return requested.page(
                rows,
                lambda new, at: self.show(new, documents(reply, rows, at, "customers")),
                is_end=requested.is_end(rows) if body.has_more is None else not body.has_more,
            )

        # Alone it means "older than", newest first; with an order by created_at, "younger than".
        paging = (("limit", str(requested.limit)), ("starting_after", iso(after.before)))
        return Exchange(self.operation, self._call(paging), read, bounds_depth=True)

    def _of_moment(self, moment: MomentPosition, wanted: int) -> Exchange[Page[T]]:
        """Read the rows of one millisecond, by page numbers; after them the older ones follow."""
        time, start, is_sought = moment
        largest = min(start.largest or MAX_ROWS_PER_CALL, MAX_ROWS_PER_CALL)
        reach = largest * MAX_PAGE_NUMBER
        if start.offset >= reach:
            raise Malformed(self.provider, self.operation, detail="too many rows of one moment")
        requested = window(start.offset, largest, largest, MAX_PAGE_NUMBER - 1)

        def read(reply: Reply) -> Page[T]:
            body = self._decode(reply)
            models, total = body.customers, body.total
            if not length(models) or (total is not None and total > reach):
                total = None  # of the list without the bounds
            every = range(len(models))
            page = numbered_page(every, requested, start, largest, total, decoded=models)
            rows = [models[i] for i in page.rows]
            skipped, is_missing = 0, False
            if is_sought:
                skipped = next(
                    (k for k, row in enumerate(rows) if row.id in time.shown), len(rows)
                )
                is_missing = skipped == len(rows)
            is_alone = page.is_last and not start.offset
            # Many rows that were shown as of this time, but have none, would come again.
            is_moved = is_alone and time.has_many and not any(row.id in time.shown for row in rows)
            if (is_missing and page.is_last) or is_moved:
                raise Malformed(self.provider, self.operation, detail="does not advance")
            new = [
                k
                for k, row in enumerate(rows)
                if k >= skipped and row.id not in time.shown and time.includes(row.created_at)
            ]
            chosen = new[:wanted]
            at = [page.rows[k] for k in chosen]

            def here(text: str) -> str:
                return str(MomentPosition(time, position(text), is_sought=is_missing))

            end = str(time.older) if page.is_last else here(page.next_position or "")
            return Page(
                rows=self.show([models[i] for i in at], documents(reply, models, at, "customers")),
                position_after=lambda i: here(page.position_after(chosen[i])),
                is_last=False,
                end=end if chosen == new else None,
                skipped=page.skipped,
            )

        number, size = str(requested.page + 1), str(requested.size)
        bounds = (
            ("created_at[after]", iso(time.older.at)),
            ("created_at[before]", iso(time.before)),
        )
        paging = (("limit", size), ("page", number), NEWEST_FIRST, *bounds)
        return Exchange(self.operation, self._call(paging), read, bounds_depth=True)

    def _call(self, paging: Params) -> Call:
        return Call("GET", "/v1/customers", (*paging, *self.params))

    def _decode(self, reply: Reply) -> CustomerList:
        return decode(self.provider, self.operation, reply, CustomerList)


def count(provider: str, operation: str, path: str, params: Params) -> Exchange[int]:
    """Count the rows of a list."""

    def read(reply: Reply) -> int:
        total = decode(provider, operation, reply, Counted).total
        if total is None:
            raise Malformed(provider, operation, detail="no total")
        return total

    return Exchange(operation, Call("GET", path, (("limit", "1"), *params)), read)
