"""Pooled connections to one provider: httpx's transport interface over aiohttp's client.

Why not httpx's own pool, and why not the published `httpx-aiohttp`: docs/decisions/0002.
"""

import ssl
from collections.abc import AsyncIterator
from types import MappingProxyType, SimpleNamespace

import aiohttp
import httpx
import yarl

from gateway.network_failures import (
    PROXY_AUTHENTICATION_REQUIRED,
    NotHttpError,
    Progress,
    ProxyRefusedError,
)
from gateway.upstream.http.decompression import CONTENT_ENCODING, Inflater, inflater

OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add; a call carries exactly those that it was given."""

MEANINGS = MappingProxyType(
    {
        # Nothing was sent.
        UnicodeError: httpx.ConnectError,  # a host name that cannot be one
        aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
        aiohttp.ClientProxyConnectionError: httpx.ProxyError,
        aiohttp.ClientConnectorError: httpx.ConnectError,  # refused, no such name, no trust
        # The provider may have acted on the call.
        aiohttp.ServerTimeoutError: httpx.ReadTimeout,
        aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,
        aiohttp.ClientResponseError: NotHttpError,
        aiohttp.ClientPayloadError: httpx.RemoteProtocolError,  # cut short
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
            auto_decompress=False,  # aiohttp's takes gzip that was cut short for whole (3.14)
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_once,),
            proxy=proxy,
            skip_auto_headers=OURS,
            trace_configs=[_connecting()],
        )
        self._has_proxy = proxy is not None

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
                trace_request_ctx=request.extensions.get("progress") or Progress(),
            )
            if self._has_proxy and answer.status == PROXY_AUTHENTICATION_REQUIRED:
                answer.close()
                raise ProxyRefusedError(answer.status)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _as_httpx(error) from error
        try:
            body = _Body(answer, inflater(answer.raw_headers))
        except httpx.TransportError:
            answer.close()
            raise
        headers = [each for each in answer.raw_headers if each[0].lower() != CONTENT_ENCODING]
        return httpx.Response(answer.status, headers=headers, stream=body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, decompressed, as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse, coding: Inflater | None) -> None:
        self._answer = answer
        self._coding = coding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._answer.content.iter_any():
                if self._coding is None:
                    yield part
                    continue
                for inflated in self._coding.parts(part):
                    yield inflated
        except (aiohttp.ClientError, OSError) as error:
            raise _as_httpx(error) from error
        if self._coding is not None:
            self._coding.finish()

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
        if request.proxy is not None and isinstance(error, aiohttp.ClientConnectorDNSError):
            raise httpx.ProxyError(str(error)) from error  # it is the proxy's name that is asked
        raise _as_httpx(error) from error


def _connecting() -> aiohttp.TraceConfig:
    """Return what notes in a call's `Progress` that its connection is being made."""

    async def begun(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connecting = True

    async def done(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connecting = False

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_start.append(begun)
    tracing.on_connection_create_end.append(done)
    return tracing


def _as_httpx(error: Exception) -> httpx.TransportError:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ProxyRefusedError(error.status)
    for known, meaning in MEANINGS.items():
        if isinstance(error, known):
            return meaning(str(error))
    return httpx.ReadError(str(error))
