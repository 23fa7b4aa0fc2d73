"""Read replies: map status codes to errors, bodies to wire models, and values to ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from http import HTTPStatus
from itertools import repeat
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    SupportsBytes,
    TypeAlias,
    TypeVar,
    overload,
)

import msgspec

from gateway.domain.json_depth import TOO_DEEP, is_too_deep
from gateway.domain.lazy_columns import LazyTimes
from gateway.errors import Broken, Denied, Malformed, RateLimited, Refused
from gateway.providers.base.exchange import Reply, quoted
from gateway.providers.base.lenient_decoding import (
    Rows,
    Unreadable,
    is_odd_row,
    parse_leniently,
    parseable,
    read,
)
from gateway.providers.base.untyped import depth_check

T = TypeVar("T")

Id = Annotated[str, msgspec.Meta(min_length=1)]
"""An id. An object without it cannot be read: see `lenient_decoding`."""

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""An integer that can be shown to clients: GraphQL's Int has 32 bits."""

if TYPE_CHECKING:
    Documented: TypeAlias = T | None
    """A part that is always present according to the documents. In an odd row it may be None."""
else:

    class Documented:
        """The same part for the strict decoder: it must be present and of this type."""

        def __class_getitem__(cls, form: Any) -> Any:
            """Return the type."""
            return form


OK = frozenset({HTTPStatus.OK})

DECODING_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What the strict decoder raises if the body is not JSON, too deep, or not as the model."""

MAX_RETRY_AFTER_S = 86_400.0
"""The longest time that a provider may ask the gateway to wait; longer ones are cut."""


class _Strict(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """Decodes JSON as one type."""

    decoder: msgspec.json.Decoder[T]
    is_too_deep: Callable[[T, SupportsBytes], bool] | None

    def decode(self, body: bytes | msgspec.Raw) -> T:
        """Raise one of the `DECODING_ERRORS` if the body is not of this type, or too deep."""
        decoded = self.decoder.decode(body)
        if self.is_too_deep is not None and self.is_too_deep(decoded, body):
            raise ValueError(TOO_DEEP)
        return decoded


if TYPE_CHECKING:  # a cached function would lose its type

    def _strict(form: type[T]) -> _Strict[T]: ...
else:

    @cache
    def _strict(form: Any) -> _Strict[Any]:
        return _Strict(msgspec.json.Decoder(form), depth_check(form))


def check(provider: str, operation: str, reply: Reply, ok: frozenset[HTTPStatus] = OK) -> None:
    """Raise the error for a status that is not in `ok`. Only this function maps statuses."""
    status = reply.status
    if status in ok:
        return
    detail = reply.body[:2000].decode(errors="replace")
    details: dict[str, Any] = {"status": status, "detail": detail}
    if status in {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    }:
        raise Denied(provider, operation, **details)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited(provider, operation, retry_after_s=retry_after_s(reply), **details)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Refused(provider, operation, **details)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Broken(provider, operation, retry_after_s=retry_after_s(reply), **details)
    # Neither a documented success nor an error: a redirect, or a 2xx of another kind.
    raise Malformed(provider, operation, **details)


def retry_after_s(reply: Reply) -> float | None:
    """Return the seconds of Retry-After (RFC 9110, 10.2.3), at most a day; None: no such header.

    A date is compared with the reply's own Date header, if it has one.
    """
    after = reply.headers.get("retry-after", "")
    if after.isascii() and after.isdecimal():
        return min(float(after), MAX_RETRY_AFTER_S)
    moment = http_date(after)
    if moment is None:
        return None
    now = http_date(reply.headers.get("date", "")) or datetime.now(UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def http_date(text: str) -> datetime | None:
    """Return the moment of a date in a header; None if it is not one."""
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
    """Decode a reply into a wire model: strictly, or else as far as it can be read.

    In the second case, its odd parts are noted in the reply, and lists are `Rows`. Raises
    `Malformed` with the path of a part that cannot be read, or if parts without a model nest too
    deeply, and what `check` raises.
    """
    check(provider, operation, reply, ok)
    try:
        return _strict(form).decode(reply.body)
    except DECODING_ERRORS as error:
        result, notes = _decode_leniently(
            provider, operation, reply.body, form, error, status=reply.status
        )
        reply.oddities.extend(notes)
        return result


def decode_part(provider: str, operation: str, part: bytes, form: type[T]) -> T:
    """Decode a part of a reply, or a stored document, without noting its odd parts."""
    try:
        return _strict(form).decode(part)
    except DECODING_ERRORS as error:
        return _decode_leniently(provider, operation, part, form, error)[0]


def decode_strictly(
    provider: str, operation: str, reply: Reply, form: type[T], ok: frozenset[HTTPStatus] = OK
) -> T:
    """Decode a reply whose parts are all required. Raises `Malformed` if one is odd."""
    check(provider, operation, reply, ok)
    try:
        return _strict(form).decode(reply.body)
    except DECODING_ERRORS as error:
        raise Malformed(provider, operation, detail=str(error)) from error


def _decode_leniently(  # noqa: PLR0913  # those of `decode_part`, the strict error, and the status
    provider: str,
    operation: str,
    body: bytes,
    form: type[T],
    error: Exception,
    *,
    status: int | None = None,
) -> tuple[T, Sequence[str]]:
    """Return what can be read, and its odd parts."""
    value: Any = None
    notes: list[str] = []
    if is_too_deep(body):
        raise Malformed(provider, operation, status=status, detail=TOO_DEEP) from error
    try:
        value, is_repaired = parse_leniently(body, notes.append)
        return read(value, form, notes.append, is_repaired=is_repaired), notes
    except (Unreadable, ValueError, RecursionError):
        malformed = Malformed(provider, operation, detail=str(error))
        malformed.is_of_one_row = is_odd_row(value, form)
        raise malformed from error


def read_object(part: msgspec.Raw) -> Mapping[str, Any]:
    """Return an object that was not decoded with its reply; what cannot be read in it is null."""
    form = dict[str, Any]
    try:
        return _strict(form).decode(part)
    except DECODING_ERRORS:
        return _strict(form).decode(parseable(bytes(part)))


class _List:
    """The documents of a list. They are split when the first is read, which is rare."""

    def __init__(self, body: bytes, name: str | None) -> None:
        self._body = body
        self._name = name

    @cached_property
    def documents(self) -> Sequence[bytes]:
        listed = self._body
        if self._name is not None:
            listed = _strict(dict[str, msgspec.Raw]).decode(listed)[self._name]
        return _strict(list[msgspec.Raw]).decode(listed)


class _Split(msgspec.Struct, frozen=True, gc=False):
    """Documents that are split already."""

    documents: Sequence[bytes]


class Document(msgspec.Struct, frozen=True, gc=False):
    """A row of a list; `bytes(document)` is its JSON as the provider wrote it."""

    of: _List | _Split
    place: int

    def __bytes__(self) -> bytes:
        """Return its JSON, repaired if it could not be parsed otherwise."""
        return parseable(bytes(self.of.documents[self.place]))


def documents(
    reply: Reply, rows: Sequence[Any], at: Iterable[int] | None = None, name: str | None = None
) -> Iterator[Document]:
    """Yield the JSON of the decoded rows, as the provider wrote it.

    `at` selects rows by index; None: all. `name` is the key of the list in the reply; None: the
    reply is the list.
    """
    listed = _Split(rows.documents) if isinstance(rows, Rows) else _List(reply.body, name)
    yield from map(Document, repeat(listed), range(len(rows)) if at is None else at)


def document(body: bytes) -> Document:
    """Return the document of a reply that is one object."""
    return Document(_Split((body,)), 0)


def error_body(reply: Reply, form: type[T]) -> T | None:
    """Decode the body of an error reply; None if it is not of the documented form."""
    try:
        return _strict(form).decode(reply.body)
    except DECODING_ERRORS:
        return None


def path_part(key: str) -> str:
    """Return an id as one percent-encoded segment of a path.

    Clients and proxies resolve the segments `.` and `..`, so their dots are encoded as well.
    """
    return key.replace(".", "%2E") if key in {".", ".."} else quoted(key)


def pointer_part(name: str) -> str:
    """Return a name as one token of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


@overload
def utc(moment: datetime) -> datetime: ...
@overload
def utc(moment: datetime | None) -> datetime | None: ...
def utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC. A time without an offset is assumed to be in UTC."""
    if moment is None or moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # A time that means "forever": with its offset it is beyond the end of the calendar.
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        return first if moment.year == first.year else last


def times(decoded: Sequence[datetime | None]) -> LazyTimes:
    """Return the times of many rows, in UTC."""
    return LazyTimes(decoded, _all_in_utc)


def _all_in_utc(moments: Sequence[datetime | None]) -> Sequence[datetime | None]:
    """Return each time in UTC; mostly all are."""
    try:
        if [moment.tzinfo for moment in moments].count(UTC) == len(moments):  # type: ignore[union-attr]  # caught
            return moments
    except AttributeError:  # some are None
        pass
    return [*map(utc, moments)]


def from_unix(seconds: float | None) -> datetime | None:
    """Return the time of Unix seconds in UTC; None if there is none, or it is not in a calendar.

    Milliseconds are divided by 1000 first.
    """
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def iso(moment: datetime) -> str:
    """Format a time in UTC as ISO 8601 with milliseconds and Z, as the providers do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
