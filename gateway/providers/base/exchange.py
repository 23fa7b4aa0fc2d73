"""One HTTP exchange as plain values: the call and the only function that may read its reply.

No secret is part of a call, except of the call that signs in; no repr shows headers or bodies.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeAlias

import msgspec

from gateway.errors import BadInput
from gateway.providers.base.store_lookup import Recall, T_co

NO_HEADERS: Mapping[str, str] = {}

UNRESERVED = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
"""What stands for itself in every part of a URL (RFC 3986, 2.3)."""


class Call(msgspec.Struct, frozen=True):
    """A request, below the provider's base URL.

    `path` is percent-encoded already; `query` keeps its order and may repeat a name.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes | None = None

    @property
    def identity(self) -> Hashable:
        """What two calls have in common that get the same answer."""
        return (self.method, self.path, self.query, self.body, *self.headers.items())

    @property
    def target(self) -> str:
        """The path with the query, percent-encoded."""
        if not self.query:
            return self.path
        asked = "&".join([f"{quoted(name)}={quoted(value)}" for name, value in self.query])
        return f"{self.path}?{asked}"

    def __repr__(self) -> str:
        """Show method and path: query, headers and body may name people or hold a secret."""
        return f"Call({self.method} {self.path})"


class Reply(msgspec.Struct, frozen=True):
    """An answer: `headers` by lower-case name, `body` decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    oddities: list[str] = msgspec.field(default_factory=list)
    """Parts of the body that do not keep to the documents, noted by who reads it, for the log."""

    def __repr__(self) -> str:
        """Show status and size."""
        return f"Reply({self.status}, {len(self.body)} bytes)"


class Exchange(msgspec.Struct, Generic[T_co], frozen=True):
    """A call and how to read its reply; `operation` names it in errors, logs and traces."""

    operation: str
    call: Call
    read: Callable[[Reply], T_co]
    is_idempotent: bool = True


ReadPlan: TypeAlias = Exchange[T_co] | Recall[T_co]
"""What an adapter reads by: a call to the provider, or a lookup in the gateway's record of it."""


class Token(msgspec.Struct, frozen=True):
    """What a sign-in gave: the value of the Authorization header, and for how long."""

    authorization: str
    lifetime_s: float

    def __repr__(self) -> str:
        """Show the lifetime only."""
        return f"Token(lifetime_s={self.lifetime_s})"


def quoted(text: str) -> str:
    """Return a text as a part of a URL, percent-encoded but for `UNRESERVED`.

    As `urllib.parse.quote` does with nothing safe, which takes forty times as long for a list of
    ids: here all bytes that are alike are replaced at once.
    """
    raw = text.encode()
    others = raw.translate(None, UNRESERVED)
    if not others:
        return text
    # Each replacement brings new percent signs, so those that were there come first.
    for byte in sorted(set(others), key=b"%"[0].__ne__):
        raw = raw.replace(bytes([byte]), b"%%%02X" % byte)
    return raw.decode("ascii")


def json_call(
    method: str,
    path: str,
    body: Any,
    *,
    query: tuple[tuple[str, str], ...] = (),
    headers: Mapping[str, str] = NO_HEADERS,
) -> Call:
    """Return a call that carries JSON. Raises `BadInput` for what JSON cannot say."""
    try:
        encoded = msgspec.json.encode(body)
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadInput("The input has half a character in it, or is nested too deep.") from error
    return Call(method, path, query, {"content-type": "application/json", **headers}, encoded)
