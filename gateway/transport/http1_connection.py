"""One HTTP/1.1 connection to a provider: a request is written, its answer parsed as it arrives.

httptools (llhttp) parses, with none of its leniencies: what can be read in two ways is an error.
"""

import asyncio
from collections.abc import Callable

import httptools
import httpx

LARGEST_HEAD = 64 * 1024
"""Bytes of an answer's names and values, and of anything between two parts of its body."""

ENOUGH = 256 * 1024
"""Bytes of a body that wait for their reader before reading from the socket stops."""

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""Headers that tell where a body ends."""

INFORMATIONAL, FINAL, SWITCHING_PROTOCOLS = 100, 200, 101


class Connection(asyncio.Protocol):
    """One connection: one request at a time, in memory at most `ENOUGH` and one read of an answer.

    Whatever goes wrong, also after the answer's end, closes the connection.
    """

    def __init__(self, lost: Callable[["Connection"], None]) -> None:
        """Be handed to `create_connection`; `lost` is called when the connection is no more."""
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._error: httpx.TransportError | None = None
        self._is_paused = False
        self._is_whole = True  # nothing is asked yet, so nothing may come
        self._is_kept_alive = True
        self._asks_for_head = False
        self._parts: list[bytes] = []
        self._waiting = 0
        self._head_size = 0
        self._gap = 0
        self.is_open = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    # What the pool does.

    def send(self, request: bytes, *, asks_for_head: bool) -> bool:
        """Write a whole request; False, and nothing is written, when the connection has closed."""
        if not self.is_open:
            return False
        self._is_whole = False
        self._asks_for_head = asks_for_head
        self._head_size = self._gap = self.status = 0
        self.headers = []
        self._transport.write(request)
        return True

    async def head(self, read_s: float | None) -> None:
        """Wait for `status` and `headers`, each as it was sent, in their order.

        `read_s` limits each wait for the provider. Raises `httpx.TransportError`.
        """
        while not self.status:
            await self._change(read_s)

    async def part(self, read_s: float | None) -> bytes:
        """Return the next part of the body; it is empty at the end. Raises as `head`."""
        while not self._parts:
            if self._is_whole:
                return b""
            await self._change(read_s)
        part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._waiting = 0
        if self._is_paused and self.is_open:
            self._is_paused = False
            self._transport.resume_reading()
        return part

    @property
    def is_free(self) -> bool:
        """Whether another request may follow: the answer was read whole and nothing is left."""
        return (
            self._is_whole
            and self._is_kept_alive
            and self.is_open
            and not self._parts
            # The answer came before all of the request was sent.
            and not self._transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Hang up at once; nothing is flushed. `lost` is called soon after."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for requests."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport by its bases
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Parse; what nobody asked for closes the connection."""
        if self._is_whole or self._error is not None:
            self.close()
            return
        self._gap += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(str(error.__context__ or error)))
        if self._gap > LARGEST_HEAD and not self._is_whole:
            self._fail(httpx.RemoteProtocolError(f"more than {LARGEST_HEAD} bytes of head"))
        if self._waiting >= ENOUGH and not self._is_paused and self.is_open:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Take the end: of a body without a length, or of the connection."""
        self._end(None)
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the answer unless it is whole."""
        self.is_open = False
        self._end(error)
        del self._parser  # it holds our methods, and we it
        self._lost(self)

    # What the parser calls, within `data_received`. What is raised here ends the parsing.

    def on_message_begin(self) -> None:
        """Refuse bytes after the answer."""
        if self._is_whole:
            raise httpx.RemoteProtocolError("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field; those after the body are dropped."""
        self._head_size += len(name) + len(value)
        if self._head_size > LARGEST_HEAD:
            raise httpx.RemoteProtocolError(f"more than {LARGEST_HEAD} bytes of head")
        if not self.status:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the head; one that only informs (1xx) is dropped."""
        status = self._parser.get_status_code()
        if status < FINAL:
            if status < INFORMATIONAL or status == SWITCHING_PROTOCOLS:
                raise httpx.RemoteProtocolError(f"status {status}")
            self.headers = []
            return
        for name, value in self.headers:
            if name.lower() == b"transfer-encoding" and value.lower() != b"chunked":
                raise httpx.RemoteProtocolError("a transfer coding that was not asked for")
        self.status = status
        if self._asks_for_head:
            # The parser cannot be told that no body follows: it is not used again.
            self._is_kept_alive = False
            self._is_whole = True

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body for its reader."""
        if self._is_whole:
            raise httpx.RemoteProtocolError("a body after an answer that has none")
        self._parts.append(data)
        self._waiting += len(data)
        self._gap = 0

    def on_message_complete(self) -> None:
        """Take the end of the answer, unless it only informed."""
        if self.status and not self._is_whole:
            self._is_kept_alive = self._parser.should_keep_alive()
            self._is_whole = True

    def _end(self, error: Exception | None) -> None:
        if self._is_whole:
            return
        if error is not None:
            self._fail(httpx.ReadError(str(error) or type(error).__name__))
        elif not self.status:
            self._fail(httpx.RemoteProtocolError("the connection was closed without an answer"))
        elif any(name.lower() in FRAMING for name, _ in self.headers):
            self._fail(httpx.RemoteProtocolError("the connection was closed within the answer"))
        else:
            self._is_kept_alive = False
            self._is_whole = True  # RFC 9112, 6.3: a body of no stated length ends with it
        self._wake()

    def _fail(self, error: httpx.TransportError) -> None:
        if not self._is_whole and self._error is None:
            self._error = error
        self.close()

    async def _change(self, read_s: float | None) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        if read_s is None:
            await self._waiter
            return
        try:
            async with asyncio.timeout(read_s):
                await self._waiter
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"nothing came for {read_s} s") from error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
