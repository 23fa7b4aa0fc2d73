"""Pooled connections to one provider: httpx's transport interface over aiohttp's client.

Why not httpx's own pool, and why not the published `httpx-aiohttp`: docs/decisions/0002.
"""

import ssl
from types import MappingProxyType
from typing import Self

import aiohttp
import httpx
import yarl

OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add; a call carries exactly those that it was given."""

MEANINGS = MappingProxyType(
    {
        # Nothing was sent.
        aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
        aiohttp.ClientConnectorError: httpx.ConnectError,  # refused, no such name, no trust
        aiohttp.ClientHttpProxyError: httpx.ProxyError,
        # The provider may have acted on the call.
        aiohttp.ServerTimeoutError: httpx.ReadTimeout,
        aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,
        aiohttp.ClientResponseError: httpx.RemoteProtocolError,  # not HTTP
        aiohttp.ClientPayloadError: httpx.RemoteProtocolError,  # cut short, or badly compressed
    }
)
"""aiohttp's errors in httpx's classes, the first that fits; the rest is `ReadError`."""


class PooledTransport(httpx.AsyncBaseTransport):
    """Keeps connections alive; sends each request once, as it is, and follows nothing.

    Obeys the connect and read timeouts of the request. There is no limit on connections: who
    calls limits its calls, and sets the deadline around them. An answer's body arrives
    decompressed, in parts below 1 MiB whatever its compression, so that a reader can stop.
    """

    def __init__(self, trust: ssl.SSLContext, proxy: str | None = None) -> None:
        """Open the pool; it belongs to the running event loop and must be closed in it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_once,),
            proxy=proxy,
            skip_auto_headers=OURS,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return when the head of the answer is there.

        Raises `httpx.TransportError`. Cancelled, it closes the connection.
        """
        waits = request.extensions.get("timeout", {})
        try:
            answer = await self._session.request(
                request.method,
                yarl.URL(str(request.url), encoded=True),  # else %3A, %41, [] are rewritten
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=waits.get("connect"), sock_read=waits.get("read")
                ),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _as_httpx(error) from error
        headers = answer.raw_headers
        if "Content-Encoding" in answer.headers:  # undone already
            headers = tuple(
                header for header in headers if header[0].lower() != b"content-encoding"
            )
        return httpx.Response(answer.status, headers=headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            part = await self._answer.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _as_httpx(error) from error
        if not part:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._answer.close()


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending GET, PUT and DELETE again when the connection was lost.

    It resends on errors of its own classes only (`ClientSession._request`, aiohttp 3.14).
    """
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _as_httpx(error) from error


def _as_httpx(error: Exception) -> httpx.TransportError:
    for known, meaning in MEANINGS.items():
        if isinstance(error, known):
            return meaning(str(error))
    return httpx.ReadError(str(error))
