"""Requests below one base URL, over any transport; replies are read whole."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol, TypeAlias

import httpx

from gateway.network_failures import Progress
from gateway.providers.base.exchange import NO_HEADERS, Call, Reply
from gateway.upstream.http.decompression import read_body
from gateway.upstream.http.http1_connection import Connection, Receiver
from gateway.upstream.http.http1_pool import Http1Transport
from gateway.upstream.http.http1_request import (
    HttpOrigin,
    Request,
    field_lines,
    request_bytes,
)

TRACE = frozenset({"traceparent", "tracestate"})
"""Headers that differ from call to call."""

_Headers: TypeAlias = tuple[tuple[str, str], ...]


class HttpClient(Protocol):
    """Sends requests to one base URL."""

    async def exchange(
        self, call: Call, headers: Mapping[str, str], progress: Progress | None = None
    ) -> Reply:
        """Make one call, once, with its own and these headers, and read the whole reply.

        Headers that most calls have are best passed as the same object: they override those of
        the call. `progress` shows at any time whether the request has been sent. Raises
        `httpx.TransportError`, in particular `httpx.LocalProtocolError` for a request that cannot
        be sent and was not, and `httpx.DecodingError` for a body that is too large or cannot be
        decompressed.
        """


def http_client(
    url: str, transport: httpx.AsyncBaseTransport, connect_s: float, max_body_bytes: int
) -> HttpClient:
    """Return the cheapest client for this transport.

    `connect_s` limits the time to connect, `max_body_bytes` the size of a decompressed body.
    """
    if isinstance(transport, Http1Transport):
        return Http1Client(url, transport, connect_s, max_body_bytes)
    return HttpxClient(url, transport, connect_s, max_body_bytes)


class Http1Client:
    """Uses `Http1Transport` directly, without the cost of httpx's requests and responses."""

    def __init__(
        self, url: str, transport: Http1Transport, connect_s: float, max_body_bytes: int
    ) -> None:
        parsed = httpx.URL(url)
        self._transport = transport
        self._origin = HttpOrigin.of(parsed)
        self._path = parsed.raw_path.decode("ascii").rstrip("/")
        self._host = parsed.netloc.decode("ascii")
        self._connect_s = connect_s
        self._max_body_bytes = max_body_bytes
        self._headers: Mapping[str, str] = NO_HEADERS
        self._fields = self._fields_with(NO_HEADERS)
        """Writes the headers of a call, and those."""
        self._own: Mapping[str, str] | None = None
        self._lines = b""
        """The headers of the last call, and those; the next call mostly has the same."""

    async def exchange(
        self, call: Call, headers: Mapping[str, str], progress: Progress | None = None
    ) -> Reply:
        """Make one call; see `HttpClient`."""
        return await self._transport.exchange(
            self._request(call, headers),
            self._connect_s,
            self._max_body_bytes,
            progress or Progress(),
        )

    def send_now(
        self, call: Call, headers: Mapping[str, str], receiver: Receiver
    ) -> Connection | None:
        """Send one call over an idle connection; None: nothing was sent, so use `exchange`.

        `receiver` is called once, by the event loop; then call `buffered_reply`. Close the
        connection to cancel the call. Raises `httpx.LocalProtocolError`.
        """
        return self._transport.send_now(self._request(call, headers), receiver)

    def buffered_reply(self, connection: Connection) -> Reply | None:
        """Return the reply to `send_now`; None: call `read_rest`. Raises as `exchange` does."""
        return self._transport.buffered_reply(connection, self._max_body_bytes)

    async def read_rest(self, connection: Connection) -> Reply:
        """Read a reply that is long, or takes long to decompress. Raises as `exchange` does."""
        return await self._transport.read_rest(connection, self._max_body_bytes)

    def _request(self, call: Call, headers: Mapping[str, str]) -> Request:
        if headers is not self._headers:  # the account has a new token
            self._headers, self._fields, self._own = headers, self._fields_with(headers), None
        if call.headers is not self._own:
            self._lines = self._lines_of(tuple(call.headers.items()))
            self._own = call.headers
        method = call.method
        data = request_bytes(method, self._path + call.target, self._lines, call.body)
        return Request(self._origin, data, method == "HEAD")

    def _lines_of(self, own: _Headers) -> bytes:
        """Return the headers of a call, and those of its account; those of its trace come last."""
        same = len(own)
        while same and own[same - 1][0] in TRACE:
            same -= 1
        lines = self._fields(own[:same])
        return lines if same == len(own) else lines + field_lines(own[same:])

    def _fields_with(self, headers: Mapping[str, str]) -> Callable[[_Headers], bytes]:
        """Return a function that writes the headers of a call, and these."""

        @lru_cache(maxsize=64)  # most calls to a provider have the same
        def fields(own: _Headers) -> bytes:
            return field_lines({"host": self._host, **dict(own), **headers}.items())

        return fields


class HttpxClient:
    """Uses any httpx transport: the sandbox in this process, a proxy, a mock."""

    def __init__(
        self, url: str, transport: httpx.AsyncBaseTransport, connect_s: float, max_body_bytes: int
    ) -> None:
        self._transport = transport
        self._url = url.rstrip("/")
        self._path = httpx.URL(self._url).raw_path.rstrip(b"/")
        self._timeout = {"connect": connect_s}
        self._max_body_bytes = max_body_bytes

    async def exchange(
        self, call: Call, headers: Mapping[str, str], progress: Progress | None = None
    ) -> Reply:
        """Make one call; see `HttpClient`. `httpx.AsyncClient` would only add cost here."""
        target = call.target
        all_headers = {**call.headers, **headers}
        field_lines(all_headers.items())  # raises for those that aiohttp would refuse its own way
        try:
            request = httpx.Request(
                call.method,
                self._url + target,
                headers=all_headers,
                content=call.body,
                extensions={"timeout": self._timeout, "progress": progress},
            )
        except httpx.InvalidURL as error:
            raise httpx.LocalProtocolError(str(error)) from error
        if request.url.raw_path != self._path + target.encode():
            # httpx resolves dot segments: this path would name another resource.
            raise httpx.LocalProtocolError("the path would change")
        response = await self._transport.handle_async_request(request)
        try:
            body = await read_body(response.aiter_bytes(), self._max_body_bytes)
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, body)
