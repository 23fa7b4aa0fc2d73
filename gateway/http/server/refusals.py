"""Error responses that the server sends instead of the application's."""

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.http.graphql_over_http import Header, RequestError, error_response, lines
from gateway.http.server.fast_path import CLOSE_END

WITH_BODY = frozenset((b"PATCH", b"POST", b"PUT"))
LENGTHS = frozenset((b"content-length", b"transfer-encoding"))

NO_LENGTH = RequestError(411, "Send the body with its content-length, or in chunks.")

NOT_HTTP = RequestError(400, "This is not a valid HTTP request.")

SHARE_EXCEEDED = RequestError(
    503,
    "Too many connections of this address are busy (limits.connections_per_address).",
    "LIMIT_EXCEEDED",
)

HANDSHAKE_TOO_LARGE = RequestError(
    431,
    "A WebSocket handshake has at most 128 headers, and 8192 bytes in a line.",
    "LIMIT_EXCEEDED",
)
"""The limits of the library websockets."""

INVALID_HANDSHAKE = RequestError(
    400,
    "This is not a WebSocket handshake of version 13 (RFC 6455).",
    headers=((b"sec-websocket-version", b"13"),),
)


def too_large(name: str, most: int, status: int) -> RequestError:
    """Return the refusal of a request that exceeds a limit."""
    text = f"{name} is more than the {most} that are allowed (limits.{name})."
    return RequestError(status, text, "LIMIT_EXCEEDED")


def refusal_bytes(error: RequestError, *, is_head: bool) -> bytes:
    """Serialise a refusal as the last response of its connection; that to a HEAD has no body."""
    start, body = error_response(error)
    head = STATUS_LINE[error.status] + lines(start["headers"]) + CLOSE_END
    return head if is_head else head + body


def lacks_length(method: bytes, headers: Sequence[Header]) -> bool:
    """Return whether a request of a method that has a body states no length for it."""
    return method in WITH_BODY and LENGTHS.isdisjoint(dict(headers))
