"""Requests below one base URL, over any transport; replies are read whole."""

from collections.abc import Mapping
from typing import Protocol

import httpx

from gateway.network_failures import Progress
from gateway.providers.base.exchange import Reply
from gateway.upstream.http.decompression import read_body
from gateway.upstream.http.http1_pool import Http1Transport
from gateway.upstream.http.http1_request import HttpOrigin, Request, request_bytes


class HttpClient(Protocol):
    """Sends requests to one base URL."""

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        progress: Progress | None = None,
    ) -> Reply:
        """Send one request, once, and read the whole reply.

        `target` is the path below the base URL, with the query, percent-encoded. `progress` shows
        at any time whether the request has been sent. Raises `httpx.TransportError`, in
        particular `httpx.LocalProtocolError` for a request that cannot be sent and was not, and
        `httpx.DecodingError` for a body that is too large or cannot be decompressed.
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

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        progress: Progress | None = None,
    ) -> Reply:
        """Send one request; see `HttpClient`."""
        sent_headers = (("host", self._host), *headers.items())
        data = request_bytes(method, self._path + target, sent_headers, body)
        request = Request(self._origin, data, method == "HEAD")
        return await self._transport.exchange(
            request, self._connect_s, self._max_body_bytes, progress or Progress()
        )


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
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        progress: Progress | None = None,
    ) -> Reply:
        """Send one request; see `HttpClient`. `httpx.AsyncClient` would only add cost here."""
        try:
            request = httpx.Request(
                method,
                self._url + target,
                headers=headers,
                content=body,
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
