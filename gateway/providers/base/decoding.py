"""Read replies: status codes to errors, bodies to wire models, values to ours."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from http import HTTPStatus
from itertools import repeat
from typing import Any, TypeVar, overload

import msgspec

from gateway.errors import Broken, Denied, Malformed, RateLimited, Refused
from gateway.providers.base.exchange import Reply, quoted

T = TypeVar("T")

OK = frozenset({HTTPStatus.OK})

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
    """Read a reply strictly into a wire model; anything else is `Malformed` with its path."""
    check(provider, operation, reply, ok)
    return decode_part(provider, operation, reply.body, form)


def decode_part(provider: str, operation: str, part: bytes, form: type[T]) -> T:
    """Read a part of a reply that was kept as bytes."""
    try:
        decoded: T = _decoder(form).decode(part)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(provider, operation, detail=str(error)) from error
    return decoded


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


class Document(msgspec.Struct, frozen=True, gc=False):
    """A row of a list as the provider wrote it: `bytes(document)`."""

    of: _List
    place: int

    def __bytes__(self) -> bytes:
        """Return its JSON."""
        return bytes(self.of.documents[self.place])


def documents(reply: Reply, places: Iterable[int], name: str | None = None) -> Iterator[Document]:
    """Return those rows of a list that was read, as the provider wrote them.

    `name` is that of the list within the reply, None where it is the reply.
    """
    return map(Document, repeat(_List(reply.body, name)), places)


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
