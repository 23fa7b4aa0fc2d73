"""All transports, and how a test sends a request over one."""

import asyncio
from typing import Any

import httpx

from gateway.upstream.http.aiohttp_transport import PooledTransport
from gateway.upstream.http.http1_pool import Http1Transport
from tests.unit.upstream.misbehaving import SOON_S

TRANSPORTS = (PooledTransport, Http1Transport)

LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""The provider may have acted on the call."""

Answered = tuple[int, httpx.Headers, bytes]


async def ask(
    transport: httpx.AsyncBaseTransport, url: str, method: str = "GET", **parts: Any
) -> Answered:
    """Send a request and read the whole response within a deadline."""
    request = httpx.Request(method, url, **parts)
    async with asyncio.timeout(SOON_S):
        response = await transport.handle_async_request(request)
        try:
            return response.status_code, response.headers, await response.aread()
        finally:
            await response.aclose()
