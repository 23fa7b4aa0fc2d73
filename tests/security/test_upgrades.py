"""Upgrades: RFC 9110, 7.8 says to ignore those that are not taken, and to read the message."""

import asyncio
import json

import pytest

from tests.security.served import (
    FOUND,
    QUERY,
    Answer,
    chunked,
    post,
    really_serving,
    settings_of,
)
from tests.sizes import size

pytestmark = pytest.mark.every_case

UPGRADES = {
    # As Java's HttpClient and `curl --http2` send it.
    "h2c": (
        b"connection: Upgrade, HTTP2-Settings",
        b"upgrade: h2c",
        b"http2-settings: AAMAAABkAARAAAAAAAIAAAAA",
    ),
    "TLS": (b"upgrade: TLS/1.0", b"connection: upgrade"),
    "websocket by POST": (
        *(b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"),
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "several": (b"connection: upgrade, keep-alive", b"upgrade: websocket, h2c"),
    "several lines": (b"connection: upgrade", b"upgrade: websocket", b"upgrade: h2c"),
    "nonsense": (b"connection: keep-alive", b"connection: uPgRaDe", b"upgrade: \xff /;"),
}
WITHIN = post(QUERY)
"""A request that stands in the body of another one."""
NEXT = (
    b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
)
"""The last one: it has no body that could hide what is left of the one before."""


def upgrading(sent: bytes, name: str) -> bytes:
    """Return the same request with an upgrade."""
    head, _, body = sent.partition(b"\r\n\r\n")
    return b"\r\n".join((head, *UPGRADES[name])) + b"\r\n\r\n" + body


def without_id(answer: Answer) -> tuple[int, bytes]:
    """Return what two answers to one request have in common."""
    request_id = answer.headers["x-request-id"].encode()
    return answer.status, answer.body.replace(request_id, b"ID").partition(b'"remaining":')[0]


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("make", [post, chunked])
async def test_an_upgrade_that_is_not_taken(name: str, make: type[bytes]) -> None:
    """The request is answered, and the next ones on its connection, upgrade or not."""
    sent = upgrading(make(QUERY), name)
    async with really_serving() as server, server.line() as line:
        for each in (sent, sent, post(QUERY), sent):
            await line.write(each)
            answer = await line.answer()
            assert (answer.status, answer.json["data"]) == (200, FOUND)


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("make", [post, chunked])
async def test_a_body_is_never_a_request(name: str, make: type[bytes]) -> None:
    """Whatever is announced, and however it is cut: one request, one answer, as without it."""
    plain = make(WITHIN)
    sent = upgrading(plain, name)
    at = sent.index(b"\r\n\r\n") + 4
    cuts = (at, at - 1, at + 1, at - 30, at + len(WITHIN) // 2, len(sent))
    async with really_serving() as server, server.line() as other:
        expected = without_id(await server.ask(plain))
        for cut in cuts:
            async with server.line() as line:
                await line.write(sent[:cut])
                await other.write(post(QUERY))
                await other.answer()  # so that the first piece has arrived
                await line.write(sent[cut:] + NEXT)
                assert without_id(await line.answer()) == expected
                assert (await line.answer()).json["data"] == {"__typename": "Query"}
                assert await line.rest() == b""


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("path", [b"/livez", b"/other", b"/providers/shop/customers/1/segments"])
async def test_a_body_that_nobody_reads(name: str, path: bytes) -> None:
    """It is no request either: not in one piece with its head, and not behind an early answer."""
    sent = upgrading(post(WITHIN), name).replace(b"/graphql", path, 1)
    for cut in (sent.index(b"\r\n\r\n") + 4, len(sent)):
        async with really_serving() as server, server.line() as line:
            await line.write(sent[:cut])
            first = await line.answer()
            await line.write(sent[cut:] + NEXT)
            assert b"stuut" not in first.body + await line.rest()


@pytest.mark.parametrize("name", UPGRADES)
async def test_requests_that_do_not_wait(name: str) -> None:
    """Several requests in one piece are answered one by one, with their upgrades."""
    sent = upgrading(post(QUERY), name)
    async with really_serving() as server, server.line() as line:
        await line.write(post(QUERY) + sent + post(QUERY) + sent)
        answers = [await line.answer() for _ in range(4)]

    assert [each.json["data"] for each in answers] == [FOUND] * 4


HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n"
)


@pytest.mark.parametrize(
    ("sent", "status", "ends"),
    [
        pytest.param(HANDSHAKE + b"\r\n", 101, False, id="good"),
        pytest.param(HANDSHAKE + b"content-length: 0\r\n\r\n", 101, False, id="no bytes"),
        pytest.param(HANDSHAKE + b"content-length: 3\r\n\r\nabc", 400, False, id="a length"),
        pytest.param(
            HANDSHAKE + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            400,
            False,
            id="chunked",
        ),
        pytest.param(HANDSHAKE.replace(b"GET", b"HEAD") + b"\r\n", 400, False, id="HEAD"),
        pytest.param(HANDSHAKE.replace(b"/1.1", b"/1.0") + b"\r\n", 400, True, id="HTTP/1.0"),
        pytest.param(HANDSHAKE + b"a: b\r\n" * 200 + b"\r\n", 431, True, id="many headers"),
        pytest.param(
            HANDSHAKE + b"a: " + b"b" * 9000 + b"\r\n\r\n", 431, True, id="a long header"
        ),
        pytest.param(
            HANDSHAKE.replace(b"/graphql", b"/graphql?" + b"a" * 9000) + b"\r\n",
            431,
            True,
            id="a long path",
        ),
        pytest.param(HANDSHAKE.replace(b"-key", b"-kex") + b"\r\n", 400, True, id="no key"),
        pytest.param(HANDSHAKE.replace(b"13", b"12") + b"\r\n", 400, True, id="a version"),
        pytest.param(
            HANDSHAKE.replace(b"GET /graphql", b"CONNECT /a") + b"\r\n", 400, True, id="CONNECT"
        ),
    ],
)
async def test_handshakes(sent: bytes, status: int, ends: bool) -> None:  # noqa: FBT001  # a column
    """Each is answered; a connection that goes on after it is one of HTTP, or of WebSocket."""
    async with really_serving() as server, server.line() as line:
        await line.write(sent)
        head = await line.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        if ends:
            await line.rest()
        elif status != 101 and not sent.startswith(b"HEAD"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert json.loads(await line.reader.readexactly(length))["errors"]
            await line.write(post(QUERY))
            assert (await line.answer()).json["data"] == FOUND
        assert await server.is_well()


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        pytest.param(b"-key", b"-kex", id="no key"),
        pytest.param(b"dGhlIHNhbXBsZSBub25jZQ==", b"secret", id="a key that is none"),
        pytest.param(b"-version", b"-versiom", id="no version"),
        pytest.param(b": 13", b": 8", id="another version"),
        pytest.param(b"graphql-t", b"graphql t", id="a subprotocol with a space"),
    ],
)
async def test_a_handshake_that_is_not_valid(given: bytes, instead: bytes) -> None:
    """It is refused like any other request, and says which version there is."""
    async with really_serving() as server:
        answer = await server.ask(HANDSHAKE.replace(given, instead) + b"\r\n")

        assert answer.refusal == (400, "BAD_USER_INPUT")
        assert answer.json["errors"][0]["message"] == (
            "This is not a WebSocket handshake of version 13 (RFC 6455)."
        )
        assert answer.headers["sec-websocket-version"] == "13"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert await server.is_well()


async def test_a_websocket_is_not_under_the_timers_of_http() -> None:
    """It lives on when the time for a head, a body and an idle connection is over."""
    short = {"header_timeout_s": 0.1, "body_timeout_s": 0.1}
    settings = settings_of(limits=short)
    async with really_serving(settings, timeout_keep_alive=0.1) as server, server.line() as line:
        await line.write(post(QUERY))
        await line.answer()
        await line.write(HANDSHAKE + b"\r\n")
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await line.reader.read(1)


async def test_sockets_without_an_answer() -> None:
    """None: of whatever sort a handshake is, its connection ends in its time."""
    bounds = ("header_timeout_s", "body_timeout_s", "send_timeout_s", "init_timeout_s")
    short = dict.fromkeys(bounds, 0.2)
    heads = (
        HANDSHAKE + b"\r\n",
        HANDSHAKE + b"content-length: 3\r\n\r\n",
        HANDSHAKE + b"transfer-encoding: chunked\r\n\r\n",
        HANDSHAKE + b"a: b\r\n" * 200 + b"\r\n",
        HANDSHAKE + b"a: " + b"b" * 9000 + b"\r\n\r\n",
        HANDSHAKE.replace(b"/graphql", b"/graphql?" + b"a" * 9000) + b"\r\n",
        HANDSHAKE.replace(b"-key", b"-kex") + b"\r\n",
        HANDSHAKE.replace(b"GET", b"POST") + b"content-length: 3\r\n\r\n",
        *(upgrading(post(QUERY), name)[:-1] for name in UPGRADES),
        *(upgrading(chunked(QUERY, end=b""), name) for name in UPGRADES),
    )
    settings = settings_of(limits=short)
    async with really_serving(settings, timeout_keep_alive=0.2) as server:
        for _ in range(size("SOCKETS_ROUNDS", 1, 20)):
            for head in heads:
                async with server.line() as line:
                    await line.write(head)
                    await line.rest()
        assert await server.is_well()
