"""An HTTP exchange as plain values: a call, and the only function that may read its reply.

Only the call that signs in contains a secret. No repr shows headers or bodies.
"""

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeAlias

import msgspec

from gateway.errors import BadInput
from gateway.providers.base.store_lookup import Recall, T_co

NO_HEADERS: Mapping[str, str] = {}

MAX_CACHED_QUERIES = 128

UNRESERVED = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
"""The characters that are never percent-encoded in a URL (RFC 3986, 2.3)."""

_QUOTED = [chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in range(128)]
"""Each ASCII character as it is written in a URL."""

_SHORT = 32
"""Characters up to which an ASCII text is translated one by one."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request, relative to the provider's base URL.

    `path` is percent-encoded. `query` is not; its order is kept, and a name may occur repeatedly.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes | None = None

    @property
    def identity(self) -> Hashable:
        """The parts that determine the reply: calls with equal ones can share it."""
        return (self.method, self.path, self.query, self.body, *self.headers.items())

    @property
    def target(self) -> str:
        """The path with the query, percent-encoded."""
        return f"{self.path}?{_encoded(self.query)}" if self.query else self.path

    def __repr__(self) -> str:
        """Show method and path: the rest may contain personal data or a secret."""
        return f"Call({self.method} {self.path})"


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A provider's reply: `headers` by lower-case name, `body` decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    oddities: list[str] = msgspec.field(default_factory=list)
    """Parts of the body that deviate from the documents; the adapter notes them for the log."""

    def __repr__(self) -> str:
        """Show status and size."""
        return f"Reply({self.status}, {len(self.body)} bytes)"


class Exchange(msgspec.Struct, Generic[T_co], frozen=True):
    """A call and the function that reads its reply.

    `operation` names the exchange in errors, logs and traces. `is_idempotent` is False if sending
    the call twice has another effect than sending it once.
    """

    operation: str
    call: Call
    read: Callable[[Reply], T_co]
    is_idempotent: bool = True
    keys: int | None = None
    """How many objects it reads or writes by their keys; None: it lists, or has no keys."""
    bounds_depth: bool = False
    """`read` decodes the body with `decode` only, which checks how deeply its parts nest."""


ReadPlan: TypeAlias = Exchange[T_co] | Recall[T_co]
"""How a value is read: by a call to the provider, or by a lookup in the gateway's store."""


class Token(msgspec.Struct, frozen=True):
    """The result of a sign-in: the value of the Authorization header, and its lifetime."""

    authorization: str
    lifetime_s: float

    def __repr__(self) -> str:
        """Show the lifetime only."""
        return f"Token(lifetime_s={self.lifetime_s})"


def quoted(text: str) -> str:
    """Percent-encode a text for a URL, except for the `UNRESERVED` characters.

    The result is that of `urllib.parse.quote(text, safe="")`, which takes forty times as long for
    a list of ids. Here, all equal bytes are replaced at once.
    """
    if text.isascii():
        if text.isalnum():
            return text
        if len(text) <= _SHORT:
            return text.translate(_QUOTED)
    raw = text.encode()
    others = raw.translate(None, UNRESERVED)
    if not others:
        return text
    first = others[:1]
    if others.count(first) == len(others):  # mostly a single comma, space or @
        return raw.replace(first, b"%%%02X" % ord(first)).decode("ascii")
    # Each replacement adds percent signs, so those of the text are replaced first.
    for byte in sorted(set(others), key=b"%"[0].__ne__):
        raw = raw.replace(bytes([byte]), b"%%%02X" % byte)
    return raw.decode("ascii")


@lru_cache(MAX_CACHED_QUERIES)  # many calls of an operation differ in their paths only
def _encoded(query: tuple[tuple[str, str], ...]) -> str:
    return "&".join([f"{quoted(name)}={quoted(value)}" for name, value in query])


def json_call(
    method: str,
    path: str,
    body: Any,
    *,
    query: tuple[tuple[str, str], ...] = (),
    headers: Mapping[str, str] = NO_HEADERS,
) -> Call:
    """Return a call with a JSON body. Raises `BadInput` if the body cannot be encoded."""
    try:
        encoded = msgspec.json.encode(body)
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadInput(
            "The input contains an incomplete character, or is nested too deeply."
        ) from error
    return Call(method, path, query, {"content-type": "application/json", **headers}, encoded)
