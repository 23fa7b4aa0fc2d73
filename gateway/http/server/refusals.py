"""What the server answers in the place of the application."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.http.graphql_over_http import RequestError, lines, refused_as_whole
from gateway.http.server.fast_path import CLOSES

NO_LENGTH = RequestError(411, "Send the body with its content-length, or in chunks.")

NO_HTTP = RequestError(400, "This is no HTTP request.")

BEYOND_SHARE = RequestError(
    503,
    "Too many connections of this address are at work (limits.connections_per_address).",
    "LIMIT_EXCEEDED",
)

HANDSHAKE_TOO_LARGE = RequestError(
    431,
    "A WebSocket handshake has at most 128 headers, and 8192 bytes in a line.",
    "LIMIT_EXCEEDED",
)
"""As the library websockets has it."""


def too_large(name: str, most: int, status: int) -> RequestError:
    """Return the refusal of what is beyond a bound."""
    text = f"{name} is more than the {most} that are allowed (limits.{name})."
    return RequestError(status, text, "LIMIT_EXCEEDED")


def on_the_wire(error: RequestError) -> bytes:
    """Return a refusal as the last answer of its connection."""
    begun, body = refused_as_whole(error)
    return b"".join((STATUS_LINE[error.status], lines(begun["headers"]), CLOSES, body))
