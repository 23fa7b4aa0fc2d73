"""GraphQL over HTTP: what a request asks, in what form it wants the answer, how it is refused.

The specification: https://graphql.github.io/graphql-over-http/draft/
"""

import itertools
import json
import secrets
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
import structlog
from starlette.types import Message, Send

log = structlog.get_logger()

GRAPHQL_PATHS = frozenset(("/graphql", "/graphql/"))
PROBE_PATHS = frozenset(("/livez", "/readyz", "/metrics"))
"""For whom the gateway is watched by: outside `server.hosts` and `limits.concurrent_requests`."""

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
EVENTS = "text/event-stream"
HTML = "text/html"

Header = tuple[bytes, bytes]
Headers = Mapping[bytes, bytes]
"""By lower-case name; several lines of one name are one list (RFC 9110, 5.2)."""

SAFE: Sequence[Header] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
"""What each answer tells a browser: to run, frame and hand on nothing of it."""

NOT_KEPT: Header = (b"cache-control", b"no-store")

ONCE = frozenset(
    (
        *(b"host", b"authorization", b"content-type", b"content-length", b"content-encoding"),
        *(b"transfer-encoding", b"origin", b"sec-fetch-site", b"sec-websocket-key"),
        *(b"sec-websocket-version", b"upgrade", b"x-forwarded-proto", b"x-show-calls"),
    )
)
"""Headers whose meaning depends on who reads them, were there two."""


class RequestError(Exception):
    """The request is not carried out: its status, one sentence for people, and a code."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "BAD_USER_INPUT",
        headers: Sequence[Header] = (),
        retry_after_ms: int | None = None,
    ) -> None:
        """Keep them; the headers go with the answer, and when to ask again stands in the error."""
        self.retry_after_ms = retry_after_ms
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers
        super().__init__(message)


class GraphQLRequest(msgspec.Struct, frozen=True):
    """The parameters of a GraphQL request."""

    query: str | None = None
    """Null counts as absent; so does an empty text beside the name of a document."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")
    extensions: dict[str, Any] | None = None
    # A document by its name: GraphQL over HTTP's draft, and what Relay's examples send.
    document_id: str | None = msgspec.field(default=None, name="documentId")
    doc_id: str | None = None
    id: str | None = None

    @property
    def names_document(self) -> bool:
        """Whether a document is named, by an id or a hash, however badly."""
        if self.document_id or self.doc_id or self.id:
            return True
        return (self.extensions or {}).get("persistedQuery") is not None


NAMES = frozenset(GraphQLRequest.__struct_encode_fields__)
_QUOTED = tuple(f'"{name}"'.encode() for name in NAMES)

_decode = msgspec.json.Decoder(GraphQLRequest).decode
_encode = msgspec.json.Encoder().encode

# Unique among processes by its first part, and within one by its second.
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


def new_request_id() -> str:
    """Return an id that no other request has: 32 letters and digits."""
    return f"{_PROCESS}{next(_NUMBERS):016x}"


def error_of(error: RequestError) -> Mapping[str, Any]:
    """Return the GraphQL error that says why a request is not carried out, and log that."""
    request_id = new_request_id()
    log.info("refused", request_id=request_id, status=error.status, code=error.code)
    told: dict[str, Any] = {"code": error.code, "requestId": request_id}
    if error.retry_after_ms is not None:
        told["retryAfterMs"] = error.retry_after_ms
    return {"message": error.message, "extensions": told}


def headers_of(given: Sequence[Header]) -> Headers:
    """Return a request's headers by name. Raises `RequestError` when one stands there twice."""
    headers = dict(given)
    if len(headers) == len(given):
        return headers
    names = [name for name, _ in given]
    for name in ONCE.intersection(names):
        if names.count(name) > 1:
            raise RequestError(400, f"The header {name.decode()} stands there twice.")
    joined: dict[bytes, bytes] = {}
    for name, value in given:
        joined[name] = b"%b, %b" % (joined[name], value) if name in joined else value
    return joined


class AcceptedType(NamedTuple):
    """A media type that a client accepts, and how much it likes it."""

    media_type: str
    quality: float


@lru_cache(maxsize=128)
def answer_type(accept: bytes | None, *, with_page: bool) -> str:
    """Return the media type to answer in: the client's order decides, then ours.

    Without a wish it is `application/json`; an event stream only where it is named. Raises 406
    when nothing fits.
    """
    offered = [JSON, GRAPHQL, EVENTS, *([HTML] if with_page else [])]
    wishes = list(_wishes(accept.decode("latin-1"))) if accept else []
    if not wishes:
        return JSON
    for wish in sorted(wishes, key=lambda each: -each.quality):
        for media_type in offered:
            ranges = {media_type.partition("/")[0] + "/*", "*/*"} if media_type != EVENTS else ()
            if wish.quality > 0 and wish.media_type in {media_type, *ranges}:
                return media_type
    raise RequestError(406, f"Answers are {JSON}, {GRAPHQL} or {EVENTS}.")


def _wishes(accept: str) -> list[AcceptedType]:
    wishes = []
    for part in accept.split(",")[:50]:
        media_type, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if media_type:
            wishes.append(AcceptedType(media_type, quality))
    return wishes


def check_content(headers: Headers) -> None:
    """Raise `RequestError` for a POST that is not plain JSON in UTF-8.

    No other site's page can send that without being asked first, in a preflight.
    """
    if headers.get(b"content-type") != b"application/json":
        _check_content_type(headers.get(b"content-type", b""))
    if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
        raise RequestError(415, "Send the request uncompressed.")
    if b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
        raise RequestError(400, "A request is chunked or not; it has no other transfer encoding.")


@lru_cache(maxsize=128)
def _check_content_type(content_type: bytes) -> None:
    media_type, *parameters = (
        each.strip().lower() for each in content_type.decode("latin-1").split(";")
    )
    if media_type != JSON:
        raise RequestError(415, f"Send the request as {JSON}.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in {"utf-8", "utf8"}:
            raise RequestError(415, "Send the request in UTF-8.")


def read_post(body: bytes) -> GraphQLRequest:
    """Read the parameters of a POST. Raises `RequestError`."""
    body = body.removeprefix(BOM_UTF8)  # some programs write one (RFC 8259, 8.1)
    try:
        asked = _decode(body)
        if _may_repeat(body):
            _check_names([name for name, _ in json.loads(body, object_pairs_hook=list)])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(error, is_batch=body.lstrip()[:1] == b"[") from error
    return asked


def _may_repeat(body: bytes) -> bool:
    """Tell whether a parameter may stand there twice: it is not worth a second look else."""
    for name in _QUOTED:
        if body.count(name) > 1:
            return True
    return b"\\u" in body


def read_get(query_string: bytes) -> GraphQLRequest:
    """Read the parameters of a GET; empty ones are as good as none. Raises `RequestError`."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        _check_names([name for name, _ in pairs])
        given: dict[str, Any] = {name: text for name, text in pairs if name in NAMES}
        for name in NAMES - {"query"}:
            if not given.get(name, "?"):
                del given[name]
        for name in {"variables", "extensions"} & given.keys():
            given[name] = msgspec.json.decode(given[name].removeprefix("\ufeff"))
        return msgspec.convert(given, GraphQLRequest)
    except UnicodeError as error:
        raise RequestError(400, "The parameters are not UTF-8.") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(error) from error


def _check_names(given: Sequence[str]) -> None:
    """Refuse what other readers might read otherwise: they may take the first, or the last."""
    for name in NAMES:
        if given.count(name) > 1:
            raise RequestError(400, f"The parameter {name} stands there twice.")


def _unreadable(error: Exception, *, is_batch: bool = False) -> RequestError:
    """Say what is wrong with the parameters, with its path; nothing of their values."""
    if not isinstance(error, msgspec.ValidationError):
        return RequestError(400, "The request is not JSON.")
    if is_batch:
        return RequestError(400, "Send one operation a request: there are no batches.")
    return RequestError(400, f"This is no GraphQL request: {error}.")


def lasting(content_type: str, more: Iterable[Header] = ()) -> list[Header]:
    """Return the headers that all answers of one kind have."""
    return [(b"content-type", content_type.encode()), *SAFE, *more]


def start(status: int, headers: Iterable[Header], length: int) -> Message:
    """Return the start of an answer whose body has so many bytes."""
    told = [*headers, (b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": status, "headers": told}


def lines(headers: Iterable[Header]) -> bytes:
    """Return headers as they stand on the wire, each with the end of its line."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def refused_as_whole(
    error: RequestError, content_type: str = JSON, more: Iterable[Header] = ()
) -> tuple[Message, bytes]:
    """Return start and body of the answer that a request is not carried out, and why."""
    told = error_of(error)
    body = _encode({"errors": [told]})
    request_id = told["extensions"]["requestId"].encode()
    rest = (NOT_KEPT, (b"x-request-id", request_id), *error.headers, *more)
    return start(error.status, lasting(content_type, rest), len(body)), body


async def refuse(
    send: Send, error: RequestError, content_type: str = JSON, more: Iterable[Header] = ()
) -> None:
    """Answer that a request is not carried out, and why."""
    begun, body = refused_as_whole(error, content_type, more)
    await send(begun)
    await send({"type": "http.response.body", "body": body})
