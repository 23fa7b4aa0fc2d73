"""One HTTP/1.1 connection to a provider: writes requests, parses responses as they arrive.

The parser is httptools (llhttp), without its lenient modes: ambiguous messages are errors.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

import httptools
import httpx

from gateway.network_failures import NotHttpError
from gateway.upstream.http.http1_request import Request

MAX_HEAD_BYTES = 64 * 1024
"""The size limit of a response's header fields, and of the framing between two body parts."""

BUFFER_BYTES = 256 * 1024
"""The size of unread body data at which reading from the socket pauses."""

MAX_CACHED_NAMES = 1024


class Receiver(Protocol):
    """Waits for a response."""

    context: Context
    """That in which `received` is called."""

    def received(self, connection: "Connection") -> None:
        """Take the response from the connection."""


Fields = list[tuple[bytes, bytes]]

INFORMATIONAL, FINAL, SWITCHING_PROTOCOLS = 100, 200, 101


class _Names(dict[bytes, str]):
    """The lower-case names of fields: all replies of a provider have the same."""

    def __missing__(self, name: bytes) -> str:
        lower = name.decode("latin-1").lower()
        if len(self) < MAX_CACHED_NAMES:
            self[name] = lower
        return lower


_NAMES = _Names()


def _joined(headers: Fields) -> dict[str, str]:
    """Return the headers by name, repeated values joined by commas."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = _NAMES[raw_name], raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _too_large() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError(f"more than {MAX_HEAD_BYTES} bytes of header fields")


class Connection(asyncio.Protocol):
    """A connection for one request at a time; buffers at most `BUFFER_BYTES` and one socket read.

    Any error closes it, also one after the end of the response.
    """

    def __init__(
        self, on_lost: Callable[["Connection"], None], idle: dict["Connection", float]
    ) -> None:
        """Create the protocol for `create_connection`; `on_lost` is called when it has closed."""
        self._on_lost = on_lost
        self.idle = idle
        """The idle connections of its origin; see `Http1Transport`."""
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self.error: httpx.TransportError | None = None
        """The error of the response."""
        self._is_paused = False
        self.is_complete = True  # before the first request no data may arrive
        self._keeps_alive = True
        self._is_head_request = False
        self._wakes_at_end = False
        self._receiver: Receiver | None = None
        self._parts: list[bytes] = []
        self._raw_fields: Fields = []
        self.buffered = 0
        """The size of the buffered part of the body."""
        self._dropped_size = 0
        """The size of the fields of informational responses."""
        self._gap = 0
        self.is_open = False
        self.status = 0
        self.headers: Fields = []
        self.fields: dict[str, str] = {}
        """The headers by lower-case name, repeated values joined by commas (RFC 9110, 5.3)."""

    # Called by the pool.

    def send(self, request: Request, receiver: Receiver | None = None) -> bool:
        """Write a request. Return False, and write nothing, if the connection has closed.

        `receiver` is called once: with the whole response, or as much of it as is buffered, or
        after an error. Without it, read the response by the methods below.
        """
        if not self.is_open:
            return False
        self._receiver = receiver
        self.is_complete = False
        self._is_head_request = request.is_head
        self._dropped_size = self._gap = self.status = 0
        self._transport.write(request.data)
        return True

    async def read_head(self, read_s: float | None) -> None:
        """Wait for `status`, `headers` (as sent, in order) and `fields`.

        `read_s` limits each wait for data. Raises `httpx.TransportError`.
        """
        while not self.status:
            await self._next_event_within(read_s)

    async def read_ahead(self) -> None:
        """Wait for the whole response, or as much of it as is buffered. Raises as `read_head`."""
        self._wakes_at_end = True  # waking for every packet would cost more than all else
        while not self.is_complete and self.buffered < BUFFER_BYTES:
            await self._next_event()
        self._wakes_at_end = False

    async def read_part(self, read_s: float | None) -> bytes:
        """Return the next part of the body; empty at the end. Raises as `read_head`."""
        while not self._parts:
            if self.is_complete:
                return b""
            await self._next_event_within(read_s)
        return self.take_body()

    def take_body(self) -> bytes:
        """Return the buffered part of the body and clear the buffer."""
        part = b"".join(self._parts)
        self._parts.clear()
        self.buffered = 0
        if self._is_paused and self.is_open:
            self._is_paused = False
            self._transport.resume_reading()
        return part

    @property
    def is_free(self) -> bool:
        """Whether another request may follow: the response is complete and nothing is buffered."""
        return (
            self.is_complete
            and self._keeps_alive
            and self.is_open
            and not self._parts
            # Data left to write: the response arrived before the whole request was sent.
            and not self._transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Abort the connection without flushing. `on_lost` is called soon after."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept requests from now on."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's transport does not inherit from asyncio.Transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Parse the data; unsolicited data closes the connection."""
        if self.is_complete or self.error is not None:
            self.close()
            return
        self._gap += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            kind = httpx.RemoteProtocolError if self.status else NotHttpError
            self._fail(kind(str(error.__context__ or error)))
        if not self.is_complete:
            if self._gap > MAX_HEAD_BYTES:
                self._fail(_too_large())
            if self.buffered >= BUFFER_BYTES and not self._is_paused and self.is_open:
                self._is_paused = True
                self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """End a body without a stated length, and close the connection."""
        self._end(None)
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the response unless it is complete."""
        self.is_open = False
        self._end(error)
        del self._parser  # breaks the reference cycle with its callbacks
        self._on_lost(self)

    # Called by the parser within `data_received`. An error raised here ends the parsing.

    def on_message_begin(self) -> None:
        """Refuse bytes after the response."""
        if self.is_complete:
            raise httpx.RemoteProtocolError("bytes after the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a field. Called for each one, so the work is done for all of them later."""
        self._raw_fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Process the head; informational responses (1xx) are dropped."""
        status = self._parser.get_status_code()
        headers, self._raw_fields = self._raw_fields, []
        if status < FINAL:
            self._dropped_size = self._size_with(headers)
            if status < INFORMATIONAL or status == SWITCHING_PROTOCOLS:
                raise httpx.RemoteProtocolError(f"status {status}")
            return
        if self._gap > MAX_HEAD_BYTES:  # else the fields, which are part of it, are smaller
            self._size_with(headers)
        fields = {_NAMES[name]: value.decode("latin-1") for name, value in headers}
        if len(fields) < len(headers):
            fields = _joined(headers)
        if "transfer-encoding" in fields and fields["transfer-encoding"].lower() != "chunked":
            raise httpx.RemoteProtocolError("a transfer coding that was not requested")
        self.status, self.headers, self.fields = status, headers, fields
        if self._is_head_request:
            # The parser cannot know that no body follows, so it is not reused.
            self._keeps_alive = False
            self.is_complete = True

    def on_body(self, data: bytes) -> None:
        """Buffer a part of the body."""
        if self.is_complete:
            raise httpx.RemoteProtocolError("a body in a response that has none")
        self._parts.append(data)
        self.buffered += len(data)
        self._gap = 0

    def on_message_complete(self) -> None:
        """Complete the response, unless it was informational; trailer fields are dropped."""
        if self.status and not self.is_complete:
            if self._raw_fields:
                self._size_with(self.headers + self._raw_fields)
                self._raw_fields = []
            self._keeps_alive = self._parser.should_keep_alive()
            self.is_complete = True

    def _size_with(self, fields: Fields) -> int:
        """Return the size of these and all dropped fields, which is limited."""
        size = self._dropped_size + sum([len(name) + len(value) for name, value in fields])
        if size > MAX_HEAD_BYTES:
            raise _too_large()
        return size

    def _end(self, error: Exception | None) -> None:
        if self.is_complete:
            return
        if error is not None:
            self._fail(httpx.ReadError(str(error) or type(error).__name__))
        elif not self.status:
            self._fail(httpx.RemoteProtocolError("the connection was closed before a response"))
        elif "content-length" in self.fields or "transfer-encoding" in self.fields:
            self._fail(httpx.RemoteProtocolError("the connection was closed within the response"))
        else:
            self._keeps_alive = False
            self.is_complete = (
                True  # RFC 9112, 6.3: a body without a stated length ends with the connection
            )
        self._wake()

    def _fail(self, error: httpx.TransportError) -> None:
        if not self.is_complete and self.error is None:
            self.error = error
        self.close()

    def _next_event(self) -> asyncio.Future[None]:
        if self.error is not None:
            raise self.error
        self._waiter = self._loop.create_future()
        return self._waiter

    async def _next_event_within(self, read_s: float | None) -> None:
        if read_s is None:
            await self._next_event()
            return
        try:
            async with asyncio.timeout(read_s):
                await self._next_event()
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no data for {read_s} s") from error

    def _wake(self) -> None:
        receiver = self._receiver
        if receiver is not None:
            if self.is_complete or self.buffered >= BUFFER_BYTES or self.error is not None:
                self._receiver = None
                receiver.context.run(receiver.received, self)
            return
        if (
            self._wakes_at_end
            and not self.is_complete
            and self.buffered < BUFFER_BYTES
            and not self.error
        ):
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
