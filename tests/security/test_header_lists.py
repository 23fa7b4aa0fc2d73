"""Several lines of one header are one list (RFC 9110, 5.2 and 5.3), on the wire."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.e2e.asking import GRAPHQL, JSON
from tests.security.served import PATIENCE_S, QUERY, Server, chunked, post, really_serving

pytestmark = pytest.mark.every_case

GET = b"GET /graphql?query={__typename} HTTP/1.1\r\nhost: localhost\r\n%b\r\n\r\n"
NAMES = (
    b'{"query":"{ node(id: \\"WyJzIiwiZW1wb3JpeCIsInN0YWZmIl0\\") { ... on Segment { name } } }"}'
)
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n\r\n"
)
OURS = b"graphql-transport-ws"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Serve the gateway."""
    async with really_serving() as server:
        yield server


@pytest.mark.parametrize(
    ("lines", "media_type"),
    [
        ((b"accept: image/png", b"accept: " + GRAPHQL.encode()), GRAPHQL),
        ((b"Accept: image/png", b"x-a: b", b"ACCEPT: " + GRAPHQL.encode()), GRAPHQL),
        ((b"accept: application/json;q=0.5", b"accept: " + GRAPHQL.encode()), GRAPHQL),
        ((b"accept: " + GRAPHQL.encode() + b";q=0.5", b"accept: application/json"), JSON),
        ((b"accept:", b"accept: " + GRAPHQL.encode()), GRAPHQL),
        ((b"accept: a/b, c/d", b"accept: */*"), JSON),
    ],
)
async def test_accept(server: Server, lines: tuple[bytes, ...], media_type: str) -> None:
    """All of them count: for plain requests, chunked ones and GET."""
    head = b"\r\n".join(lines)
    streamed = chunked(QUERY).replace(b"\r\n\r\n", b"\r\n%b\r\n\r\n" % head, 1)
    for request in (post(QUERY, *lines), streamed, GET % head):
        answer = await server.ask(request)
        assert (answer.status, answer.headers["content-type"]) == (200, media_type)


async def test_accept_that_fits_nowhere(server: Server) -> None:
    """Neither line can be met."""
    lines = (b"accept: image/png", b"accept: text/css")
    for request in (post(QUERY, *lines), GET % b"\r\n".join(lines)):
        answer = await server.ask(request)
        assert answer.refusal == (406, "BAD_USER_INPUT")


async def test_accept_language(server: Server) -> None:
    """The best one counts, in whichever line it stands."""
    one = await server.ask(post(NAMES, b"accept-language: en;q=0.5, de"))
    lines = (b"accept-language: en;q=0.5", b"accept-language: de")
    several = await server.ask(post(NAMES, *lines))
    english = await server.ask(post(NAMES, b"accept-language: en"))

    assert several.json["data"] == one.json["data"]
    assert english.json["data"] != one.json["data"]


@pytest.mark.parametrize("name", [b"authorization: Bearer a", b"content-type: application/json"])
async def test_what_is_no_list(server: Server, name: bytes) -> None:
    """It stands there once: a proxy may read the other line."""
    answer = await server.ask(post(QUERY, name, name))

    assert answer.refusal == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("protocols", [(b"graphql-ws", OURS), (OURS, b"graphql-ws")])
async def test_subprotocols(server: Server, protocols: tuple[bytes, ...]) -> None:
    """The protocol is found in either line."""
    lines = [b"sec-websocket-protocol: %b" % each for each in protocols]
    async with server.line() as line:
        await line.write(HANDSHAKE % b"\r\n".join(lines))
        async with asyncio.timeout(PATIENCE_S):
            head = await line.reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nsec-websocket-protocol: %b\r\n" % OURS in head.lower()
