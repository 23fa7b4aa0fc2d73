"""Compress large responses with gzip for clients that accept it: docs/decisions/0014."""

import asyncio
import zlib
from functools import lru_cache

from gateway.http.graphql_over_http import Header, Headers

SMALLEST = 1400
"""The least size of a body in bytes: a smaller one fits into one packet anyway."""

LARGE = 64 * 1024
"""From this size in bytes a body is compressed in a thread; a smaller one takes about 0.1 ms."""

FASTEST = 1
"""zlib's level: less than half the time of the default, for results a fifth larger."""

GZIP_4_KIB = 16 + 12
"""gzip with a window of 4 KiB, which covers several rows. Allocating the default of 32 KiB takes
five times as long as compressing 6 KB."""

MEMORY = 6

CONTENT_ENCODING: Header = (b"content-encoding", b"gzip")


def accepts_gzip(headers: Headers) -> bool:
    """Return whether the response to a request with these headers may be compressed.

    Not for browser pages: an attacker can trigger their requests and observe the lengths (BREACH).
    """
    accepted = headers.get(b"accept-encoding")
    is_from_page = b"origin" in headers or b"sec-fetch-site" in headers
    return accepted is not None and not is_from_page and _prefers_gzip(accepted)


@lru_cache(maxsize=128)
def _prefers_gzip(accept_encoding: bytes) -> bool:
    """Evaluate the header (RFC 9110, 12.5.3); with equal weights, gzip is preferred."""
    weights: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").lower().split(",")[:20]:
        coding, _, parameter = part.partition(";")
        name, _, weight = parameter.partition("=")
        try:
            weights[coding.strip()] = float(weight) if name.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def compressed(body: bytes) -> bytes:
    """Return a body compressed with gzip (RFC 1952)."""
    gzip = zlib.compressobj(FASTEST, zlib.DEFLATED, GZIP_4_KIB, MEMORY)
    return gzip.compress(body) + gzip.flush()


async def compressed_aside(body: bytes) -> bytes:
    """Return the same, in a thread if the body is large, so that the event loop is not blocked."""
    if len(body) < LARGE:
        return compressed(body)
    return await asyncio.to_thread(compressed, body)
