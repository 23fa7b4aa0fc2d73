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

SKIPPED_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add: a call carries exactly its own."""

HTTPX_ERRORS = MappingProxyType(
    {
        # Nothing was sent.
        UnicodeError: httpx.ConnectError,  # an invalid host name
        aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
        aiohttp.ClientProxyConnectionError: httpx.ProxyError,
        aiohttp.ClientConnectorError: httpx.ConnectError,  # refused, unknown, untrusted
        # The provider may have acted on the call.
        aiohttp.ServerTimeoutError: httpx.ReadTimeout,
        aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,
        aiohttp.ClientResponseError: NotHttpError,
        aiohttp.ClientPayloadError: httpx.RemoteProtocolError,  # cut short
    }
)
"""httpx's class for each of aiohttp's, the first match counts; any other is a `ReadError`."""


class PooledTransport(httpx.AsyncBaseTransport):
    """Keeps connections alive; sends each request once, unchanged, and follows no redirects.

    Respects the connect and read timeouts of the request. The number of connections is not
    limited: the caller limits its calls and sets their deadlines. A body arrives decompressed, in
    parts below 1 MiB whatever its compression, so that the reader can stop.
    """

    def __init__(self, trust: ssl.SSLContext, proxy: str | None = None) -> None:
        """Open the pool; it belongs to the running event loop and must be closed in it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            auto_decompress=False,  # aiohttp's accepts truncated gzip (3.14)
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_send_once,),
            proxy=proxy,
            skip_auto_headers=SKIPPED_HEADERS,
            trace_configs=[_progress_tracing()],
        )
        self._has_proxy = proxy is not None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return when the head of the response has arrived.

        Raises `httpx.TransportError`. Cancelled, it closes the connection.
        """
        timeouts = request.extensions.get("timeout", {})
        try:
            response = await self._session.request(
                request.method,
                yarl.URL(
                    str(request.url), encoded=True
                ),  # otherwise %3A, %41 and [] are rewritten
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=timeouts.get("connect"), sock_read=timeouts.get("read")
                ),
                trace_request_ctx=request.extensions.get("progress") or Progress(),
            )
            if self._has_proxy and response.status == PROXY_AUTHENTICATION_REQUIRED:
                response.close()
                raise ProxyRefusedError(response.status)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _as_httpx(error) from error
        try:
            body = _Body(response, inflater(response.raw_headers))
        except httpx.TransportError:
            response.close()
            raise
        headers = [each for each in response.raw_headers if each[0].lower() != CONTENT_ENCODING]
        return httpx.Response(response.status, headers=headers, stream=body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """The body of a response, decompressed, as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse, decoder: Inflater | None) -> None:
        self._response = response
        self._inflater = decoder

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.content.iter_any():
                if self._inflater is None:
                    yield part
                    continue
                for inflated in self._inflater.parts(part):
                    yield inflated
        except (aiohttp.ClientError, OSError) as error:
            raise _as_httpx(error) from error
        if self._inflater is not None:
            self._inflater.finish()

    async def aclose(self) -> None:
        """Return the connection to the pool if the body was read to its end, else close it."""
        self._response.close()


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Prevent aiohttp from resending GET, PUT and DELETE when the connection was lost.

    It resends only on errors of its own classes (`ClientSession._request`, aiohttp 3.14).
    """
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.proxy is not None and isinstance(error, aiohttp.ClientConnectorDNSError):
            raise httpx.ProxyError(str(error)) from error  # the name is the proxy's
        raise _as_httpx(error) from error


def _progress_tracing() -> aiohttp.TraceConfig:
    """Return a trace configuration that records connecting in a call's `Progress`."""

    async def started(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connecting = True

    async def done(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connecting = False

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_start.append(started)
    tracing.on_connection_create_end.append(done)
    return tracing


def _as_httpx(error: Exception) -> httpx.TransportError:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ProxyRefusedError(error.status)
    for aiohttp_class, httpx_class in HTTPX_ERRORS.items():
        if isinstance(error, aiohttp_class):
            return httpx_class(str(error))
    return httpx.ReadError(str(error))
