"""Emporix's lists: read by numbered pages, by several ids, or one row by its path.

All of its services work alike. Facts: the OpenAPI files of the customer segment and customer
services and standard-practices/pagination in github.com/emporix/api-references, read 2026-11-21.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Generic, SupportsBytes, TypeAlias, TypeVar

import msgspec

from gateway.domain.lazy_rows import Columns, ModelRows
from gateway.domain.pages import Page, PageRequest
from gateway.errors import Malformed
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.decoding import decode, document, documents, path_part
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.base.lenient_decoding import Rows, length
from gateway.providers.base.numbered_pages import (
    DIGITS,
    Position,
    Window,
    numbered_page,
    position,
    window,
)
from gateway.providers.emporix.query import NO_FILTER, ListFilter, fits_url, id_batches, one_of

MAX_ROWS_PER_CALL = 200
"""The largest page. It is not documented: our guess is the limit of the bulk calls."""

NOT_FOUND = HTTPStatus.NOT_FOUND
"""A member of an enum takes 0.1 µs in Python 3.11."""

ALL_LANGUAGES: Mapping[str, str] = {"accept-language": "*"}
COUNTED: Mapping[str, str] = {**ALL_LANGUAGES, "x-total-count": "true"}

Query: TypeAlias = tuple[tuple[str, str], ...]

M = TypeVar("M")
T = TypeVar("T")


class NumberedList(msgspec.Struct, Generic[M, T], frozen=True, kw_only=True):
    """A list of one account: its path, its wire model, and how its rows are converted."""

    provider: str
    path: str
    form: type[M]
    show: Callable[[Sequence[M], Iterable[SupportsBytes]], list[T]]
    """Converts the decoded rows and their JSON."""
    columns: Columns[M, T] | None = None
    """How attributes of many rows are read without converting them; None: always convert."""
    params: Query = ()
    reserved: frozenset[str] = frozenset()
    """Ids that mean something else in a path. Rows with such an id are read through the list."""
    always_counts: bool = False
    """Replies always have the header `Count`. Other lists have `X-Total-Count` on request."""

    def page(
        self, operation: str, page: PageRequest, list_filter: ListFilter = NO_FILTER
    ) -> Exchange[Page[T]]:
        """Read one page; a position is a number of rows."""
        place = _place(page)
        call = self._call(list_filter.q, place.query)
        reader = _PageReader(self, operation, place, list_filter.is_whole)
        return Exchange(operation, call, reader.read, bounds_depth=True)

    def count(self, operation: str) -> Exchange[int]:
        """Count the rows of a list that has `X-Total-Count`."""

        def read(reply: Reply) -> int:
            rows = decode(self.provider, operation, reply, list[msgspec.Raw])
            total = _total(reply, Window(page=0, size=1, skip=0), len(rows))
            if total is None:
                raise Malformed(self.provider, operation, detail="no X-Total-Count")
            return total

        return Exchange(operation, self._call(None, _page_query(1, 1)), read)

    def by_key(
        self, name: str, keys: Sequence[str], names: Callable[[T], Iterable[str]]
    ) -> Sequence[ReadBatch]:
        """Read the rows with these ids, in as few calls as possible.

        `name` is the prefix of the operations' names; `names` returns the ids of a row.
        """
        one, several = f"{name}.get", f"{name}.of_ids"
        return [
            ReadBatch(
                ids,
                self._one(one, ids[0])
                if len(ids) == 1 and ids[0] not in self.reserved
                else self._of_ids(several, ids, names),
            )
            for ids in id_batches(keys)
        ]

    def _of_ids(
        self, operation: str, ids: Sequence[str], names: Callable[[T], Iterable[str]]
    ) -> Exchange[Mapping[str, T]]:
        def read(reply: Reply) -> "Mapping[str, T]":  # quoted as above
            decoded, rows = self.rows(operation, reply)
            count = length(decoded)
            by_id = {name: row for row in rows for name in names(row)}
            result = {key: by_id[key] for key in ids if key in by_id}
            if len(result) + 1 < len(ids) <= count:
                # The page is full of rows that were not requested, so others may be missing. If
                # there is only one, it may be a requested row with an odd id.
                raise Malformed(self.provider, operation, detail="a full page of other rows")
            total = _total(reply, Window(page=0, size=len(ids), skip=0), count)
            if total is not None and count < min(total, len(ids)):
                raise Malformed(self.provider, operation, detail="fewer rows than its total")
            return result

        call = self._call(one_of("id", ids), _page_query(1, len(ids)))
        return Exchange(operation, call, read, keys=len(ids), bounds_depth=True)

    def _one(self, operation: str, key: str) -> Exchange[Mapping[str, T]]:
        call = Call("GET", f"{self.path}/{path_part(key)}", self.params, ALL_LANGUAGES)
        read = _RowReader(self, operation, key).read
        return Exchange(operation, call, read, keys=1, bounds_depth=True)

    def _call(self, q: str | None, paging: Query) -> Call:
        """Return the call for a page. A `q` too long for a URL is sent in a body.

        The total is always requested: only it distinguishes the last page from one that was cut.
        """
        query = self.params + paging
        if q is None:
            return Call("GET", self.path, query, COUNTED)
        if fits_url(q):
            return Call("GET", self.path, (("q", q), *query), COUNTED)
        return json_call("POST", f"{self.path}/search", {"q": q}, query=query, headers=COUNTED)

    def rows(self, operation: str, reply: Reply) -> tuple[Sequence[M], Sequence[T]]:
        """Return the rows as decoded and as converted."""
        decoded = decode(self.provider, operation, reply, list[self.form])  # type: ignore[name-defined]  # a form is a type
        columns = self.columns
        if columns is None or isinstance(decoded, Rows):
            return decoded, self.show(decoded, documents(reply, decoded))
        convert, every = partial(self._converted, reply, decoded), range(len(decoded))
        return decoded, ModelRows(self.provider, columns, convert, decoded, every)

    def _converted(
        self, reply: Reply, decoded: Sequence[M], models: Sequence[M], indices: Sequence[int]
    ) -> list[T]:
        return self.show(models, documents(reply, decoded, indices))


class _Place(msgspec.Struct, frozen=True):
    """Where a page is in a list, and the query that requests it."""

    start: Position
    wanted: int
    requested: Window
    query: Query


@lru_cache(1024)  # many lists are read from the same row on
def _place(page: PageRequest) -> _Place:
    start = position(page.position)
    largest = start.largest or MAX_ROWS_PER_CALL
    # One row more than wanted shows whether more follow, in case there is no total.
    requested = window(start.offset, min(page.size + 1, largest), largest)
    return _Place(start, page.size, requested, _page_query(requested.page + 1, requested.size))


def _page_query(page: int, size: int) -> Query:
    """Return the query for a page, counted from 1."""
    return (("pageNumber", str(page)), ("pageSize", str(size)))


class _RowReader(msgspec.Struct, Generic[M, T], frozen=True):
    """Reads one row by its path."""

    source: NumberedList[M, T]
    operation: str
    key: str

    def read(self, reply: Reply) -> Mapping[str, T]:
        if reply.status == NOT_FOUND:
            return {}
        model = decode(self.source.provider, self.operation, reply, self.source.form)
        (row,) = self.source.show((model,), (document(reply.body),))
        return {self.key: row}


class _PageReader(msgspec.Struct, Generic[M, T], frozen=True):
    """Reads a page of a list."""

    source: NumberedList[M, T]
    operation: str
    place: _Place
    is_whole: bool
    """Whether Emporix filters by the whole query; else its total counts another list."""

    def read(self, reply: Reply) -> Page[T]:
        provider, operation = self.source.provider, self.operation
        requested, start, wanted = self.place.requested, self.place.start, self.place.wanted
        decoded, rows = self.source.rows(operation, reply)
        count = length(decoded)
        if count > requested.size:
            raise Malformed(provider, operation, detail="more rows than requested")
        total = _total(reply, requested, count)
        if total is None and self.source.always_counts:
            total = _count(reply, requested, count)
        result = numbered_page(rows, requested, start, wanted, total, decoded=decoded)
        if not count and not result.is_last:
            raise Malformed(provider, operation, detail="does not advance")
        return result if self.is_whole else msgspec.structs.replace(result, total=None)


def _header_number(reply: Reply, name: str) -> int | None:
    text = reply.headers.get(name, "")
    is_number = text.isascii() and text.isdecimal() and len(text) <= DIGITS
    return int(text) if is_number else None


def _total(reply: Reply, requested: Window, rows: int) -> int | None:
    """Return `X-Total-Count`; None if it is absent, or too small for the rows of the reply."""
    total = _header_number(reply, "x-total-count")
    received = requested.page * requested.size + rows if rows else 0
    return total if total is not None and total >= received else None


def _count(reply: Reply, requested: Window, rows: int) -> int | None:
    """Return the length of the whole list from `Count`, if that is what it means.

    It is documented as "number of retrieved customers", which may be those of the list or of the
    page. On a full page, the number of its rows is taken for the latter, since more may follow.
    """
    count = _header_number(reply, "count")
    is_ambiguous = count == rows == requested.size
    if count is None or is_ambiguous or count < requested.page * requested.size + rows:
        return None
    return count
