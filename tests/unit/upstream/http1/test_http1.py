import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.upstream.http.http1_pool import Http1Transport
from tests.unit.upstream.misbehaving import Act, Script, Server, ok, serving

LOCALHOST = Path(__file__).with_name("localhost.pem")
"""A key and its own certificate for `localhost`, made for these tests."""

UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nwell"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n\r\n"


@asynccontextmanager
async def pool(
    trust: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[Http1Transport]:
    """Open a transport, and close it; all that is done with it must be done soon."""
    transport = Http1Transport(trust or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **settings)
    async with asyncio.timeout(20):
        yield transport
        await transport.aclose()


@asynccontextmanager
async def serving_tls(*scripts: Script) -> AsyncIterator[Server]:
    """Serve by these scripts on `localhost`, as `serving` does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOCALHOST)
    server = Server(scripts)
    under_way: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.append(asyncio.ensure_future(server.serve(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def trusting() -> ssl.SSLContext:
    """Return what trusts the certificate above and no other."""
    return ssl.create_default_context(cafile=LOCALHOST)


async def ask(transport: Http1Transport, url: str, method: str = "GET", **parts: Any) -> bytes:
    """Send a request and return the body of the response."""
    response = await transport.handle_async_request(httpx.Request(method, url, **parts))
    try:
        return await response.aread()
    finally:
        await response.aclose()


@pytest.mark.parametrize(
    ("script", "connections"),
    [
        pytest.param([ok()], [1, 1], id="length"),
        pytest.param([CHUNKED], [1, 1], id="chunked"),
        pytest.param([UNTIL_CLOSED, Act.CLOSE], [1, 2], id="until closed"),
        pytest.param([ok(b"well", "200 OK", "Connection: close"), Act.CLOSE], [1, 2], id="told"),
    ],
)
async def test_tls_carries_every_kind_of_answer(script: Script, connections: list[int]) -> None:
    """By a certificate that is trusted and for this host; the connection is used again."""
    async with serving_tls(script) as server, pool(trusting()) as transport:
        bodies = [await ask(transport, f"https://localhost:{server.port}/") for _ in range(2)]
        assert bodies == [b"well", b"well"]
        assert [each.connection for each in server.requests] == connections


@pytest.mark.parametrize(
    ("host", "is_trusted"), [("localhost", False), ("127.0.0.1", True)], ids=["issuer", "host"]
)
async def test_a_certificate_that_is_not_trusted_is_not_sent_anything(
    host: str, *, is_trusted: bool
) -> None:
    """An unknown issuer, or the certificate of another host."""
    trust = trusting() if is_trusted else ssl.create_default_context()
    async with serving_tls() as server, pool(trust) as transport:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"https://{host}:{server.port}/")
        assert server.requests == []


async def test_large_bodies_cross_tls_whole() -> None:
    """Both ways, beyond every buffer between."""
    sent, answer = b"s" * 3_000_000, b"a" * 3_000_000
    async with serving_tls([ok(answer)]) as server, pool(trusting()) as transport:
        url = f"https://localhost:{server.port}/"
        assert await ask(transport, url, "POST", content=sent) == answer
        assert [each.body for each in server.requests] == [sent]


async def test_a_cancelled_handshake_closes_its_connection() -> None:
    """A server that never shakes hands sees the client hang up; nothing is left open."""
    shaking, hung_up = asyncio.Event(), asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        shaking.set()
        await reader.read()
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server, pool() as transport:
        port = server.sockets[0].getsockname()[1]
        call = asyncio.create_task(ask(transport, f"https://127.0.0.1:{port}/"))
        await shaking.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await hung_up.wait()


async def test_a_handshake_that_never_ends_is_a_connect_timeout() -> None:
    """It belongs to the making of a connection."""
    hung_up = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server, pool() as transport:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(httpx.ConnectTimeout):
            await ask(transport, url, extensions={"timeout": {"connect": 0.05}})
        await hung_up.wait()


async def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may have several; that of IPv6 often leads nowhere."""
    look_up = asyncio.get_running_loop().getaddrinfo

    async def addresses(host: str, port: int, **parts: Any) -> list[Any]:
        if host != "api.test":
            return await look_up(host, port, **parts)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            nowhere = unused.getsockname()
        place = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*place, nowhere), (*place, ("127.0.0.1", port))]

    async with serving() as server, pool() as transport:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses)
        assert await ask(transport, f"http://api.test:{server.port}/") == b"well"
        assert dict(server.requests[0].headers)["host"] == f"api.test:{server.port}"


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "..."])
async def test_a_name_that_cannot_be_one_is_not_sent_anything(host: str) -> None:
    """Like one that is not known."""
    async with pool() as transport:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"http://{host}/")


async def test_head_has_no_body_and_its_connection_no_next_call() -> None:
    """Its length is that of the response to GET."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\n"
    async with serving([head]) as server, pool() as transport:
        assert await ask(transport, server.url, "HEAD") == b""
        assert await ask(transport, server.url) == b"well"
        assert [each.connection for each in server.requests] == [1, 2]


async def test_a_free_connection_is_closed_after_its_time() -> None:
    """By the transport, so that the server's closing does not meet a call."""
    async with serving([ok(), Act.END]) as server, pool(idle_s=0.02) as transport:
        await ask(transport, server.url)
        await server.hung_up.wait()
    async with serving([ok(), Act.HANG]) as server, pool(idle_s=0.02) as transport:
        await ask(transport, server.url)
        await server.hung_up.wait()
        assert await ask(transport, server.url) == b"well"
        assert [each.connection for each in server.requests] == [1, 2]


async def test_a_connection_past_its_time_is_not_used() -> None:
    """Even if the loop was late to close it: the process may have been suspended."""
    async with serving() as server, pool(idle_s=0) as transport:
        for _ in range(3):
            await ask(transport, server.url)
        assert [each.connection for each in server.requests] == [1, 2, 3]


async def test_the_newest_free_connection_is_used_first() -> None:
    """So that the others come to their time when there is less to do."""
    async with serving() as server, pool() as transport:
        await asyncio.gather(*(ask(transport, server.url) for _ in range(3)))
        for _ in range(6):
            await ask(transport, server.url)
        assert server.connections == 3
        assert len({each.connection for each in server.requests[3:]}) == 1


async def test_closing_ends_calls_under_way() -> None:
    """They fail as lost, and there are no new ones."""
    async with serving([ok(), Act.HANG], [Act.HANG]) as server, pool() as transport:
        await ask(transport, server.url)
        server.heard.clear()
        call = asyncio.create_task(ask(transport, server.url.replace("127.0.0.1", "localhost")))
        await server.heard.wait()
        await transport.aclose()
        with pytest.raises(httpx.RemoteProtocolError):
            await call
        with pytest.raises(httpx.ConnectError):
            await ask(transport, server.url)
        assert len(server.requests) == 2


async def test_closing_twice_or_unused_is_nothing() -> None:
    """There is nothing to wait for."""
    async with pool() as transport:
        await transport.aclose()
        await transport.aclose()


async def test_an_answer_may_come_before_the_request_is_read() -> None:
    """A server that refuses early is heard; the connection has half a request in it, and ends."""
    refusal = ok(b"too large", "413 Content Too Large")
    hung_up = asyncio.Semaphore(0)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        while await reader.read(100_000):
            """What was on its way is dropped, until the client hangs up."""
        writer.close()
        hung_up.release()

    async with await asyncio.start_server(accept, "127.0.0.1", 0, limit=1024) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with pool() as transport:
            for _ in range(2):
                assert await ask(transport, url, "POST", content=b"x" * 30_000_000) == b"too large"
                await hung_up.acquire()


async def test_a_body_is_read_once_and_not_after_its_end() -> None:
    """The connection may be another call's by then."""
    async with serving() as server, pool() as transport:
        response = await transport.handle_async_request(httpx.Request("GET", server.url))
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        await response.aclose()
        with pytest.raises(httpx.StreamClosed):
            await anext(aiter(stream))


async def test_a_streamed_request_is_sent_with_its_length() -> None:
    """Chunks are announced by httpx, but the body is known by the time it is sent."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"we"
        yield b"ll"

    async with serving() as server, pool() as transport:
        request = httpx.Request("POST", server.url, content=parts())
        await request.aread()
        response = await transport.handle_async_request(request)
        await response.aread()
        (heard,) = server.requests
        assert (heard.body, dict(heard.headers)) == (
            b"well",
            {"host": f"127.0.0.1:{server.port}", "content-length": "4"},
        )


async def test_httpx_clients_can_use_it() -> None:
    """Its client is the general way to call."""
    async with serving([ok(gzip.compress(b"[1]"), "200 OK", "Content-Encoding: gzip")]) as server:
        async with httpx.AsyncClient(transport=Http1Transport(trusting())) as client:
            answers = [await client.get(server.url), await client.get(server.url)]
        assert [answer.content for answer in answers] == [b"[1]", b"well"]
        assert server.connections == 1
