"""HTTP/1.1 requests as bytes, and the origin that they are sent to."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Self

import httpx

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods that send `content-length: 0` without a body (RFC 9110, 8.6)."""

FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that delimit the body: they are written here and never copied."""

PORTS = {"http": 80, "https": 443}

_TARGET = re.compile(r"/[!\"$-~]*")  # visible ASCII but #
_DOTS = re.compile(r"/\.\.?(?:/|$)")


class HttpOrigin(NamedTuple):
    """The scheme, host and port of a connection."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """Return a URL's origin. Raises `httpx.UnsupportedProtocol` if it is not http or https."""
        if url.scheme not in PORTS or not url.raw_host:
            raise httpx.UnsupportedProtocol("only http:// and https:// with a host")
        host = url.raw_host.decode("ascii").strip("[]")
        return cls(url.scheme, host, url.port or PORTS[url.scheme])


class Request(NamedTuple):
    """A request as it is written to the connection."""

    origin: HttpOrigin
    data: bytes
    is_head: bool = False


def request_bytes(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> bytes:
    """Return head and body: the headers in order, then the length of the body.

    Raises `httpx.LocalProtocolError` for a request that would be misread: a line break in a token
    would start another header or another request, and a dot segment in the path would name
    another resource.
    """
    if (
        not (method.isascii() and method.isalpha())
        or not _TARGET.fullmatch(target)
        or ("/." in target and _DOTS.search(target.partition("?")[0]))
    ):
        raise httpx.LocalProtocolError("a part of the request is not valid in HTTP")
    line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    fields = _field_lines(tuple(headers))
    if not body and method not in WITH_BODY:
        return b"%b%b\r\n" % (line, fields)
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, fields, len(body or b""), body or b"")


@lru_cache(maxsize=64)  # most calls to a provider have the same headers
def _field_lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    fields = [each for each in headers if each[0].lower() not in FRAMING]
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    if lines.count("\r") != len(fields) or lines.count("\n") != len(fields) or "\0" in lines:
        raise httpx.LocalProtocolError("a part of the request is not valid in HTTP")
    try:
        return lines.encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header is not Latin-1") from error
