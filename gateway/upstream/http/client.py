"""One base URL at a provider, over any transport: a request in, its whole reply out."""

from collections.abc import Mapping
from typing import Protocol

import httpx

from gateway.network_failures import Progress
from gateway.providers.base.exchange import Reply
from gateway.upstream.http.decompression import joined
from gateway.upstream.http.http1_pool import Http1Transport
from gateway.upstream.http.http1_request import HttpOrigin, Request, request_bytes


class HttpClient(Protocol):
    """Whom requests go to."""

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        progress: Progress | None = None,
    ) -> Reply:
        """Send one request, once, and read the whole answer.

        `target` is the path below the base URL, and the query, percent-encoded. `progress` says
        at any time whether the request has been sent. Raises
        `httpx.TransportError`; `httpx.LocalProtocolError` says that this cannot be sent and was
        not, `httpx.DecodingError` that the body is too large or cannot be decompressed.
        """


def http_client(
    url: str, transport: httpx.AsyncBaseTransport, connect_s: float, largest_body: int
) -> HttpClient:
    """Return the site at this base URL by the shortest way that the transport offers.

    `connect_s` limits the making of a connection, `largest_body` the bytes of a decompressed body.
    """
    if isinstance(transport, Http1Transport):
        return Http1Client(url, transport, connect_s, largest_body)
    return HttpxClient(url, transport, connect_s, largest_body)


class Http1Client:
    """Over our own HTTP/1.1 transport, without the cost of httpx's requests and responses."""

    def __init__(
        self, url: str, transport: Http1Transport, connect_s: float, largest_body: int
    ) -> None:
        parsed = httpx.URL(url)
        self._transport = transport
        self._origin = HttpOrigin.of(parsed)
        self._path = parsed.raw_path.decode("ascii").rstrip("/")
        self._host = parsed.netloc.decode("ascii")
        self._connect_s = connect_s
        self._largest_body = largest_body

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        progress: Progress | None = None,
    ) -> Reply:
        """Do what `HttpClient` says."""
        sent_headers = (("host", self._host), *headers.items())
        data = request_bytes(method, self._path + target, sent_headers, body)
        request = Request(self._origin, data, method == "HEAD")
        return await self._transport.whole(
            request, self._connect_s, self._largest_body, progress or Progress()
        )


class HttpxClient:
    """Over any of httpx's transports: the sandbox in this process, a proxy, a mock."""

    def __init__(
        self, url: str, transport: httpx.AsyncBaseTransport, connect_s: float, largest_body: int
    ) -> None:
        self._transport = transport
        self._url = url.rstrip("/")
        self._path = httpx.URL(self._url).raw_path.rstrip(b"/")
        self._timeout = {"connect": connect_s}
        self._largest_body = largest_body

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        progress: Progress | None = None,
    ) -> Reply:
        """Do what `HttpClient` says. httpx's client would only add cost here."""
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
            # httpx resolves dots in a path: this one would have named another resource.
            raise httpx.LocalProtocolError("the path would change")
        response = await self._transport.handle_async_request(request)
        try:
            body = await joined(response.aiter_bytes(), self._largest_body)
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, body)
