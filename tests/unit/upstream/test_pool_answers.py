"""Every transport against a misbehaving server: complete replies or exact errors."""

import asyncio
import gzip

import httpx
import pytest

from gateway.errors import Malformed, ProviderError
from gateway.request_scope import Scope
from tests.unit.upstream.misbehaving import Act, Script, ok, serving
from tests.unit.upstream.transports import LOST, ask
from tests.unit.upstream.upstreams import open_account, things

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ZIPPED = "Content-Encoding: gzip"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Le", Act.CLOSE], id="half a head"),
        pytest.param([ok()[:-1], Act.CLOSE], id="half a body"),
        pytest.param([ok()[:-1], Act.RESET], id="half a body, reset"),
        pytest.param([CHUNKED + b"4\r\nwell\r\n", Act.CLOSE], id="no last chunk"),
        pytest.param([CHUNKED + b"9\r\nwell", Act.CLOSE], id="half a chunk"),
        pytest.param([CHUNKED + b"zz\r\nwell\r\n0\r\n\r\n", Act.HANG], id="bad chunk"),
        pytest.param([b"\x16\x03\x01 what is this\r\n\r\n", Act.CLOSE], id="not HTTP"),
        pytest.param([b"HTTP/1.1 abc OK\r\n\r\n", Act.CLOSE], id="no status"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", Act.HANG], id="huge header"
        ),
    ],
)
async def test_what_is_no_whole_answer_is_an_error(
    transport: httpx.AsyncBaseTransport, script: Script
) -> None:
    """Never half a reply, never a second attempt, and the next call succeeds."""
    async with serving(script) as server:
        with pytest.raises(LOST):
            await ask(transport, server.url)
        assert len(server.requests) == 1
        assert (await ask(transport, server.url))[2] == b"well"
        assert server.connections == 2


@pytest.mark.parametrize(
    "body",
    [b"not compressed", gzip.compress(b"well" * 1000)[:-12], gzip.compress(b"well")[:4]],
    ids=["not gzip", "cut short", "cut in its head"],
)
async def test_what_cannot_be_decompressed_is_an_error(
    transport: httpx.AsyncBaseTransport, body: bytes
) -> None:
    """A body that is not what its header says is not shown in part."""
    async with serving([ok(body, "200 OK", ZIPPED)]) as server:
        with pytest.raises((httpx.RemoteProtocolError, httpx.DecodingError)):
            await ask(transport, server.url)
        assert (await ask(transport, server.url))[2] == b"well"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param([ok()], b"well", id="at once"),
        pytest.param([bytes([byte]) for byte in ok()], b"well", id="byte by byte"),
        pytest.param([CHUNKED, b"2\r\nwe\r\n", b"2\r\nll\r\n0\r\n\r\n"], b"well", id="chunked"),
        pytest.param(
            [CHUNKED + b"2;x=1\r\nwe\r\n2\r\nll\r\n0\r\nX-Sum: 1\r\n\r\n"], b"well", id="trailer"
        ),
        pytest.param([ok(gzip.compress(b"well"), "200 OK", ZIPPED)], b"well", id="gzip"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwell", Act.CLOSE],
            b"well",
            id="until it closes",
        ),
        pytest.param([ok(b"")], b"", id="empty"),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", ok()], b"well", id="1xx"),
    ],
)
async def test_an_answer_arrives_whole_in_whatever_form(
    transport: httpx.AsyncBaseTransport, script: Script, expected: bytes
) -> None:
    """Framing and compression are invisible; the next call succeeds."""
    async with serving(script) as server:
        status, headers, body = await ask(transport, server.url)
        assert (status, body, "content-encoding" in headers) == (200, expected, False)
        assert (await ask(transport, server.url))[2] == b"well"


async def test_status_and_headers_are_the_servers(transport: httpx.AsyncBaseTransport) -> None:
    """Any status, repeated lines, and letters beyond ASCII."""
    sent = ("X-Total-Count: 5", "Link: a", "Link: b", "X-Name: café")
    async with serving([ok(b"[]", "207 Multi-Status", *sent)]) as server:
        status, headers, body = await ask(transport, server.url)
    assert (status, body, headers["x-total-count"], headers.get_list("link")) == (
        207,
        b"[]",
        "5",
        ["a", "b"],
    )
    assert dict(headers.raw)[b"X-Name"] == "café".encode("latin-1")


async def test_no_content_keeps_the_connection(transport: httpx.AsyncBaseTransport) -> None:
    """204 has no body to wait for."""
    async with serving([b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        assert (await ask(transport, server.url, "DELETE"))[::2] == (204, b"")
        await ask(transport, server.url)
        assert [each.connection for each in server.requests] == [1, 1]


async def test_nothing_is_kept_of_an_answer(transport: httpx.AsyncBaseTransport) -> None:
    """Cookies are not returned, and redirects are replies like any other."""
    moved = ok(b"", "302 Found", "Location: /elsewhere", "Set-Cookie: sid=1; Path=/")
    async with serving([moved]) as server:
        url = f"http://localhost:{server.port}"  # an address would have no cookies anyway
        status, headers, _ = await ask(transport, url)
        assert (status, headers["location"]) == (302, "/elsewhere")
        await ask(transport, url)
        assert [each.target for each in server.requests] == ["/", "/"]
        assert "cookie" not in dict(server.requests[1].headers)


async def test_bytes_behind_an_answer_are_no_answer(transport: httpx.AsyncBaseTransport) -> None:
    """Unsolicited data is never read as the reply to the next call."""
    async with serving([ok() + ok(b"poison")]) as server:
        bodies = [(await ask(transport, server.url))[2] for _ in range(2)]
    assert bodies == [b"well", b"well"]


@pytest.mark.parametrize("begun", [[], [ok()[:-2]]], ids=["no head", "half a body"])
async def test_a_silent_server_is_a_read_timeout(
    transport: httpx.AsyncBaseTransport, begun: list[bytes]
) -> None:
    """The time for reading is that of each wait, and ends the connection."""
    async with serving([*begun, Act.HANG]) as server:
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, server.url, extensions={"timeout": {"read": 0.03}})
        await server.hung_up.wait()
        assert len(server.requests) == 1


async def test_an_answer_that_is_not_read_to_its_end_closes_its_connection(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The unread remainder of a body does not reach the next reader."""
    flood = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"
    async with serving([flood, Act.FLOOD]) as server:
        response = await transport.handle_async_request(httpx.Request("GET", server.url))
        async for part in response.aiter_bytes():
            assert set(part) == {ord("x")}
            break
        await response.aclose()
        await server.hung_up.wait()
        assert (await ask(transport, server.url))[2] == b"well"


async def _measure(response: httpx.Response, sizes: list[int]) -> None:
    """Keep the sizes of the parts of a body."""
    async for part in response.aiter_bytes():
        sizes.append(len(part))  # noqa: PERF401  # a comprehension would lose them when it fails


async def test_a_decompression_bomb_is_refused_in_small_parts(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """A body of zeros is refused after a megabyte, and no part of that is large."""
    size = 32 * 1024 * 1024
    bomb = ok(gzip.compress(b"\0" * size, 1), "200 OK", ZIPPED)
    async with serving([bomb], [bomb]) as server:
        response = await transport.handle_async_request(httpx.Request("GET", server.url))
        sizes: list[int] = []
        with pytest.raises(httpx.DecodingError):
            await _measure(response, sizes)
        await response.aclose()
        assert (sum(sizes), set(sizes)) == (1024 * 1024, {256 * 1024})

        upstream = open_account(transport, base_url=server.url, max_answer_bytes=16 * 1024 * 1024)
        within = Scope("request-1", asyncio.get_running_loop().time() + 10)
        with pytest.raises(ProviderError) as refused:
            await upstream.send(things(), within)
    assert type(refused.value) is Malformed
