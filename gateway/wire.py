"""One HTTP exchange as plain values: the call and the only function that may read its reply.

No secret is part of a call, except of the call that signs in; no repr shows headers or bodies.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)

NO_HEADERS: Mapping[str, str] = {}


class Call(msgspec.Struct, frozen=True):
    """A request, below the provider's base URL.

    `path` is percent-encoded already; `query` keeps its order and may repeat a name.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes | None = None

    def __repr__(self) -> str:
        """Show method and path: query, headers and body may name people or hold a secret."""
        return f"Call({self.method} {self.path})"


class Reply(msgspec.Struct, frozen=True):
    """An answer: `headers` by lower-case name, `body` decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show status and size."""
        return f"Reply({self.status}, {len(self.body)} bytes)"


class Exchange(msgspec.Struct, Generic[T_co], frozen=True):
    """A call and how to read its reply; `operation` names it in errors, logs and traces."""

    operation: str
    call: Call
    read: Callable[[Reply], T_co]
    is_idempotent: bool = True


class Lookup(msgspec.Struct, frozen=True):
    """A question to the gateway's own record: what it told a provider that cannot be read.

    `what` is one of `segments`, `segment`, `members`, `member_count`, `customers`, `customer` and
    `assignments`; `args` are its parts. The rows that answer it are `gateway.store`'s.
    """

    what: str
    args: tuple[str, ...] = ()
    after: str | None = None
    """Behind which row, in the order of the answer; None is the start."""
    size: int = 0
    with_total: bool = False


class Recall(msgspec.Struct, Generic[T_co], frozen=True):
    """A lookup and how to read its rows: an exchange with the record instead of the provider."""

    operation: str
    lookup: Lookup
    read: Callable[[Any], T_co]


class Token(msgspec.Struct, frozen=True):
    """What a sign-in gave: the value of the Authorization header, and for how long."""

    authorization: str
    lifetime_s: float

    def __repr__(self) -> str:
        """Show the lifetime only."""
        return f"Token(lifetime_s={self.lifetime_s})"


def json_call(
    method: str,
    path: str,
    body: Any,
    *,
    query: tuple[tuple[str, str], ...] = (),
    headers: Mapping[str, str] = NO_HEADERS,
) -> Call:
    """Return a call that carries JSON."""
    return Call(
        method,
        path,
        query,
        {"content-type": "application/json", **headers},
        msgspec.json.encode(body),
    )
