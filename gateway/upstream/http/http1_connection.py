"""One HTTP/1.1 connection to a provider: a request is written, its answer parsed as it arrives.

httptools (llhttp) parses, with none of its leniencies: what can be read in two ways is an error.
"""

import asyncio
from collections.abc import Callable

import httptools
import httpx

from gateway.network_failures import NotHttpError

LARGEST_HEAD = 64 * 1024
"""Bytes of an answer's names and values, and of anything between two parts of its body."""

ENOUGH = 256 * 1024
"""Bytes of a body that wait for their reader before reading from the socket stops."""

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
        self.is_whole = True  # nothing is asked yet, so nothing may come
        self._is_kept_alive = True
        self._asks_for_head = False
        self._wants_all = False
        self._parts: list[bytes] = []
        self._told: list[tuple[bytes, bytes]] = []
        self._waiting = 0
        self._head_size = 0
        self._gap = 0
        self.is_open = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.fields: dict[str, str] = {}
        """The same by lower-case name, the values of repeated ones joined (RFC 9110, 5.3)."""

    # What the pool does.

    def send(self, request: bytes, *, asks_for_head: bool) -> bool:
        """Write a whole request; False, and nothing is written, when the connection has closed."""
        if not self.is_open:
            return False
        self.is_whole = False
        self._asks_for_head = asks_for_head
        self._head_size = self._gap = self.status = 0
        self._transport.write(request)
        return True

    async def head(self, read_s: float | None) -> None:
        """Wait for `status` and `headers`, each as it was sent, in their order, and `fields`.

        `read_s` limits each wait for the provider. Raises `httpx.TransportError`.
        """
        while not self.status:
            await self._change(read_s)

    async def most(self) -> None:
        """Wait for the whole answer, or as much of it as is kept in memory. Raises as `head`."""
        self._wants_all = True  # to be woken for every packet would cost more than the rest
        while not self.is_whole and self._waiting < ENOUGH:
            await self._next()
        self._wants_all = False

    async def part(self, read_s: float | None) -> bytes:
        """Return the next part of the body; it is empty at the end. Raises as `head`."""
        while not self._parts:
            if self.is_whole:
                return b""
            await self._change(read_s)
        return self.taken()

    def taken(self) -> bytes:
        """Return what has come of the body and was not taken yet."""
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
            self.is_whole
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
        if self.is_whole or self._error is not None:
            self.close()
            return
        self._gap += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            kind = httpx.RemoteProtocolError if self.status else NotHttpError
            self._fail(kind(str(error.__context__ or error)))
        if self._gap > LARGEST_HEAD and not self.is_whole:
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
        if self.is_whole:
            raise httpx.RemoteProtocolError("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field: this is called for each, so all else is done for all of them."""
        self._told.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the head; one that only informs (1xx) is dropped."""
        status = self._parser.get_status_code()
        headers, fields = self._told, self._fields()
        if status < FINAL:
            if status < INFORMATIONAL or status == SWITCHING_PROTOCOLS:
                raise httpx.RemoteProtocolError(f"status {status}")
            return
        if fields.get("transfer-encoding", "chunked").lower() != "chunked":
            raise httpx.RemoteProtocolError("a transfer coding that was not asked for")
        self.status, self.headers, self.fields = status, headers, fields
        if self._asks_for_head:
            # The parser cannot be told that no body follows: it is not used again.
            self._is_kept_alive = False
            self.is_whole = True

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body for its reader."""
        if self.is_whole:
            raise httpx.RemoteProtocolError("a body after an answer that has none")
        self._parts.append(data)
        self._waiting += len(data)
        self._gap = 0

    def on_message_complete(self) -> None:
        """Take the end of the answer, unless it only informed; what came after it is dropped."""
        if self.status and not self.is_whole:
            if self._told:
                self._fields()
            self._is_kept_alive = self._parser.should_keep_alive()
            self.is_whole = True

    def _fields(self) -> dict[str, str]:
        """Take the fields that were told, of a head or after a body."""
        told, self._told = self._told, []
        fields: dict[str, str] = {}
        for raw_name, raw_value in told:
            self._head_size += len(raw_name) + len(raw_value)
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        if self._head_size > LARGEST_HEAD:
            raise httpx.RemoteProtocolError(f"more than {LARGEST_HEAD} bytes of head")
        return fields

    def _end(self, error: Exception | None) -> None:
        if self.is_whole:
            return
        if error is not None:
            self._fail(httpx.ReadError(str(error) or type(error).__name__))
        elif not self.status:
            self._fail(httpx.RemoteProtocolError("the connection was closed without an answer"))
        elif "content-length" in self.fields or "transfer-encoding" in self.fields:
            self._fail(httpx.RemoteProtocolError("the connection was closed within the answer"))
        else:
            self._is_kept_alive = False
            self.is_whole = True  # RFC 9112, 6.3: a body of no stated length ends with it
        self._wake()

    def _fail(self, error: httpx.TransportError) -> None:
        if not self.is_whole and self._error is None:
            self._error = error
        self.close()

    def _next(self) -> asyncio.Future[None]:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        return self._waiter

    async def _change(self, read_s: float | None) -> None:
        if read_s is None:
            await self._next()
            return
        try:
            async with asyncio.timeout(read_s):
                await self._next()
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"nothing came for {read_s} s") from error

    def _wake(self) -> None:
        if self._wants_all and not self.is_whole and self._waiting < ENOUGH and not self._error:
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
