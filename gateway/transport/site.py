"""One base URL at a provider, over any transport: a request in, its whole reply out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import httpx

from gateway.transport.http1 import Http1Transport
from gateway.transport.http1_request import Origin, Request, request_bytes
from gateway.wire import Reply

TURN_BYTES = 256 * 1024
"""Of a body that are decompressed before others have their turn: about a millisecond."""


class Site(Protocol):
    """Whom requests go to."""

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Send one request, once, and read the whole answer.

        `target` is the path below the base URL, and the query, percent-encoded. Raises
        `httpx.TransportError`; `httpx.LocalProtocolError` says that this cannot be sent and was
        not, `httpx.DecodingError` that the body is too large or cannot be decompressed.
        """


def site_at(
    url: str, transport: httpx.AsyncBaseTransport, connect_s: float, largest_body: int
) -> Site:
    """Return the site at this base URL by the shortest way that the transport offers.

    `connect_s` limits the making of a connection, `largest_body` the bytes of a decompressed body.
    """
    if isinstance(transport, Http1Transport):
        return Http1Site(url, transport, connect_s, largest_body)
    return HttpxSite(url, transport, connect_s, largest_body)


class Http1Site:
    """A `Site` without httpx's requests and responses, which cost more than the call itself."""

    def __init__(
        self, url: str, transport: Http1Transport, connect_s: float, largest_body: int
    ) -> None:
        parsed = httpx.URL(url)
        self._transport = transport
        self._origin = Origin.of(parsed)
        self._path = parsed.raw_path.decode("ascii").rstrip("/")
        self._host = parsed.netloc.decode("ascii")
        self._limits = {"connect": connect_s}
        self._largest_body = largest_body

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Do what `Site` says."""
        sent_headers = [("host", self._host), *headers.items()]
        data = request_bytes(method, self._path + target, sent_headers, body)
        answer = await self._transport.ask(
            Request(self._origin, data, method == "HEAD"), self._limits
        )
        try:
            body = await _whole(answer, self._largest_body)
        finally:
            await answer.aclose()
        return Reply(answer.status, _fields(answer.headers), body)


class HttpxSite:
    """A `Site` over any of httpx's transports: the sandbox in this process, a proxy, a mock."""

    def __init__(
        self, url: str, transport: httpx.AsyncBaseTransport, connect_s: float, largest_body: int
    ) -> None:
        self._transport = transport
        self._url = url.rstrip("/")
        self._path = httpx.URL(self._url).raw_path.rstrip(b"/")
        self._extensions = {"timeout": {"connect": connect_s}}
        self._largest_body = largest_body

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Do what `Site` says. httpx's client would only add cost here."""
        try:
            request = httpx.Request(
                method,
                self._url + target,
                headers=headers,
                content=body,
                extensions=self._extensions,
            )
        except httpx.InvalidURL as error:
            raise httpx.LocalProtocolError(str(error)) from error
        if request.url.raw_path != self._path + target.encode():
            # httpx resolves dots in a path: this one would have named another resource.
            raise httpx.LocalProtocolError("the path would change")
        response = await self._transport.handle_async_request(request)
        try:
            body = await _whole(response.aiter_bytes(), self._largest_body)
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, body)


async def _whole(parts: AsyncIterator[bytes], largest: int) -> bytes:
    kept, size, turn_ends = [], 0, TURN_BYTES
    async for part in parts:
        size += len(part)
        if size > largest:
            raise httpx.DecodingError(f"the answer is larger than {largest} bytes")
        kept.append(part)
        if size >= turn_ends:  # a small answer may unpack to a large one without any waiting
            turn_ends = size + TURN_BYTES
            await asyncio.sleep(0)
    return b"".join(kept)


def _fields(headers: list[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return headers by lower-case name, the values of repeated ones joined (RFC 9110, 5.3)."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
