"""HTTP/1.1 requests as bytes, and the origin that they are sent to."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

import httpx
import msgspec

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods that send `content-length: 0` without a body (RFC 9110, 8.6)."""

FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that delimit the body: they are written here and never copied."""

PORTS = {"http": 80, "https": 443}

_VISIBLE = bytes(range(ord("!"), ord("~") + 1)).replace(b"#", b"")
"""The characters of a target."""

_OTHERS_REPLACED = bytes(byte if byte in _VISIBLE else _VISIBLE[0] for byte in range(256))
"""A table for `bytes.translate`, which is several times as fast as one that deletes."""

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


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request as it is written to the connection."""

    origin: HttpOrigin
    data: bytes
    is_head: bool = False


def request_bytes(method: str, target: str, fields: bytes, body: bytes | None) -> bytes:
    """Return head and body: the `field_lines`, then the length of the body.

    Raises `httpx.LocalProtocolError` for a request that would be misread: a dot segment in the
    path would name another resource.
    """
    line_text = f"{method} {target} HTTP/1.1\r\n"
    if (
        not (line_text.isascii() and method.isalpha() and target.startswith("/"))
        or (raw := target.encode()).translate(_OTHERS_REPLACED) != raw
        or ("." in target and _DOTS.search(target.partition("?")[0]))
    ):
        raise httpx.LocalProtocolError("a part of the request is not valid in HTTP")
    line = line_text.encode()
    if not body and method not in WITH_BODY:
        return line + fields + b"\r\n"
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, fields, len(body or b""), body or b"")


def field_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the headers as lines, in order.

    Raises `httpx.LocalProtocolError` for those that would be misread: a line break in a token
    would start another header or another request.
    """
    fields = [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in FRAMING]
    lines = "".join(fields)
    if lines.count("\r") != len(fields) or lines.count("\n") != len(fields) or "\0" in lines:
        raise httpx.LocalProtocolError("a part of the request is not valid in HTTP")
    try:
        return lines.encode("ascii")  # in others, servers read different texts (RFC 9110, 5.5)
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header is not ASCII") from error
