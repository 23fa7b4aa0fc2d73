"""A request as bytes, and to whom: what is written to a connection."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Self

import httpx

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose request says `content-length: 0` when it has no body (RFC 9110, 8.6)."""

FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that tell where a body ends: they are written here, and never taken over."""

PORTS = {"http": 80, "https": 443}

_TARGET = re.compile(r"/[!\"$-~]*")  # visible ASCII but #
_DOTS = re.compile(r"/\.\.?(?:/|$)")


class HttpOrigin(NamedTuple):
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

    origin: HttpOrigin
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
    if (
        not (method.isascii() and method.isalpha())
        or not _TARGET.fullmatch(target)
        or ("/." in target and _DOTS.search(target.partition("?")[0]))
    ):
        raise httpx.LocalProtocolError("a request cannot carry this")
    line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    fields = _field_lines(tuple(headers))
    if not body and method not in WITH_BODY:
        return b"%b%b\r\n" % (line, fields)
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, fields, len(body or b""), body or b"")


@lru_cache(maxsize=64)  # a provider's calls have mostly the same headers
def _field_lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    told = [each for each in headers if each[0].lower() not in FRAMING]
    lines = "".join([f"{name}: {value}\r\n" for name, value in told])
    if lines.count("\r") != len(told) or lines.count("\n") != len(told) or "\0" in lines:
        raise httpx.LocalProtocolError("a request cannot carry this")
    try:
        return lines.encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header that is not Latin-1") from error
