"""A request as bytes, and to whom: what is written to a connection."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

import httpx

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose request says `content-length: 0` when it has no body (RFC 9110, 8.6)."""

FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that tell where a body ends: they are written here, and never taken over."""

PORTS = {"http": 80, "https": 443}

_TARGET = re.compile(r"/[!\"$-~]*")  # visible ASCII but #
_DOTS = re.compile(r"/\.\.?(?:/|$)")


class Origin(NamedTuple):
    """Whom a connection is to."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """Read a URL's. Raises `httpx.UnsupportedProtocol` unless it is HTTP's."""
        if url.scheme not in PORTS or not url.raw_host:
            raise httpx.UnsupportedProtocol("only http:// and https:// with a host")
        host = url.raw_host.decode("ascii").strip("[]")
        return cls(url.scheme, host, url.port or PORTS[url.scheme])


class Request(NamedTuple):
    """A request as it goes over the wire."""

    origin: Origin
    data: bytes
    asks_for_head: bool = False


def request_bytes(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> bytes:
    """Return head and body; the headers in their order, and the length of the body after them.

    Raises `httpx.LocalProtocolError` for what would be read as something else: a token with a line
    break in it would begin another header, or another request; two dots as a part of the path
    would name another resource.
    """
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in FRAMING]
    if body or method in WITH_BODY:
        lines.append(f"content-length: {len(body or b'')}")
    ends = len(lines) + 1
    head = "\r\n".join([*lines, "", ""])
    if (
        not _TARGET.fullmatch(target)
        or ("/." in target and _DOTS.search(target.partition("?")[0]))
        or head.count("\r") != ends
        or head.count("\n") != ends
        or "\0" in head
    ):
        raise httpx.LocalProtocolError("a request cannot carry this")
    try:
        data = head.encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header that is not Latin-1") from error
    return data + body if body else data
