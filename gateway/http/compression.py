"""Compress large answers with gzip for callers that accept it: docs/decisions/0014."""

import asyncio
import zlib
from functools import lru_cache

from gateway.http.graphql_over_http import Header, Headers

SMALLEST = 1400
"""Bytes of a body that is compressed: a smaller one fits into one packet anyhow."""

LARGE = 64 * 1024
"""Bytes from which a body is compressed on a thread: below, that takes some 0.1 ms."""

FASTEST = 1
"""zlib's level: less than half the time of its default, for answers a fifth larger."""

GZIP_4_KIB = 16 + 12
"""gzip with a window of 4 KiB, in which rows repeat each other: its default of 32 KiB, and the
memory that goes with it, take five times as long to set up as 6 KB take to compress."""

MEMORY = 6

CONTENT_ENCODING: Header = (b"content-encoding", b"gzip")


def accepts_gzip(headers: Headers) -> bool:
    """Tell whether the answer to a request with these headers may be compressed.

    Not for pages, whose requests others can cause and whose lengths they can observe (BREACH).
    """
    accepted = headers.get(b"accept-encoding")
    is_of_page = b"origin" in headers or b"sec-fetch-site" in headers
    return accepted is not None and not is_of_page and _prefers_gzip(accepted)


@lru_cache(maxsize=128)
def _prefers_gzip(accept_encoding: bytes) -> bool:
    """Read the header (RFC 9110, 12.5.3); without a weight, `identity` comes after gzip."""
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
    """Return a body in gzip (RFC 1952)."""
    gzip = zlib.compressobj(FASTEST, zlib.DEFLATED, GZIP_4_KIB, MEMORY)
    return gzip.compress(body) + gzip.flush()


async def compressed_aside(body: bytes) -> bytes:
    """Do the same; a large body does not keep others waiting."""
    if len(body) < LARGE:
        return compressed(body)
    return await asyncio.to_thread(compressed, body)
