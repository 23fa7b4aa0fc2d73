"""Emporix's lists: numbered pages, several rows by their ids, one row by its path.

All services work alike. Facts: the OpenAPI files of the customer segment and customer services and
standard-practices/pagination in github.com/emporix/api-references, read 2026-11-21.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Generic, SupportsBytes, TypeVar

import msgspec

from gateway.domain.pages import Page, PageRequest
from gateway.errors import Malformed
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.decoding import decode, document, documents, path_part
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.base.lenient_decoding import length
from gateway.providers.base.numbered_pages import DIGITS, Window, numbered_page, position, window
from gateway.providers.emporix.query import EVERYTHING, Question, fits_url, id_batches, one_of

LARGEST_PAGE = 200
"""Rows of one page. No service states a bound; this is the one of its bulk calls, our guess."""

ALL_LANGUAGES: Mapping[str, str] = {"accept-language": "*"}
COUNTED: Mapping[str, str] = {**ALL_LANGUAGES, "x-total-count": "true"}

M = TypeVar("M")
T = TypeVar("T")


class Listed(msgspec.Struct, Generic[M, T], frozen=True, kw_only=True):
    """One list of one account: where it is, what is in it, and how a row reads."""

    provider: str
    path: str
    form: type[M]
    show: Callable[[Sequence[M], Iterable[SupportsBytes]], list[T]]
    """Makes the rows of what was told, and of the same as it was written."""
    params: tuple[tuple[str, str], ...] = ()
    taken: frozenset[str] = frozenset()
    """Ids that name another thing in a path: these are read through the list."""
    tells_count: bool = False
    """It tells a count unasked, in the header `Count`; the others `X-Total-Count` when asked."""

    def page(
        self, operation: str, page: PageRequest, question: Question = EVERYTHING
    ) -> Exchange[Page[T]]:
        """Read one stretch; a position is a count of rows."""
        at = position(page.position)
        largest = at.largest or LARGEST_PAGE
        # One row more than wanted tells whether any follows, should there be no total.
        asked = window(at.offset, min(page.size + 1, largest), largest)

        def read(reply: Reply) -> Page[T]:
            told, rows = self._rows(operation, reply)
            came = length(told)
            if came > asked.size:
                raise Malformed(self.provider, operation, detail="more rows than asked for")
            total = _total(reply, asked, came)
            if total is None and self.tells_count:
                total = _count(reply, asked, came)
            found = numbered_page(rows, asked, at, page.size, total, decoded=told)
            if not came and not found.is_last:
                raise Malformed(self.provider, operation, detail="does not advance")
            # What Emporix counts is another list where it judges a part of the question only.
            return found if question.is_whole else msgspec.structs.replace(found, total=None)

        call = self._asking(question.q, asked.page + 1, asked.size)
        return Exchange(operation, call, read)

    def count(self, operation: str) -> Exchange[int]:
        """Count the rows, of a list that tells their number when asked."""

        def read(reply: Reply) -> int:
            rows = decode(self.provider, operation, reply, list[msgspec.Raw])
            total = _total(reply, Window(page=0, size=1, skip=0), len(rows))
            if total is None:
                raise Malformed(self.provider, operation, detail="no X-Total-Count")
            return total

        return Exchange(operation, self._asking(None, 1, 1), read)

    def by_key(
        self, name: str, keys: Sequence[str], names: Callable[[T], Iterable[str]]
    ) -> Sequence[ReadBatch]:
        """Read the rows of these ids, in as few calls as there can be.

        `name` begins the operations' names; `names` are the ids that a row answers to.
        """
        return [
            ReadBatch(
                ids,
                self._one(f"{name}.get", ids[0])
                if len(ids) == 1 and ids[0] not in self.taken
                else self._of_ids(f"{name}.of_ids", ids, names),
            )
            for ids in id_batches(keys)
        ]

    def _of_ids(
        self, operation: str, ids: Sequence[str], names: Callable[[T], Iterable[str]]
    ) -> Exchange[Mapping[str, T]]:
        def read(reply: Reply) -> Mapping[str, T]:
            told, rows = self._rows(operation, reply)
            came = length(told)
            named = {name: row for row in rows for name in names(row)}
            found = {key: named[key] for key in ids if key in named}
            if len(found) + 1 < len(ids) <= came:
                # Rows nobody asked for have taken the room of those that were. A single one may
                # be a row whose id is odd, which costs no other its place.
                raise Malformed(self.provider, operation, detail="a full page of other rows")
            total = _total(reply, Window(page=0, size=len(ids), skip=0), came)
            if total is not None and came < min(total, len(ids)):
                raise Malformed(self.provider, operation, detail="fewer rows than its total")
            return found

        call = self._asking(one_of("id", ids), 1, len(ids))
        return Exchange(operation, call, read)

    def _one(self, operation: str, key: str) -> Exchange[Mapping[str, T]]:
        def read(reply: Reply) -> Mapping[str, T]:
            if reply.status == HTTPStatus.NOT_FOUND:
                return {}
            told = decode(self.provider, operation, reply, self.form)
            (row,) = self.show((told,), (document(reply.body),))
            return {key: row}

        call = Call("GET", f"{self.path}/{path_part(key)}", self.params, ALL_LANGUAGES)
        return Exchange(operation, call, read)

    def _asking(self, q: str | None, page: int, size: int) -> Call:
        """Return the call for a page, from 1; a `q` too long for a URL goes into a body.

        The total is always asked for: only it tells a page that was cut short from the last one.
        """
        headers = COUNTED
        params = (*self.params, ("pageNumber", str(page)), ("pageSize", str(size)))
        if q is None:
            return Call("GET", self.path, params, headers)
        if fits_url(q):
            return Call("GET", self.path, (("q", q), *params), headers)
        return json_call("POST", f"{self.path}/search", {"q": q}, query=params, headers=headers)

    def _rows(self, operation: str, reply: Reply) -> tuple[Sequence[M], list[T]]:
        """Return the rows as they were read, and what they show."""
        told = decode(self.provider, operation, reply, list[self.form])  # type: ignore[name-defined]  # a form is a type
        return told, self.show(told, documents(reply, told))


def _header_number(reply: Reply, name: str) -> int | None:
    told = reply.headers.get(name, "")
    fits = told.isascii() and told.isdecimal() and len(told) <= DIGITS
    return int(told) if fits else None


def _total(reply: Reply, asked: Window, rows: int) -> int | None:
    """Return the length of the whole list; None when it is not told, or less than was shown."""
    told = _header_number(reply, "x-total-count")
    shown = asked.page * asked.size + rows if rows else 0
    return told if told is not None and told >= shown else None


def _count(reply: Reply, asked: Window, rows: int) -> int | None:
    """Return the length of the whole list from `Count`, where that is what it must mean.

    It is documented as "number of retrieved customers", of the list or of the page: the number
    of rows on a full page is taken for the latter, since more may follow.
    """
    told = _header_number(reply, "count")
    is_doubtful = told == rows == asked.size
    if told is None or is_doubtful or told < asked.page * asked.size + rows:
        return None
    return told
