"""Read replies: status codes to errors, bodies to wire models, values to ours."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from http import HTTPStatus
from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, TypeVar, overload

import msgspec

from gateway.errors import Broken, Denied, Malformed, RateLimited, Refused
from gateway.providers.base.exchange import Reply, quoted
from gateway.providers.base.lenient_decoding import (
    Note,
    Rows,
    Unreadable,
    is_odd_row,
    loaded,
    read,
    sound,
)

T = TypeVar("T")

Id = Annotated[str, msgspec.Meta(min_length=1)]
"""What nothing can be without: see `lenient_decoding`."""

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""All that a client can be shown: GraphQL's Int."""

if TYPE_CHECKING:
    Documented: TypeAlias = T | None
    """A part that the documents say is always there. Of an odd row it may be None."""
else:

    class Documented:
        """Such a part, as the strict reading sees it: there, and of this form."""

        def __class_getitem__(cls, form: Any) -> Any:
            """Return the form."""
            return form


OK = frozenset({HTTPStatus.OK})

UNLIKE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What reading JSON into a model raises where it is of another form, or no JSON."""

LONGEST_WAIT_S = 86_400.0
"""No provider is believed that it wants to be left alone for longer."""


@cache
def _made(form: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(form)


def _decoder(form: type[T]) -> msgspec.json.Decoder[T]:
    return _made(form)  # type: ignore[arg-type]  # mypy holds that a class may be unhashable


def check(provider: str, operation: str, reply: Reply, ok: frozenset[HTTPStatus] = OK) -> None:
    """Raise the error that a status outside `ok` stands for. Nowhere else are statuses judged."""
    status = reply.status
    if status in ok:
        return
    detail = reply.body[:2000].decode(errors="replace")
    told: dict[str, Any] = {"status": status, "detail": detail}
    if status in {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    }:
        raise Denied(provider, operation, **told)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited(provider, operation, retry_after_s=retry_after_s(reply), **told)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Refused(provider, operation, **told)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Broken(provider, operation, retry_after_s=retry_after_s(reply), **told)
    # Neither a documented success nor an error: a redirect, or a 2xx of another kind.
    raise Malformed(provider, operation, **told)


def retry_after_s(reply: Reply) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3), at most a day; None: not told.

    A date is measured by the provider's own clock where the answer tells it.
    """
    after = reply.headers.get("retry-after", "")
    if after.isascii() and after.isdecimal():
        return min(float(after), LONGEST_WAIT_S)
    moment = _http_date(after)
    if moment is None:
        return None
    now = _http_date(reply.headers.get("date", "")) or datetime.now(UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT_S)


def _http_date(text: str) -> datetime | None:
    try:
        return utc(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def decode(
    provider: str,
    operation: str,
    reply: Reply,
    form: type[T],
    ok: frozenset[HTTPStatus] = OK,
) -> T:
    """Read a reply into a wire model: strictly, and where that fails as far as it can be read.

    Odd parts are noted in the reply; lists are `Rows` then. What is not of the documented form at
    all is `Malformed`, with its path.
    """
    check(provider, operation, reply, ok)
    return _decode(provider, operation, reply.body, form, reply.oddities.append)


def decode_part(provider: str, operation: str, part: bytes, form: type[T]) -> T:
    """Read a part of a reply that was kept as bytes; its odd parts were noted before."""
    return _decode(provider, operation, part, form, lambda _: None)


def decode_strictly(
    provider: str, operation: str, reply: Reply, form: type[T], ok: frozenset[HTTPStatus] = OK
) -> T:
    """Read a reply all of whose parts are needed; anything odd is `Malformed` with its path."""
    check(provider, operation, reply, ok)
    try:
        return _strictly(reply.body, form)
    except UNLIKE as error:
        raise Malformed(provider, operation, detail=str(error)) from error


def _strictly(body: bytes, form: type[T]) -> T:
    decoded: T = _decoder(form).decode(body)
    return decoded


def _decode(provider: str, operation: str, body: bytes, form: type[T], note: Note) -> T:
    try:
        return _strictly(body, form)
    except UNLIKE as error:
        value: Any = None
        notes: list[str] = []
        try:
            value, is_repaired = loaded(body, notes.append)
            found = read(value, form, notes.append, is_repaired=is_repaired)
        except (Unreadable, ValueError, RecursionError):
            malformed = Malformed(provider, operation, detail=str(error))
            malformed.is_of_one_row = is_odd_row(value, form)
            raise malformed from error
        for each in notes:
            note(each)
        return found


class _List:
    """The documents of a list: cut apart when one of them is looked at, which is seldom."""

    def __init__(self, body: bytes, name: str | None) -> None:
        self._body = body
        self._name = name

    @cached_property
    def documents(self) -> Sequence[bytes]:
        listed = self._body
        if self._name is not None:
            listed = _decoder(dict[str, msgspec.Raw]).decode(listed)[self._name]
        return _decoder(list[msgspec.Raw]).decode(listed)


class _Single(NamedTuple):
    """One document, as if it stood in a list."""

    documents: Sequence[bytes]


class Document(msgspec.Struct, frozen=True, gc=False):
    """A row of a list as the provider wrote it: `bytes(document)`."""

    of: _List | _Single
    place: int

    def __bytes__(self) -> bytes:
        """Return its JSON: repaired where it has parts that cannot be shown as they are."""
        return sound(bytes(self.of.documents[self.place]))


def documents(
    reply: Reply, rows: Sequence[Any], at: Iterable[int] | None = None, name: str | None = None
) -> Iterator[Document]:
    """Return those of the rows that were read, as the provider wrote them; without `at` all.

    `name` is that of the list within the reply, None where it is the reply.
    """
    listed = _Single(rows.documents) if isinstance(rows, Rows) else _List(reply.body, name)
    return map(Document, repeat(listed), range(len(rows)) if at is None else at)


def document(body: bytes) -> Document:
    """Return a document that was read by itself."""
    return Document(_Single((body,)), 0)


def fault(reply: Reply, form: type[T]) -> T | None:
    """Read the body of an error reply as far as it is documented; None when it is another."""
    try:
        return _decoder(form).decode(reply.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def path_part(key: str) -> str:
    """Return an id as one percent-encoded part of a path.

    An id that is all dots would name another path to every client and proxy: its dots are encoded
    as well.
    """
    return key.replace(".", "%2E") if key in {".", ".."} else quoted(key)


def pointer_part(name: str) -> str:
    """Return a name as one part of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


@overload
def utc(moment: datetime) -> datetime: ...
@overload
def utc(moment: datetime | None) -> datetime | None: ...
def utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC; one without an offset is taken as UTC."""
    if moment is None or moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # Somebody's "for ever", beyond the calendar's end by its offset.
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        return first if moment.year == first.year else last


def iso(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds and Z, as the providers print theirs."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
