"""Connections: slow clients, large requests, and bytes that two readers would read differently."""

import asyncio
import contextlib
import json

import pytest

from gateway.http.app import PAGES
from tests.proxies.processes import IN_CI
from tests.security.served import (
    FOUND,
    PATIENCE_S,
    QUERY,
    chunked,
    post,
    really_serving,
    settings_of,
)

pytestmark = pytest.mark.every_case

HOST = b"host: localhost\r\n"
JSON = b"content-type: application/json\r\n"
POST = b"POST /graphql HTTP/1.1\r\n" + HOST + JSON
SHORT = {"header_timeout_s": 0.2, "body_timeout_s": 0.2, "send_timeout_s": 0.2}


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        pytest.param(b"GET /graphql HTTP/1.1\r\nhost: loc", 408, "LIMIT_EXCEEDED", id="headers"),
        pytest.param(b"G", 408, "LIMIT_EXCEEDED", id="method"),
        pytest.param(b"\r\n\r\n", 408, "LIMIT_EXCEEDED", id="empty lines"),
        pytest.param(
            POST + b"content-length: 100\r\n\r\n{", 408, "LIMIT_EXCEEDED", id="known body"
        ),
        pytest.param(
            POST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
            408,
            "LIMIT_EXCEEDED",
            id="chunked body",
        ),
        pytest.param(
            chunked(QUERY, end=b"0\r\nx: "), 408, "LIMIT_EXCEEDED", id="what follows the chunks"
        ),
    ],
)
async def test_a_request_that_does_not_come(sent: bytes, status: int, code: str) -> None:
    """It is given up after its time, with a reason, and the connection with it."""
    async with really_serving(settings_of(limits=SHORT)) as server, server.line() as line:
        await line.write(sent)
        answer = await line.answer()

        assert answer.refusal == (status, code)
        assert await line.rest() == b""
        assert await server.is_well()


async def test_a_client_that_says_nothing() -> None:
    """Its connection is closed without a word: browsers open some in advance."""
    async with really_serving(settings_of(limits=SHORT)) as server, server.line() as line:
        assert await line.rest() == b""


async def test_a_client_that_drips() -> None:
    """The time is for all of the headers: a byte now and then gains nothing."""
    async with really_serving(settings_of(limits=SHORT)) as server, server.line() as line:

        async def drip() -> None:
            for byte in b"GET /graphql HTTP/1.1\r\n" + b"a: b\r\n" * 100_000:
                await line.write(bytes([byte]))
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        answer = await line.answer()
        dripping.cancel()

        assert answer.refusal == (408, "LIMIT_EXCEEDED")


@pytest.mark.parametrize("between", [b"", b"\r\n"])
async def test_an_idle_connection(between: bytes) -> None:
    """A connection that is kept alive ends when nothing comes, empty lines or not."""
    settings = settings_of(limits=SHORT)
    async with (
        really_serving(settings, timeout_keep_alive=0.1) as server,
        server.line() as line,
    ):
        await line.write(post(QUERY))
        assert (await line.answer()).json["data"] == FOUND
        await line.write(between)

        assert (await line.rest()).partition(b"\r\n")[0] in {
            b"",
            b"HTTP/1.1 408 Request Timeout",
        }


LARGE = json.dumps(
    {"query": "{ " + " ".join(f"a{n}: __typename" for n in range(40)) + " }"}
).encode()


@pytest.mark.parametrize("headers", [(), (b"connection: close",)])
async def test_a_client_that_does_not_read(headers: tuple[bytes, ...]) -> None:
    """Its connection is cut, with all that waits for it."""
    query = b'{"query":"{ segments(first: 250) { nodes { id name description raw } } }"}'
    async with really_serving(settings_of(limits=SHORT)) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=1)
        try:
            # As many as fill what the system keeps for a connection.
            with contextlib.suppress(OSError):
                async with asyncio.timeout(15):
                    while True:
                        writer.write(post(query, *headers))
                        await writer.drain()
                        await asyncio.sleep(0)
            with contextlib.suppress(OSError):
                while await reader.read(2**20):
                    pass
            assert reader.at_eof() or writer.is_closing()
        finally:
            writer.close()
        assert await server.is_well()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /graphql HTTP/1.1\r\n" + b"a" * 40_000, id="name"),
        pytest.param(b"GET /graphql HTTP/1.1\r\na: " + b"a" * 40_000, id="value"),
        pytest.param(b"GET /graphql HTTP/1.1\r\n" + b"a: b\r\n" * 7000, id="many"),
        pytest.param(b"GET /graphql?" + b"a" * 40_000, id="address"),
        pytest.param(post(QUERY, b"a: " + b"a" * 40_000), id="whole"),
    ],
)
async def test_large_headers(sent: bytes) -> None:
    """Headers have a bound, whether they end or not."""
    async with really_serving() as server, server.line() as line:
        await line.write(sent)
        answer = await line.answer()

        assert answer.refusal == (431, "LIMIT_EXCEEDED")
        assert await line.rest() == b""
        assert await server.is_well()


async def test_headers_at_their_bound() -> None:
    """As many bytes as the bound are read, one more is refused."""
    first, _, rest = post(QUERY, b"a: ").partition(b"\r\n")
    assert first == b"POST /graphql HTTP/1.1"
    room = 4096 - len("/graphql") - rest.index(b"\r\n\r\n") - len("\r\n")
    async with really_serving(settings_of(limits={"header_bytes": 4096})) as server:
        for more, status in ((0, 200), (1, 431)):
            answer = await server.ask(post(QUERY, b"a: " + b"a" * (room + more)))
            assert answer.status == status


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(POST + b"content-length: 2000000\r\n\r\n{", id="announced"),
        pytest.param(chunked(*[b" " * 65536] * 16, b" ", end=b""), id="chunked"),
        pytest.param(chunked(b" ", times=1_500_000, end=b""), id="many chunks"),
        pytest.param(chunked(b"{", end=b"0\r\nx: " + b"a" * 9_000_000), id="trailer"),
    ],
)
async def test_large_bodies(sent: bytes) -> None:
    """A body is read no further than its bound, and none is announced that is larger."""
    settings = settings_of(limits={"body_bytes": 1024 * 1024})
    async with really_serving(settings) as server, server.line() as line:
        writing = asyncio.create_task(line.write(sent))
        answer = await line.answer()

        assert answer.refusal == (413, "LIMIT_EXCEEDED")
        assert await line.rest() == b""
        await writing
        assert await server.is_well()


AMBIGUOUS = {
    "length and chunks": post(QUERY, b"transfer-encoding: chunked"),
    "chunks and length": POST
    + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": post(QUERY, b"content-length: 3"),
    "one length twice": post(QUERY, b"content-length: %d" % len(QUERY)),
    "list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "signed length": POST + b"content-length: +3\r\n\r\nabc",
    "negative length": POST + b"content-length: -3\r\n\r\nabc",
    "length beyond numbers": POST + b"content-length: " + b"9" * 30 + b"\r\n\r\n",
    "unknown coding": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks not last": POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "coding twice": POST
    + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "coding after a tab": POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded header": post(QUERY, b"x: a\r\n b"),
    "bare line feeds": b"GET /graphql HTTP/1.1\nhost: localhost\n\n",
    "one bare line feed": post(QUERY, b"x: a\ny: b"),
    "bare carriage return": post(QUERY, b"x: a\ry: b"),
    "NUL": post(QUERY, b"x: a\x00b"),
    "header without a name": post(QUERY, b": x"),
    "header with a space": post(QUERY, b"x y: z"),
    "line feed in a chunk": POST + b"transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "huge chunk": POST + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
    "negative chunk": POST + b"transfer-encoding: chunked\r\n\r\n-1\r\nabc",
    "two hosts": post(QUERY, b"host: localhost"),
    "no host": b"GET /graphql?query={__typename} HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /graphql\r\n\r\n",
    "HTTP/1.2": b"GET /graphql HTTP/1.2\r\nhost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "somebody at a host": b"GET http://a@localhost/graphql HTTP/1.1\r\n" + HOST + b"\r\n",
    "address of another kind": b"GET ftp://localhost/graphql HTTP/1.1\r\n" + HOST + b"\r\n",
    "address and no host": b"GET http://localhost/graphql?query={a} HTTP/1.1\r\n\r\n",
    "address and two hosts": b"GET http://localhost/graphql HTTP/1.1\r\n" + HOST * 2 + b"\r\n",
    "tunnel": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "no ASCII": b"GET /graphql\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "two authorizations": post(QUERY, b"authorization: Bearer a", b"authorization: Bearer b"),
    "two content types": post(QUERY, b"content-type: text/plain"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_two_readers_would_read_differently(name: str) -> None:
    """It is refused: a proxy in front may have taken it for something else."""
    async with really_serving() as server:
        answer = await server.ask(AMBIGUOUS[name])

        assert answer.refusal == (400, "BAD_USER_INPUT")
        assert await server.is_well()


@pytest.mark.parametrize("expectation", [b"", b"expect: 100-continue\r\n"])
@pytest.mark.parametrize("path", [b"/graphql", b"/mcp"])
async def test_a_body_that_is_announced(path: bytes, expectation: bytes) -> None:
    """One that is too large is refused before any of it is asked for, or has come."""
    head = POST.replace(b"/graphql", path) + expectation + b"content-length: 5000000\r\n\r\n"
    settings = settings_of(mcp={"enabled": True})
    async with really_serving(settings) as server, server.line() as line:
        await line.write(head)
        answer = await line.answer()

    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize(("version", "is_asked"), [(b"1.0", False), (b"1.1", True)])
async def test_an_expectation(version: bytes, is_asked: bool) -> None:  # noqa: FBT001  # a column
    """A client of HTTP/1.0 would take `100 Continue` for the answer."""
    head, _, body = post(QUERY, b"expect: 100-continue").partition(b"\r\n\r\n")
    async with really_serving() as server, server.line() as line:
        await line.write(head.replace(b"/1.1", b"/" + version, 1) + b"\r\n\r\n")
        if is_asked:
            interim = await line.reader.readuntil(b"\r\n\r\n")
            assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        await line.write(body)
        answer = await line.answer()

    assert (answer.status, answer.json["data"]) == (200, FOUND)


async def test_trailers_are_no_headers() -> None:
    """What comes after a chunked body was looked at by no proxy: nothing is made of it."""
    end = b"0\r\nauthorization: Bearer wrong\r\nhost: evil.test\r\norigin: null\r\n\r\n"
    async with really_serving() as server:
        answer = await server.ask(chunked(QUERY, end=end))

        assert (answer.status, answer.json["data"]) == (200, FOUND)


async def test_requests_that_do_not_wait() -> None:
    """Some may wait for the one before on a connection, answered in order; not any number."""
    async with really_serving() as server:
        async with server.line() as line:
            await line.write(post(QUERY) * 10)
            answers = [await line.answer() for _ in range(10)]
            assert [each.json["data"] for each in answers] == [FOUND] * 10
        async with server.line() as line:
            await line.write(post(QUERY) * 1000)
            assert (await line.rest()).count(b"HTTP/1.1 200") < 20
        assert await server.is_well()


@pytest.mark.parametrize("ending", [b"connection: close", b"connection: keep-alive"])
async def test_a_refusal_behind_a_request_in_progress(ending: bytes) -> None:
    """It follows the answer to that request at once, and the connection ends with it."""
    second = chunked(QUERY, end=b"zz\r\n").replace(b"\r\n", b"\r\n%b\r\n" % ending, 1)
    async with really_serving() as server, server.line() as line:
        await line.write(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n" + second)

        assert (await line.answer()).status == 200
        assert (await line.answer()).refusal == (400, "BAD_USER_INPUT")
        assert await line.rest() == b""


@pytest.mark.parametrize(
    ("line", "status"), [(b"x y: z", 400), (b"a: " + b"b" * 40_000, 431), (b"x: y", 408)]
)
async def test_a_refused_head(line: bytes, status: int) -> None:
    """Its answer has no body (RFC 9110, 9.3.2), whoever in the server writes it."""
    end = b"" if status == 408 else b"\r\n\r\n"
    async with really_serving(settings_of(limits=SHORT)) as server, server.line() as opened:
        await opened.write(b"HEAD /graphql HTTP/1.1\r\n" + HOST + line + end)
        head, _, body = (await opened.rest()).partition(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert body == b""


PADDED = {
    "host": post(QUERY).replace(b"host: localhost", b"host: localhost \t"),
    "origin": post(QUERY, b"origin: http://localhost "),
    "content-encoding": post(QUERY, b"content-encoding: identity\t"),
}


@pytest.mark.parametrize("name", PADDED)
async def test_white_space_after_a_value(name: str) -> None:
    """It is no part of the value (RFC 9112, 5.1)."""
    assert b" \r\n" in PADDED[name] or b"\t\r\n" in PADDED[name]
    async with really_serving() as server:
        answer = await server.ask(PADDED[name])

        assert (answer.status, answer.json["data"]) == (200, FOUND)


async def test_an_answer_before_all_was_read() -> None:
    """Who is refused early gets to read why, though the rest of the request is not read."""
    sent = POST.replace(b"application/json", b"text/plain") + b"content-length: 900000\r\n\r\n"
    async with really_serving() as server, server.line() as line:
        await line.write(sent + b" " * 500_000)
        answer = await line.answer()

        assert answer.refusal == (415, "BAD_USER_INPUT")
        assert answer.headers["connection"] == "close"  # or a proxy would go on with it
        assert await line.rest() == b""


@pytest.mark.parametrize(
    "first",
    [
        *(b"GET /livez", b"HEAD /livez", b"HEAD /nowhere"),
        pytest.param(
            b"streamed",
            marks=pytest.mark.skipif(
                not PAGES.is_dir() and not IN_CI, reason="run `make pages` first"
            ),
        ),
    ],
)
async def test_an_answer_before_the_body(first: bytes) -> None:
    """It says that its connection ends, whichever part of the server writes it."""
    if first == b"streamed":
        largest = max(PAGES.glob("assets/*.js"), key=lambda file: file.stat().st_size)
        first = f"GET /static/assets/{largest.name}".encode()
    async with really_serving() as server, server.line() as line:
        await line.write(first + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n")
        head = await line.reader.readuntil(b"\r\n\r\n")

        assert b"\r\nconnection: close\r\n" in head
        assert b"keep-alive" not in head
        await line.write(b"hello")
        body = await line.rest()
        assert (body == b"") == first.startswith(b"HEAD"), len(body)


async def test_what_every_answer_says() -> None:
    """Neither the server nor its version is named, and a browser runs nothing of it."""
    async with really_serving() as server:
        answer = await server.ask(post(QUERY))

    assert answer.headers.keys() == {
        *("content-type", "content-length", "cache-control", "vary", "x-request-id"),
        *("connection", "keep-alive"),
        *("x-content-type-options", "content-security-policy", "referrer-policy"),
        *("cross-origin-resource-policy", "x-frame-options"),
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize(
    ("trusted", "forwarded", "status"),
    [
        ((), b"x-forwarded-for: 127.0.0.1", 401),
        ((), b"x-forwarded-for: 203.0.113.7", 401),
        ((), b"forwarded: for=127.0.0.1", 401),
        (("127.0.0.1",), b"x-forwarded-for: 203.0.113.7", 401),
        (("127.0.0.1",), b"x-forwarded-for: 127.0.0.1, 203.0.113.7", 401),
        (("10.0.0.0/8",), b"x-forwarded-for: 127.0.0.1", 401),
        ((), b"x-real-ip: 203.0.113.7", 200),
    ],
)
async def test_who_comes_through_a_proxy(
    trusted: tuple[str, ...], forwarded: bytes, status: int
) -> None:
    """They are not at this machine, whatever they say and though the proxy is."""
    settings = settings_of(server={"trusted_proxies": trusted})
    async with really_serving(settings) as server:
        answer = await server.ask(post(QUERY, forwarded))

    assert answer.status == status


HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)
PING = b"\x89\x80\0\0\0\0"
PONG = b"\x8a\0"


async def test_a_flood_of_websocket_pings() -> None:
    """The connection ends after as many as are answered in a second; others are served."""
    async with really_serving() as server, server.line() as line:
        await line.write(HANDSHAKE)
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await line.write(PING * 100)
        async with asyncio.timeout(PATIENCE_S):
            assert await line.reader.readexactly(200) == PONG * 100
        await line.write(PING * 100_000)
        assert len(await line.rest()) <= len(PONG * 200)
        assert await server.is_well()
