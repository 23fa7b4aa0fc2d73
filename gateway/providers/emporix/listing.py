"""Emporix's lists: read by numbered pages, by several ids, or one row by its path.

All of its services work alike. Facts: the OpenAPI files of the customer segment and customer
services and standard-practices/pagination in github.com/emporix/api-references, read 2026-11-21.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Generic, SupportsBytes, TypeVar

import msgspec

from gateway.domain.lazy_rows import Columns, ModelRows
from gateway.domain.pages import Page, PageRequest
from gateway.errors import Malformed
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.decoding import decode, document, documents, path_part
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.base.lenient_decoding import Rows, length
from gateway.providers.base.numbered_pages import DIGITS, Window, numbered_page, position, window
from gateway.providers.emporix.query import NO_FILTER, ListFilter, fits_url, id_batches, one_of

MAX_ROWS_PER_CALL = 200
"""The largest page. It is not documented: our guess is the limit of the bulk calls."""

NOT_FOUND = HTTPStatus.NOT_FOUND
"""A member of an enum takes 0.1 µs in Python 3.11."""

ALL_LANGUAGES: Mapping[str, str] = {"accept-language": "*"}
COUNTED: Mapping[str, str] = {**ALL_LANGUAGES, "x-total-count": "true"}

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
    params: tuple[tuple[str, str], ...] = ()
    reserved: frozenset[str] = frozenset()
    """Ids that mean something else in a path. Rows with such an id are read through the list."""
    always_counts: bool = False
    """Replies always have the header `Count`. Other lists have `X-Total-Count` on request."""

    def page(
        self, operation: str, page: PageRequest, list_filter: ListFilter = NO_FILTER
    ) -> Exchange[Page[T]]:
        """Read one page; a position is a number of rows."""
        start = position(page.position)
        largest = start.largest or MAX_ROWS_PER_CALL
        # One row more than wanted shows whether more follow, in case there is no total.
        requested = window(start.offset, min(page.size + 1, largest), largest)

        def read(reply: Reply) -> "Page[T]":  # quoted: else evaluated for each call
            decoded, rows = self._rows(operation, reply)
            count = length(decoded)
            if count > requested.size:
                raise Malformed(self.provider, operation, detail="more rows than requested")
            total = _total(reply, requested, count)
            if total is None and self.always_counts:
                total = _count(reply, requested, count)
            result = numbered_page(rows, requested, start, page.size, total, decoded=decoded)
            if not count and not result.is_last:
                raise Malformed(self.provider, operation, detail="does not advance")
            # If Emporix filters by a part of the query only, its total counts another list.
            return result if list_filter.is_whole else msgspec.structs.replace(result, total=None)

        call = self._call(list_filter.q, requested.page + 1, requested.size)
        return Exchange(operation, call, read, bounds_depth=True)

    def count(self, operation: str) -> Exchange[int]:
        """Count the rows of a list that has `X-Total-Count`."""

        def read(reply: Reply) -> int:
            rows = decode(self.provider, operation, reply, list[msgspec.Raw])
            total = _total(reply, Window(page=0, size=1, skip=0), len(rows))
            if total is None:
                raise Malformed(self.provider, operation, detail="no X-Total-Count")
            return total

        return Exchange(operation, self._call(None, 1, 1), read)

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
            decoded, rows = self._rows(operation, reply)
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

        call = self._call(one_of("id", ids), 1, len(ids))
        return Exchange(operation, call, read, keys=len(ids), bounds_depth=True)

    def _one(self, operation: str, key: str) -> Exchange[Mapping[str, T]]:
        def read(reply: Reply) -> "Mapping[str, T]":  # quoted as above
            if reply.status == NOT_FOUND:
                return {}
            model = decode(self.provider, operation, reply, self.form)
            (row,) = self.show((model,), (document(reply.body),))
            return {key: row}

        call = Call("GET", f"{self.path}/{path_part(key)}", self.params, ALL_LANGUAGES)
        return Exchange(operation, call, read, keys=1, bounds_depth=True)

    def _call(self, q: str | None, page: int, size: int) -> Call:
        """Return the call for a page, counted from 1. A `q` too long for a URL is sent in a body.

        The total is always requested: only it distinguishes the last page from one that was cut.
        """
        headers = COUNTED
        params = (*self.params, ("pageNumber", str(page)), ("pageSize", str(size)))
        if q is None:
            return Call("GET", self.path, params, headers)
        if fits_url(q):
            return Call("GET", self.path, (("q", q), *params), headers)
        return json_call("POST", f"{self.path}/search", {"q": q}, query=params, headers=headers)

    def _rows(self, operation: str, reply: Reply) -> tuple[Sequence[M], Sequence[T]]:
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
