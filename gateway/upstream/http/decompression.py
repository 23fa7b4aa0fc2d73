"""Undo a body's compression as it arrives, in parts of bounded size, and join them."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx

LARGEST_PART = 256 * 1024
"""Bytes of one part: a few hundred bytes of gzip can be a megabyte, and a reader may stop."""

MOST_TIMES = 200
"""A body that unpacks to more than so many times its size is a bomb: gzip makes text a tenth, rows
that repeat each other a fiftieth, nothing but zeros a thousandth."""

SMALL = 1024 * 1024
"""Bytes that any body may unpack to."""

TURN_BYTES = 256 * 1024
"""Of a body that are decompressed before others have their turn: about a millisecond."""

CONTENT_ENCODING = b"content-encoding"

DEFLATE_METHOD = 8
"""The low half of a zlib stream's first byte (RFC 1950); some servers send the bare stream."""


class Inflater:
    """Undoes gzip or deflate for one answer."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._stream: zlib._Decompress | None = None
        self._taken = 0
        self._given = 0

    def parts(self, data: bytes) -> Iterator[bytes]:
        """Yield what this part of the body holds.

        Raises `httpx.RemoteProtocolError`, and `httpx.DecodingError` for a bomb.
        """
        self._taken += len(data)
        while data:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(data))
            try:
                part = self._stream.decompress(data, LARGEST_PART)
                while part:
                    self._given += len(part)
                    self._check_size(self._stream)
                    yield part
                    if self._stream.eof:
                        break  # asked once more, zlib would add the tail to `unused_data` again
                    # What is left may be in zlib's window only.
                    part = self._stream.decompress(self._stream.unconsumed_tail, LARGEST_PART)
            except zlib.error as error:
                raise httpx.RemoteProtocolError(f"badly compressed: {error}") from error
            if not self._stream.eof:
                return
            data = self._stream.unused_data
            if data and not self._is_gzip:
                raise httpx.RemoteProtocolError("bytes after a compressed body")
            self._stream = None if data else self._stream  # gzip may be several in a row

    def finish(self) -> None:
        """Refuse a body that was cut short; one without a byte is none at all."""
        if self._stream is not None and not self._stream.eof:
            raise httpx.RemoteProtocolError("a compressed body was cut short")

    def _check_size(self, stream: "zlib._Decompress") -> None:
        if self._given > SMALL:
            left = len(stream.unconsumed_tail) + len(stream.unused_data)
            if self._given > MOST_TIMES * (self._taken - left):
                raise httpx.DecodingError("a body that unpacks to far too much")

    def _window(self, data: bytes) -> int:
        if self._is_gzip:
            return zlib.MAX_WBITS | 16
        return zlib.MAX_WBITS if data[0] & 0x0F == DEFLATE_METHOD else -zlib.MAX_WBITS


def inflater(headers: Sequence[tuple[bytes, bytes]]) -> Inflater | None:
    """Return what undoes the compression that these headers tell of.

    Raises `httpx.RemoteProtocolError` for a coding that is not known here.
    """
    codings = [value.lower() for name, value in headers if name.lower() == CONTENT_ENCODING]
    if not codings or codings == [b"identity"]:
        return None
    if codings not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        raise httpx.RemoteProtocolError("a content coding that was not asked for")
    return Inflater(is_gzip=codings != [b"deflate"])


async def joined(parts: AsyncIterator[bytes], largest: int) -> bytes:
    """Return a whole body. Raises `httpx.DecodingError` for one of more than `largest` bytes."""
    kept, size, turn_ends = [], 0, TURN_BYTES
    async for part in parts:
        size += len(part)
        check_size(size, largest)
        kept.append(part)
        if size >= turn_ends:  # a small answer may unpack to a large one without any waiting
            turn_ends = size + TURN_BYTES
            await asyncio.sleep(0)
    return b"".join(kept)


def check_size(size: int, largest: int) -> None:
    """Raise `httpx.DecodingError` for a body of more than `largest` bytes."""
    if size > largest:
        raise httpx.DecodingError(f"the answer is larger than {largest} bytes")
