import asyncio
import gzip
import random
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.providers.base.exchange import Call, Reply
from gateway.upstream.http.aiohttp_transport import PooledTransport
from gateway.upstream.http.client import Http1Client, HttpClient, HttpxClient, http_client
from gateway.upstream.http.decompression import YIELD_EVERY_BYTES
from gateway.upstream.http.http1_connection import BUFFER_BYTES
from gateway.upstream.http.http1_pool import Http1Transport
from tests.unit.upstream.misbehaving import Act, ok, serving

LARGEST = 1000
NO_HEADERS: dict[str, str] = {}


@pytest.fixture(params=[PooledTransport, Http1Transport])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Open a transport, and close it."""
    opened: httpx.AsyncBaseTransport = request.param(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with asyncio.timeout(20):
        yield opened
        await opened.aclose()


def at(url: str, transport: httpx.AsyncBaseTransport) -> HttpClient:
    """Return a site with small bounds."""
    return http_client(url, transport, 5, LARGEST)


async def test_the_shortest_way_is_taken() -> None:
    """What is not known to have one is called through httpx's interface."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    short, general = Http1Transport(trust), httpx.MockTransport(lambda _: httpx.Response(200))
    assert type(at("http://api.test", short)) is Http1Client
    assert type(at("http://api.test", general)) is HttpxClient


async def test_calls_in_different_traces(transport: httpx.AsyncBaseTransport) -> None:
    """Their other headers are the same."""
    traces = [{"traceparent": f"00-{each}", "tracestate": "a=b"} for each in "12"]
    async with serving() as server:
        site = at(server.url, transport)
        for trace in traces:
            await site.exchange(
                Call("GET", "/", headers={"x-a": "b", **trace}), {"x-name": "acme"}
            )
    host = f"127.0.0.1:{server.port}"
    assert [dict(each.headers) for each in server.requests] == [
        {"host": host, "x-a": "b", "x-name": "acme", **trace} for trace in traces
    ]


@pytest.mark.parametrize("value", ["a\nb", "a\r\nx-b: c", "caf\xe9", "\u20ac"])
async def test_a_header_that_means_more_is_not_sent(
    transport: httpx.AsyncBaseTransport, value: str
) -> None:
    """A line break in a token must not begin another header, nor a server guess its letters."""
    async with serving() as server:
        with pytest.raises(httpx.LocalProtocolError):
            await at(server.url, transport).exchange(Call("GET", "/"), {"x-token": value})
        assert (server.requests, server.connections) == ([], 0)


@pytest.mark.parametrize("transport", [Http1Transport], indirect=True)
async def test_a_call_has_its_own_headers_only(transport: httpx.AsyncBaseTransport) -> None:
    """And those of its account; none of the calls before, whether they could be sent or not."""
    first, second = {"x-a": "1"}, {"x-b": "2"}
    account, renewed, unsendable = {"x-name": "acme"}, {"x-name": "acme 2"}, {"x-name": "a\nb"}
    sent = [(first, account), (second, account), (NO_HEADERS, account), (first, renewed)]
    async with serving() as server:
        site = at(server.url, transport)
        for own, common in [*sent, *sent]:
            await site.exchange(Call("GET", "/", headers=own), common)
            for _ in range(2):
                with pytest.raises(httpx.LocalProtocolError):
                    await site.exchange(Call("GET", "/", headers=own), unsendable)
    host = f"127.0.0.1:{server.port}"
    assert [dict(each.headers) for each in server.requests] == [
        {"host": host, **own, **common} for own, common in [*sent, *sent]
    ]


@pytest.mark.parametrize("base", ["", "/", "/base", "/base/"])
async def test_a_request_is_sent_as_it_is(transport: httpx.AsyncBaseTransport, base: str) -> None:
    """Below the base URL, with its headers and the length of its body, and no more."""
    async with serving() as server:
        site = at(server.url + base, transport)
        await site.exchange(Call("DELETE", "/a%2Fb?c=%20", body=b"[]"), {"x-name": "acme"})
        (request,) = server.requests
    assert (request.method, request.target, request.body) == (
        "DELETE",
        f"{base.rstrip('/')}/a%2Fb?c=%20",
        b"[]",
    )
    assert sorted(request.headers) == [
        ("content-length", "2"),
        ("host", f"127.0.0.1:{server.port}"),
        ("x-name", "acme"),
    ]


async def test_the_reply_is_whole(transport: httpx.AsyncBaseTransport) -> None:
    """Status, headers by lower-case name, repeated ones joined, body decompressed."""
    headers = ("X-Total: 5", "Link: a", "Link: b", "Content-Encoding: gzip")
    async with serving([ok(gzip.compress(b"well"), "207 Multi-Status", *headers)]) as server:
        reply = await at(server.url, transport).exchange(Call("GET", "/"), NO_HEADERS)
    assert type(reply) is Reply
    assert (reply.status, reply.headers["x-total"], reply.headers["link"], reply.body) == (
        207,
        "5",
        "a, b",
        b"well",
    )


@pytest.mark.parametrize("headers", [(), ("Content-Encoding: gzip",)], ids=["plain", "gzip"])
async def test_a_body_may_be_large_but_not_larger(
    transport: httpx.AsyncBaseTransport, headers: tuple[str, ...]
) -> None:
    """The bound is on the decompressed body; the connection of a larger one is not used again."""
    bodies = [b"x" * LARGEST, b"x" * (LARGEST + 1)]
    sent = [gzip.compress(body) if headers else body for body in bodies]
    async with serving(*([ok(each, "200 OK", *headers)] for each in sent)) as server:
        site = at(server.url, transport)
        assert (await site.exchange(Call("GET", "/"), NO_HEADERS)).body == bodies[0]
        with pytest.raises(httpx.DecodingError, match="the reply is larger than 1000 bytes"):
            await site.exchange(Call("GET", "/"), NO_HEADERS)
        assert (await site.exchange(Call("GET", "/"), NO_HEADERS)).body == b"well"


@pytest.mark.parametrize("size", [BUFFER_BYTES - 1, BUFFER_BYTES, 5 * BUFFER_BYTES + 1])
async def test_a_body_is_whole_however_large(
    transport: httpx.AsyncBaseTransport, size: int
) -> None:
    """Also one that does not wait for its reader in one piece; then the connection is free."""
    body = random.Random(2).randbytes(size)  # noqa: S311  # no secret
    async with serving([ok(body)], [ok()]) as server:
        site = http_client(server.url, transport, 5, size)
        assert (await site.exchange(Call("GET", "/"), NO_HEADERS)).body == body
        assert (await site.exchange(Call("GET", "/"), NO_HEADERS)).body == b"well"
        assert server.connections == 1


async def test_a_body_that_unpacks_to_much_leaves_others_their_turns(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """Four megabytes arrive as fifty kilobytes, all at once."""
    noise, turns = random.Random(1), 0  # noqa: S311  # no secret
    body = b"".join(noise.randbytes(100) + b"\0" * 9900 for _ in range(400))

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    sent = ok(gzip.compress(body), "200 OK", "Content-Encoding: gzip")
    async with serving([sent]) as server:
        site = http_client(server.url, transport, 5, len(body))
        waiting = asyncio.create_task(others())
        assert (await site.exchange(Call("GET", "/"), NO_HEADERS)).body == body
        waiting.cancel()
    assert turns > len(body) // YIELD_EVERY_BYTES


async def test_shared_headers_override_those_of_the_call(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """They may change between two calls, and a call may have others than the one before."""
    first, second = {"x-token": "1"}, {"x-token": "2"}
    calls = Call("GET", "/", headers={"x-token": "mine", "x-own": "a"}), Call("GET", "/")
    async with serving(*([ok()] for _ in range(4))) as server:
        site = at(server.url, transport)
        for headers in (first, second):
            for call in calls:
                await site.exchange(call, headers)
        sent = [dict(each.headers) for each in server.requests]
    assert [(each["x-token"], each.get("x-own")) for each in sent] == [
        ("1", "a"),
        ("1", None),
        ("2", "a"),
        ("2", None),
    ]


@pytest.mark.parametrize(
    "target", ["/a/../b", "/a/..", "/./a", "/a b", "/a#b", "/a\nb", "/caf\xe9"]
)
async def test_a_target_that_means_another_is_not_sent(
    transport: httpx.AsyncBaseTransport, target: str
) -> None:
    """An id that was not encoded must not name another resource."""
    async with serving() as server:
        with pytest.raises(httpx.LocalProtocolError):
            await at(server.url, transport).exchange(Call("GET", target), NO_HEADERS)
        assert (server.requests, server.connections) == ([], 0)


async def test_a_cancelled_exchange_closes_its_connection(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """In the middle of a body; the next one has a connection of its own."""
    async with serving([ok()[:-2], Act.HANG]) as server:
        site = at(server.url, transport)
        call = asyncio.create_task(site.exchange(Call("GET", "/"), NO_HEADERS))
        await server.heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.hung_up.wait()
        assert (await site.exchange(Call("GET", "/"), NO_HEADERS)).body == b"well"
        assert [each.connection for each in server.requests] == [1, 2]
