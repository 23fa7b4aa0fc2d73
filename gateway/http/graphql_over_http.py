"""GraphQL over HTTP: read requests, negotiate the response type, build error responses.

The specification: https://graphql.github.io/graphql-over-http/draft/
"""

import itertools
import json
import re
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
"""For monitoring: exempt from `server.hosts` and `limits.concurrent_requests`."""

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
EVENTS = "text/event-stream"
HTML = "text/html"

Header = tuple[bytes, bytes]
Headers = Mapping[bytes, bytes]
"""By lower-case name; several lines with one name are combined (RFC 9110, 5.2)."""

SAFE: Sequence[Header] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
"""Sent with every response: browsers must not execute, frame or leak it."""

NO_STORE: Header = (b"cache-control", b"no-store")

SINGLE_HEADERS = frozenset(
    (
        *(b"host", b"authorization", b"content-type", b"content-length", b"content-encoding"),
        *(b"transfer-encoding", b"origin", b"sec-fetch-site", b"sec-websocket-key"),
        *(b"sec-websocket-version", b"upgrade", b"x-forwarded-proto", b"x-show-calls"),
    )
)
"""Headers that must not be repeated: programs disagree on which line counts."""


class RequestError(Exception):
    """The request is refused, with a status, a message of one sentence, and a code."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "BAD_USER_INPUT",
        headers: Sequence[Header] = (),
        retry_after_ms: int | None = None,
    ) -> None:
        """`headers` are added to the response; `retry_after_ms` is put into the error."""
        self.retry_after_ms = retry_after_ms
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers
        super().__init__(message)


class GraphQLRequest(msgspec.Struct, frozen=True):
    """The parameters of a GraphQL request."""

    query: str | None = None
    """Null counts as absent; so does an empty string if the request names a document."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")
    extensions: dict[str, Any] | None = None
    # The names of a document: GraphQL over HTTP's draft, and what Relay's examples send.
    document_id: str | None = msgspec.field(default=None, name="documentId")
    doc_id: str | None = None
    id: str | None = None

    @property
    def names_document(self) -> bool:
        """Whether the request names a document by an id or a hash, valid or not."""
        if self.document_id or self.doc_id or self.id:
            return True
        return (self.extensions or {}).get("persistedQuery") is not None


def in_quotes(names: Iterable[str]) -> Sequence[bytes]:
    """Return names as they stand in JSON."""
    return [f'"{name}"'.encode() for name in names]


PARAMETERS = frozenset(GraphQLRequest.__struct_encode_fields__)
_IN_QUOTES = in_quotes(PARAMETERS)

_decode = msgspec.json.Decoder(GraphQLRequest).decode
_encode = msgspec.json.Encoder().encode

_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}")
"""A client's own id: those of proxies and tracers, nothing that could break a line of a log."""

# The first part is unique among processes, the second within one.
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


def new_request_id() -> str:
    """Return a unique id of 32 letters and digits."""
    return f"{_PROCESS}{next(_NUMBERS):016x}"


def given_request_id(headers: Headers) -> str | None:
    """Return the client's own id for a request, if it has one that is well-formed."""
    given = headers.get(b"x-request-id")
    return given.decode() if given is not None and _REQUEST_ID.fullmatch(given) else None


def graphql_error(error: RequestError, request_id: str | None = None) -> Mapping[str, Any]:
    """Return a refusal as a GraphQL error, and log it."""
    request_id = request_id or new_request_id()
    log.info("refused", request_id=request_id, status=error.status, code=error.code)
    extensions: dict[str, Any] = {"code": error.code, "requestId": request_id}
    if error.retry_after_ms is not None:
        extensions["retryAfterMs"] = error.retry_after_ms
    return {"message": error.message, "extensions": extensions}


def parse_headers(lines: Sequence[Header]) -> Headers:
    """Return a request's headers by name. Raises `RequestError` for a repeated single header."""
    headers = dict(lines)
    if len(headers) == len(lines):
        return headers
    names = [name for name, _ in lines]
    for name in SINGLE_HEADERS.intersection(names):
        if names.count(name) > 1:
            raise RequestError(400, f"The header {name.decode()} is repeated.")
    combined: dict[bytes, bytes] = {}
    for name, value in lines:
        combined[name] = b"%b, %b" % (combined[name], value) if name in combined else value
    return combined


class AcceptedType(NamedTuple):
    """A media type that a client accepts, with its quality value."""

    media_type: str
    quality: float


@lru_cache(maxsize=128)
def response_type(accept: bytes | None, *, with_page: bool) -> str:
    """Negotiate the media type of the response: the client's preference decides, then ours.

    Without an Accept header it is `application/json`; an event stream must be named explicitly.
    Raises a `RequestError` with status 406 if no type is acceptable.
    """
    offered = [JSON, GRAPHQL, EVENTS, *([HTML] if with_page else [])]
    accepted = list(_accepted_types(accept.decode("latin-1"))) if accept else []
    if not accepted:
        return JSON
    for each in sorted(accepted, key=lambda each: -each.quality):
        for media_type in offered:
            ranges = {media_type.partition("/")[0] + "/*", "*/*"} if media_type != EVENTS else ()
            if each.quality > 0 and each.media_type in {media_type, *ranges}:
                return media_type
    raise RequestError(406, f"Responses are {JSON}, {GRAPHQL} or {EVENTS}.")


def prefers_page(accept: bytes | None) -> bool:
    """Return whether a client that sends this Accept header is shown a page, like a browser."""
    try:
        return response_type(accept, with_page=True) == HTML
    except RequestError:
        return False


def _accepted_types(accept: str) -> list[AcceptedType]:
    accepted = []
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
            accepted.append(AcceptedType(media_type, quality))
    return accepted


def check_content(headers: Headers) -> None:
    """Raise `RequestError` for a POST that is not uncompressed JSON in UTF-8.

    A page of another site cannot send JSON without a preflight request.
    """
    if headers.get(b"content-type") != b"application/json":
        _check_content_type(headers.get(b"content-type", b""))
    if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
        raise RequestError(415, "Send the request uncompressed.")
    if b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
        raise RequestError(400, "The only supported transfer encoding is chunked.")


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
    body = body.removeprefix(BOM_UTF8)  # some clients send one (RFC 8259, 8.1)
    try:
        request = _decode(body)
        if may_repeat(body):
            check_names(json.loads(body, object_pairs_hook=list))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(error, is_batch=body.lstrip()[:1] == b"[") from error
    return request


def may_repeat(body: bytes, names: Sequence[bytes] = _IN_QUOTES) -> bool:
    """Return whether a name may be repeated; only then is the slow check worth its time."""
    return max(map(body.count, names)) > 1 or body.find(b"\\u") >= 0


def read_get(query_string: bytes) -> GraphQLRequest:
    """Read the parameters of a GET; ignore empty ones. Raises `RequestError`."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        check_names(pairs)
        parameters: dict[str, Any] = {name: text for name, text in pairs if name in PARAMETERS}
        for name in PARAMETERS - {"query"}:
            if not parameters.get(name, "?"):
                del parameters[name]
        for name in {"variables", "extensions"} & parameters.keys():
            parameters[name] = msgspec.json.decode(parameters[name].removeprefix("\ufeff"))
        return msgspec.convert(parameters, GraphQLRequest)
    except UnicodeError as error:
        raise RequestError(400, "The parameters are not UTF-8.") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(error) from error


def check_names(members: Sequence[tuple[str, Any]], names: Iterable[str] = PARAMETERS) -> None:
    """Refuse repeated parameters: programs disagree on whether the first or the last counts.

    Raises `RequestError`.
    """
    given = [name for name, _ in members]
    for name in names:
        if given.count(name) > 1:
            raise RequestError(400, f"The parameter {name} is repeated.")


def _unreadable(error: Exception, *, is_batch: bool = False) -> RequestError:
    """Describe the problem and its path, without the values of parameters."""
    if not isinstance(error, msgspec.ValidationError):
        return RequestError(400, "The request is not JSON.")
    if is_batch:
        return RequestError(400, "Batches are not supported; send one operation per request.")
    return RequestError(400, f"This is not a GraphQL request: {error}.")


def common_headers(content_type: str, more: Iterable[Header] = ()) -> list[Header]:
    """Return the headers of all responses with this content type."""
    return [(b"content-type", content_type.encode()), *SAFE, *more]


def start(status: int, headers: Iterable[Header], length: int) -> Message:
    """Return the start of a response whose body has `length` bytes."""
    all_headers = [*headers, (b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": status, "headers": all_headers}


def lines(headers: Iterable[Header]) -> bytes:
    """Serialise headers, each with its line ending."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def error_response(
    error: RequestError,
    content_type: str = JSON,
    more: Iterable[Header] = (),
    request_id: str | None = None,
) -> tuple[Message, bytes]:
    """Return the start and the body of the response to a refused request."""
    shown = graphql_error(error, request_id)
    body = _encode({"errors": [shown]})
    shown_id = shown["extensions"]["requestId"].encode()
    own = (NO_STORE, (b"x-request-id", shown_id), *error.headers, *more)
    return start(error.status, common_headers(content_type, own), len(body)), body


async def send_error(
    send: Send,
    error: RequestError,
    content_type: str = JSON,
    more: Iterable[Header] = (),
    request_id: str | None = None,
) -> None:
    """Send the response to a refused request."""
    head, body = error_response(error, content_type, more, request_id)
    await send(head)
    await send({"type": "http.response.body", "body": body})
