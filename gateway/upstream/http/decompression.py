"""Decompress a body as it arrives, in parts of limited size, and join them."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx

MAX_PART_BYTES = 256 * 1024
"""The largest decompressed part: a few hundred bytes of gzip can contain a megabyte."""

MAX_RATIO = 200
"""A body that expands more than this is a decompression bomb. gzip reduces text to a tenth,
repetitive rows to a fiftieth, zeros to a thousandth."""

ALWAYS_ALLOWED_BYTES = 1024 * 1024
"""The size that any body may expand to."""

YIELD_EVERY_BYTES = 256 * 1024
"""Decompressed bytes after which other tasks get to run: about a millisecond."""

SMALL_BYTES = 8 * 1024
"""A compressed body up to this size is decompressed at once, in milliseconds at worst."""

CONTENT_ENCODING = b"content-encoding"

DEFLATE_METHOD = 8
"""The low half of a zlib stream's first byte (RFC 1950); some servers send raw deflate."""


class Inflater:
    """Decompresses the gzip or deflate body of one reply."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._stream: zlib._Decompress | None = None
        self._bytes_in = 0
        self._bytes_out = 0

    def parts(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed parts of this data.

        Raises `httpx.RemoteProtocolError`, and `httpx.DecodingError` for a decompression bomb.
        """
        self._bytes_in += len(data)
        while data:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(data))
            try:
                part = self._stream.decompress(data, MAX_PART_BYTES)
                while part:
                    self._bytes_out += len(part)
                    self._check_size(self._stream)
                    yield part
                    if self._stream.eof:
                        break  # another call would append the tail to `unused_data` again
                    # More output may be buffered in zlib only.
                    part = self._stream.decompress(self._stream.unconsumed_tail, MAX_PART_BYTES)
            except zlib.error as error:
                raise httpx.RemoteProtocolError(f"badly compressed: {error}") from error
            if not self._stream.eof:
                return
            data = self._stream.unused_data
            if data and not self._is_gzip:
                raise httpx.RemoteProtocolError("bytes after a compressed body")
            self._stream = None if data else self._stream  # gzip may have several members

    def finish(self) -> None:
        """Raise `httpx.RemoteProtocolError` for a truncated body. An empty body is valid."""
        if self._stream is not None and not self._stream.eof:
            raise httpx.RemoteProtocolError("a compressed body is truncated")

    def _check_size(self, stream: "zlib._Decompress") -> None:
        if self._bytes_out > ALWAYS_ALLOWED_BYTES:
            left = len(stream.unconsumed_tail) + len(stream.unused_data)
            if self._bytes_out > MAX_RATIO * (self._bytes_in - left):
                raise httpx.DecodingError("a body that expands to far too much")

    def _window(self, data: bytes) -> int:
        if self._is_gzip:
            return zlib.MAX_WBITS | 16
        return zlib.MAX_WBITS if data[0] & 0x0F == DEFLATE_METHOD else -zlib.MAX_WBITS


def inflater(headers: Sequence[tuple[bytes, bytes]]) -> Inflater | None:
    """Return the decompressor for these headers; None: the body is not compressed.

    Raises `httpx.RemoteProtocolError` for an unsupported coding.
    """
    codings = [value.lower() for name, value in headers if name.lower() == CONTENT_ENCODING]
    if not codings or codings == [b"identity"]:
        return None
    if codings not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        raise httpx.RemoteProtocolError("a content coding that was not requested")
    return Inflater(is_gzip=codings != [b"deflate"])


def inflate(inflater: Inflater, data: bytes, max_bytes: int) -> bytes:
    """Decompress a whole body. Raises as `Inflater` does, and as `check_size`."""
    body, size = [], 0
    for part in inflater.parts(data):
        size += len(part)
        check_size(size, max_bytes)
        body.append(part)
    inflater.finish()
    return b"".join(body)


async def read_body(parts: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """Join a body's parts. Raises `httpx.DecodingError` beyond `max_bytes`."""
    body, size, yield_at = [], 0, YIELD_EVERY_BYTES
    async for part in parts:
        size += len(part)
        check_size(size, max_bytes)
        body.append(part)
        if size >= yield_at:  # a small reply may expand to a large body without any wait
            yield_at = size + YIELD_EVERY_BYTES
            await asyncio.sleep(0)
    return b"".join(body)


def check_size(size: int, max_bytes: int) -> None:
    """Raise `httpx.DecodingError` for a body beyond `max_bytes`."""
    if size > max_bytes:
        raise httpx.DecodingError(f"the reply is larger than {max_bytes} bytes")
