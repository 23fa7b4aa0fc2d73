"""Pooled HTTP/1.1 connections to providers, at a fraction of a general client's cost.

Two interfaces: httpx's transport, and `exchange`, which avoids httpx's requests and responses.
Why: docs/decisions/0004. For proxies see `gateway.upstream.http.aiohttp_transport`.
"""

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Self

import httpx
from aiohappyeyeballs import start_connection

from gateway.network_failures import Progress
from gateway.providers.base.exchange import Reply
from gateway.upstream.http.decompression import (
    CONTENT_ENCODING,
    SMALL_BYTES,
    check_size,
    inflate,
    inflater,
    read_body,
)
from gateway.upstream.http.http1_connection import Connection, Receiver
from gateway.upstream.http.http1_request import (
    HttpOrigin,
    Request,
    field_lines,
    request_bytes,
)

IDLE_S = 15.0
"""How long an idle connection is kept: less than by most servers (nginx 75 s, AWS load balancers
60 s), so that few requests meet a connection that is being closed."""

HAPPY_EYEBALLS_S = 0.25
"""The delay before the next address is tried: RFC 8305, section 5."""

NO_TIMEOUTS: Mapping[str, float | None] = {}


class Http1Transport(httpx.AsyncBaseTransport):
    """Keeps connections alive; sends each request once, unchanged, and follows no redirects.

    Respects the connect and read timeouts of the request. The number of connections is not
    limited: the caller limits its calls and sets their deadlines. A body arrives decompressed, in
    parts below 1 MiB whatever its compression, so that the reader can stop.

    `ConnectError`, `ConnectTimeout`, `LocalProtocolError` and `UnsupportedProtocol` mean that
    nothing was sent; with any other error the provider may have acted on the call.
    """

    def __init__(self, trust: ssl.SSLContext, idle_s: float = IDLE_S) -> None:
        """Open the pool; it belongs to the running event loop and must be closed in it."""
        self._loop = asyncio.get_running_loop()
        self._trust = trust
        self._idle_s = idle_s
        self._idle: defaultdict[HttpOrigin, dict[Connection, float]] = defaultdict(dict)
        """Idle connections, the newest last, and the times since which they are."""
        self._open: set[Connection] = set()
        self._is_closed = False
        self._all_closed = asyncio.Event()
        self._sweep_timer: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return when the head of the response has arrived.

        Raises `httpx.TransportError`. Cancelled, it closes the connection.
        """
        data = request_bytes(
            request.method,
            request.url.raw_path.decode("ascii"),
            field_lines(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in request.headers.raw
            ),
            request.content,
        )
        reply = await self.stream(
            Request(HttpOrigin.of(request.url), data, request.method == "HEAD"),
            request.extensions.get("timeout", NO_TIMEOUTS),
        )
        # The body is decompressed, so its coding is not reported.
        headers = [each for each in reply.headers if each[0].lower() != CONTENT_ENCODING]
        return httpx.Response(reply.status, headers=headers, stream=reply)

    async def stream(
        self, request: Request, timeouts: Mapping[str, float | None]
    ) -> "StreamedReply":
        """Send the request; return when the head of the response has arrived.

        `timeouts` are httpx's, in seconds: `connect`, and `read` for each wait for more data.
        Raises as `handle_async_request` does.
        """
        connection = self.send_now(request)
        if connection is None:
            connection = await self._send_on_new(request, timeouts.get("connect"), Progress())
        read_s = timeouts.get("read")
        try:
            await connection.read_head(read_s)
            return StreamedReply(self, connection, read_s)
        except BaseException:
            connection.close()
            raise

    async def exchange(
        self, request: Request, connect_s: float | None, max_bytes: int, progress: Progress
    ) -> Reply:
        """Send the request and read the whole reply.

        Raises as `handle_async_request` does, and `httpx.DecodingError` for a body beyond
        `max_bytes`.
        """
        connection = self.send_now(request) or await self._send_on_new(
            request, connect_s, progress
        )
        try:
            await connection.read_ahead()
        except BaseException:
            connection.close()
            raise
        return self.buffered_reply(connection, max_bytes) or await self.read_rest(
            connection, max_bytes
        )

    def send_now(self, request: Request, receiver: Receiver | None = None) -> Connection | None:
        """Send the request over an idle connection; None: there is none, and nothing was sent.

        `receiver` is called once. Then call `buffered_reply`, and `read_rest` if that is not all.
        Nothing is written to a connection that has closed meanwhile, so the next can be tried.
        """
        idle = self._idle[request.origin]
        while idle:
            connection, since = idle.popitem()
            # The sweep may be late: a suspended process wakes to dead connections.
            if self._loop.time() - since < self._idle_s and connection.send(request, receiver):
                return connection
            connection.close()
        return None

    def buffered_reply(self, connection: Connection, max_bytes: int) -> Reply | None:
        """Return the reply if its body has arrived and is ready; None: call `read_rest`.

        Raises as `exchange` does.
        """
        if connection.error is not None:  # which has closed it
            raise connection.error
        if not connection.is_complete:
            return None
        fields, coding = connection.fields, None
        is_coded = "content-encoding" in fields
        if is_coded or connection.buffered > max_bytes:
            if is_coded and connection.buffered > SMALL_BYTES:
                return None
            try:
                coding = inflater(connection.headers)
                check_size(connection.buffered, max_bytes)
            except BaseException:
                connection.close()
                raise
        body = connection.take_body()
        self.release(connection)
        if coding is not None:
            body = inflate(coding, body, max_bytes)
        return Reply(connection.status, fields, body)

    async def read_rest(self, connection: Connection, max_bytes: int) -> Reply:
        """Read the rest of a reply, and decompress its body. Raises as `exchange` does."""
        fields = connection.fields
        try:
            reply = StreamedReply(self, connection, None)
        except BaseException:
            connection.close()
            raise
        try:
            return Reply(reply.status, fields, await read_body(reply, max_bytes))
        finally:
            await reply.aclose()

    def release(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if it cannot be reused."""
        if self._is_closed or not connection.is_free:
            connection.close()
            return
        connection.idle[connection] = self._loop.time()
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(self._idle_s, self._sweep)

    async def aclose(self) -> None:
        """Close all connections, also those in use, and wait until they are closed."""
        self._is_closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for connection in tuple(self._open):
            connection.close()
        if self._open:
            await self._all_closed.wait()

    async def _send_on_new(
        self, request: Request, connect_s: float | None, progress: Progress
    ) -> Connection:
        """Write the request to a new connection."""
        if self._is_closed:
            raise httpx.ConnectError("the transport is closed")
        progress.is_connecting = True
        connection = await self._connect(request.origin, connect_s)
        progress.is_connecting = False
        if not connection.send(request):
            raise httpx.ConnectError("the connection was closed as soon as it was established")
        return connection

    async def _connect(self, origin: HttpOrigin, connect_s: float | None) -> Connection:
        is_tls = origin.scheme == "https"
        try:
            async with asyncio.timeout(connect_s):
                addresses = await self._loop.getaddrinfo(
                    origin.host, origin.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
                # uvloop's create_connection would try one address after the other.
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._on_lost, self._idle[origin]),
                    sock=await start_connection(
                        addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_S, loop=self._loop
                    ),
                    ssl=self._trust if is_tls else None,
                    server_hostname=origin.host.rstrip(".") if is_tls else None,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error) or "no connection in time") from error
        except (OSError, RuntimeError, UnicodeError) as error:
            # UnicodeError: an invalid host name. RuntimeError: raised by uvloop occasionally.
            raise httpx.ConnectError(str(error) or type(error).__name__) from error
        if self._is_closed:
            connection.close()
        if connection.is_open:  # else `_on_lost` was or will be called in vain
            self._open.add(connection)
        return connection

    def _on_lost(self, connection: Connection) -> None:
        connection.idle.pop(connection, None)
        self._open.discard(connection)
        if self._is_closed and not self._open:
            self._all_closed.set()

    def _sweep(self) -> None:
        """Close connections that were idle for too long."""
        self._sweep_timer = None
        newest = self._loop.time() - self._idle_s
        for idle in self._idle.values():
            for connection in [each for each, since in idle.items() if since <= newest]:
                del idle[connection]
                connection.close()
        if any(self._idle.values()):
            self._sweep_timer = self._loop.call_later(self._idle_s, self._sweep)


class StreamedReply(httpx.AsyncByteStream):
    """A reply whose head has arrived; iterates over the decompressed body as it arrives."""

    def __init__(
        self, transport: Http1Transport, connection: Connection, read_s: float | None
    ) -> None:
        """Take over the connection; `aclose` returns it. `read_s` limits each wait for data."""
        self.status = connection.status
        self.headers = connection.headers
        """In order, as sent."""
        self._transport = transport
        self._connection: Connection | None = connection
        self._read_s = read_s
        self._inflater = inflater(connection.headers)
        self._parts: Iterator[bytes] = iter(())

    def __aiter__(self) -> Self:
        """Iterate over the body once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part. Raises `httpx.TransportError`."""
        while True:
            for part in self._parts:
                return part
            if self._connection is None:
                raise httpx.StreamClosed
            data = await self._connection.read_part(self._read_s)
            if self._inflater is None:
                if data:
                    return data
                raise StopAsyncIteration
            if not data:
                self._inflater.finish()
                raise StopAsyncIteration
            self._parts = self._inflater.parts(data)

    async def aclose(self) -> None:
        """Return the connection to the pool if the body was read to its end, else close it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.release(connection)
