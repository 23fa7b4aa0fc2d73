"""Pooled HTTP/1.1 connections to providers, at a fraction of a general client's cost.

Two ways in: httpx's transport interface, and `ask`, which spares httpx's requests and responses.
Why: docs/decisions/0004. It knows no proxies: `gateway.upstream.http.aiohttp_transport` does.
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
from gateway.upstream.http.decompression import CONTENT_ENCODING, check_size, inflater, joined
from gateway.upstream.http.http1_connection import Connection
from gateway.upstream.http.http1_request import HttpOrigin, Request, request_bytes

IDLE_S = 15.0
"""How long a connection waits for another request: less than most servers let it (nginx 75 s,
AWS's load balancers 60 s), so that few requests meet a connection that is being closed."""

HAPPY_EYEBALLS_S = 0.25
"""The lead of one address over the next: RFC 8305, section 5."""

NO_LIMITS: Mapping[str, float | None] = {}


class Http1Transport(httpx.AsyncBaseTransport):
    """Keeps connections alive; sends each request once, as it is, and follows nothing.

    Obeys the connect and read timeouts of the request. There is no limit on connections: who
    calls limits its calls, and sets the deadline around them. An answer's body arrives
    decompressed, in parts below 1 MiB whatever its compression, so that a reader can stop.

    `ConnectError`, `ConnectTimeout`, `LocalProtocolError` and `UnsupportedProtocol` mean that
    nothing was sent; with any other error the provider may have acted on the call.
    """

    def __init__(self, trust: ssl.SSLContext, idle_s: float = IDLE_S) -> None:
        """Open the pool; it belongs to the running event loop and must be closed in it."""
        self._loop = asyncio.get_running_loop()
        self._trust = trust
        self._idle_s = idle_s
        self._idle: defaultdict[HttpOrigin, dict[Connection, float]] = defaultdict(dict)
        """The connections that are free, the newest last, and since when they are."""
        self._open: set[Connection] = set()
        self._is_closed = False
        self._all_lost = asyncio.Event()
        self._sweeping: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return when the head of the answer is there.

        Raises `httpx.TransportError`. Cancelled, it closes the connection.
        """
        data = request_bytes(
            request.method,
            request.url.raw_path.decode("ascii"),
            [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in request.headers.raw
            ],
            request.content,
        )
        answer = await self.ask(
            Request(HttpOrigin.of(request.url), data, request.method == "HEAD"),
            request.extensions.get("timeout", NO_LIMITS),
        )
        # What was undone is not told of.
        headers = [each for each in answer.headers if each[0].lower() != CONTENT_ENCODING]
        return httpx.Response(answer.status, headers=headers, stream=answer)

    async def ask(self, request: Request, limits: Mapping[str, float | None]) -> "StreamedReply":
        """Send the request; return when the head of the answer is there.

        `limits` are httpx's timeouts in seconds: `connect`, and `read` for each wait for more of
        the answer. Raises as `handle_async_request` does.
        """
        connection = self._reused(request)
        if connection is None:
            connection = await self._sent(request, limits.get("connect"), Progress())
        read_s = limits.get("read")
        try:
            await connection.head(read_s)
            return StreamedReply(self, request.origin, connection, read_s)
        except BaseException:
            connection.close()
            raise

    async def whole(
        self, request: Request, connect_s: float | None, largest: int, progress: Progress
    ) -> Reply:
        """Send the request and read the whole answer: what a provider is mostly asked for.

        Raises as `handle_async_request` does, and `httpx.DecodingError` for a body of more than
        `largest` bytes.
        """
        connection = self._reused(request) or await self._sent(request, connect_s, progress)
        try:
            await connection.most()
            fields = connection.fields
            if not connection.is_whole or "content-encoding" in fields:
                answer = StreamedReply(self, request.origin, connection, None)
            else:
                body = connection.taken()
                check_size(len(body), largest)
                self.take_back(request.origin, connection)
                return Reply(connection.status, fields, body)
        except BaseException:
            connection.close()
            raise
        try:
            return Reply(answer.status, fields, await joined(answer, largest))
        finally:
            await answer.aclose()

    def take_back(self, origin: HttpOrigin, connection: Connection) -> None:
        """Keep a connection for the next request, or close it when there cannot be one."""
        if self._is_closed or not connection.is_free:
            connection.close()
            return
        self._idle[origin][connection] = self._loop.time()
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._idle_s, self._sweep)

    async def aclose(self) -> None:
        """Close all connections, also those in use; return when they are closed."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in tuple(self._open):
            connection.close()
        if self._open:
            await self._all_lost.wait()

    def _reused(self, request: Request) -> Connection | None:
        """Write the request to a free connection; None: there is none.

        A connection that has closed meanwhile was written nothing, so the next may be tried.
        """
        idle = self._idle[request.origin]
        while idle:
            connection, since = idle.popitem()
            # The sweep is late when the loop was: a suspended process wakes to dead connections.
            if self._loop.time() - since < self._idle_s and connection.send(
                request.data, asks_for_head=request.asks_for_head
            ):
                return connection
            connection.close()
        return None

    async def _sent(
        self, request: Request, connect_s: float | None, progress: Progress
    ) -> Connection:
        """Write the request to a new connection."""
        if self._is_closed:
            raise httpx.ConnectError("the transport is closed")
        progress.is_connecting = True
        connection = await self._connected(request.origin, connect_s)
        progress.is_connecting = False
        if not connection.send(request.data, asks_for_head=request.asks_for_head):
            raise httpx.ConnectError("the connection was closed as soon as it was made")
        return connection

    async def _connected(self, origin: HttpOrigin, connect_s: float | None) -> Connection:
        is_tls = origin.scheme == "https"
        try:
            async with asyncio.timeout(connect_s):
                addresses = await self._loop.getaddrinfo(
                    origin.host, origin.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
                # uvloop's create_connection would try one address after the other.
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._lost),
                    sock=await start_connection(
                        addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_S, loop=self._loop
                    ),
                    ssl=self._trust if is_tls else None,
                    server_hostname=origin.host.rstrip(".") if is_tls else None,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error) or "no connection in time") from error
        except (OSError, RuntimeError, UnicodeError) as error:
            # UnicodeError: a host name that cannot be one. RuntimeError: uvloop's, now and then.
            raise httpx.ConnectError(str(error) or type(error).__name__) from error
        if self._is_closed:
            connection.close()
        if connection.is_open:  # else `_lost` has been called already, or will be, for nothing
            self._open.add(connection)
        return connection

    def _lost(self, connection: Connection) -> None:
        for idle in self._idle.values():
            idle.pop(connection, None)
        self._open.discard(connection)
        if self._is_closed and not self._open:
            self._all_lost.set()

    def _sweep(self) -> None:
        """Close what has been free for too long."""
        self._sweeping = None
        newest = self._loop.time() - self._idle_s
        for idle in self._idle.values():
            for connection in [each for each, since in idle.items() if since <= newest]:
                del idle[connection]
                connection.close()
        if any(self._idle.values()):
            self._sweeping = self._loop.call_later(self._idle_s, self._sweep)


class StreamedReply(httpx.AsyncByteStream):
    """An answer whose head is there: iterates over its body, decompressed, as it arrives."""

    def __init__(
        self,
        transport: Http1Transport,
        origin: HttpOrigin,
        connection: Connection,
        read_s: float | None,
    ) -> None:
        """Take over the connection; `aclose` gives it back. `read_s` limits each wait."""
        self.status = connection.status
        self.headers = connection.headers
        """In their order, each as it was sent."""
        self._transport = transport
        self._origin = origin
        self._connection: Connection | None = connection
        self._read_s = read_s
        self._inflater = inflater(connection.headers)
        self._parts: Iterator[bytes] = iter(())

    def __aiter__(self) -> Self:
        """Iterate once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part. Raises `httpx.TransportError`."""
        while True:
            for part in self._parts:
                return part
            if self._connection is None:
                raise httpx.StreamClosed
            data = await self._connection.part(self._read_s)
            if self._inflater is None:
                if data:
                    return data
                raise StopAsyncIteration
            if not data:
                self._inflater.finish()
                raise StopAsyncIteration
            self._parts = self._inflater.parts(data)

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.take_back(self._origin, connection)
