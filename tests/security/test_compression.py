"""Compressed answers: for programs that ask, of queries alone, and the same text inside."""

import asyncio
import gzip
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gateway.http import compression
from tests.e2e.serving import settings_with
from tests.security.served import PATIENCE_S, Answer, Server, post, really_serving, settings_of

pytestmark = pytest.mark.every_case

TEXT = "{ segments(first: 25) { nodes { id name externalId } } }"
NODES = "nodes { id externalId name provider { key displayName } }"
LARGE = json.dumps({"query": TEXT}).encode()
SMALL = b'{"query":"{ __typename }"}'
GZIP = b"accept-encoding: gzip"
SHOP = "https://shop.test"


def streamed(body: bytes, *headers: bytes) -> bytes:
    """Return a POST that goes through ASGI: its length is not known before its end."""
    whole = post(body, *headers).replace(b"content-length: %d" % len(body), b"x: y")
    head, _, _ = whole.partition(b"\r\n\r\n")
    return head + b"\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(body),
        body,
    )


def get(body: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    """Return the same as a GET."""
    query = quote(json.loads(body)["query"]).encode()
    lines = [b"%b /graphql?query=%b HTTP/1.1" % (method, query), b"host: localhost", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


WAYS = {"direct": post, "streamed": streamed, "get": get}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Serve the gateway; a page of one other site may ask."""
    settings = settings_of(server={"cors_origins": (SHOP,)})
    async with really_serving(settings) as server:
        yield server


def unpacked(answer: Answer) -> Any:
    """Return the data of an answer that must be compressed."""
    assert answer.status == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(answer.body))
    return json.loads(gzip.decompress(answer.body))["data"]


def plain(answer: Answer) -> Any:
    """Return what an answer says that must not be compressed."""
    assert "content-encoding" not in answer.headers
    assert "accept-encoding" in answer.headers["vary"].split(", ")
    return json.loads(answer.body)


@pytest.mark.parametrize("way", WAYS)
async def test_large_answers(server: Server, way: str) -> None:
    """They are compressed for who accepts it, and hold what they hold for others."""
    make = WAYS[way]
    packed = await server.ask(make(LARGE, GZIP))
    without = await server.ask(make(LARGE))

    assert unpacked(packed) == plain(without)["data"]
    assert len(packed.body) * 2 < len(without.body)
    assert packed.headers["vary"] == without.headers["vary"]
    assert packed.headers["cache-control"] == without.headers["cache-control"]


async def test_one_connection(server: Server) -> None:
    """Repeated heads are answered in their coding, each time, beside others."""
    async with server.line() as line:
        for header, is_packed in ((GZIP, True), (b"x: y", False)) * 3:
            await line.write(post(LARGE, header))
            answer = await line.answer()
            assert ("content-encoding" in answer.headers) is is_packed
            await line.write(post(SMALL, header))
            assert plain(await line.answer())["data"] == {"__typename": "Query"}


@pytest.mark.parametrize("way", WAYS)
async def test_very_large_answers(
    server: Server, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are compressed on a thread, and meanwhile others are answered."""
    threads: list[int] = []
    to_thread = asyncio.to_thread

    async def seen(work: Callable[[bytes], bytes], body: bytes) -> bytes:
        threads.append(len(body))
        return await to_thread(work, body)

    monkeypatch.setattr(asyncio, "to_thread", seen)
    fields = (f"a{n}: segments(first: 250) {{ {NODES} }}" for n in range(12))
    body = json.dumps({"query": f"query {{ {' '.join(fields)} }}"}).encode()
    packed = await server.ask(WAYS[way](body, GZIP))
    without = await server.ask(WAYS[way](body))

    assert unpacked(packed) == plain(without)["data"]
    assert threads == [len(gzip.decompress(packed.body))]
    assert threads[0] > compression.LARGE


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ((b"accept-encoding: gzip, deflate, br, zstd",), True),
        ((b"accept-encoding: GZIP",), True),
        ((b"accept-encoding: x-gzip",), True),
        ((b"accept-encoding: *",), True),
        ((b"accept-encoding: br", b"accept-encoding: gzip;q=0.5"), True),
        ((b"accept-encoding: identity;q=0.5, gzip",), True),
        ((b"accept-encoding: gzip;q=0",), False),
        ((b"accept-encoding: gzip;q=0, *",), False),
        ((b"accept-encoding: *;q=0",), False),
        ((b"accept-encoding: identity, gzip;q=0.5",), False),
        ((b"accept-encoding: gzip;q=x",), False),
        ((b"accept-encoding: br, zstd, deflate",), False),
        ((b"accept-encoding:",), False),
        ((b"accept-encoding: identity",), False),
    ],
)
async def test_what_is_accepted(
    server: Server, accepted: tuple[bytes, ...], *, is_packed: bool
) -> None:
    """As RFC 9110, 12.5.3 says; what is not accepted is never sent."""
    for make in (post, get):
        answer = await server.ask(make(LARGE, *accepted))
        assert (answer.status, "content-encoding" in answer.headers) == (200, is_packed)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "headers",
    [
        (b"origin: https://shop.test", b"sec-fetch-site: cross-site"),
        (b"origin: https://shop.test",),
        (b"sec-fetch-site: same-origin",),
        (b"sec-fetch-site: none",),
    ],
)
async def test_pages(server: Server, way: str, headers: tuple[bytes, ...]) -> None:
    """Answers to pages are not compressed: their lengths would tell what is in them (BREACH)."""
    answer = await server.ask(WAYS[way](LARGE, GZIP, *headers))

    assert len(plain(answer)["data"]["segments"]["nodes"]) == 25


@pytest.mark.parametrize("way", WAYS)
async def test_what_repeats_the_callers_text(server: Server, way: str) -> None:
    """Answers with errors are not compressed, whatever their size; nor are refusals."""
    name = "x" * 2000
    for text in (f"{{ {name} }}", TEXT.replace("id ", f'id {name}: raw(path: "a") ')):
        answer = await server.ask(WAYS[way](json.dumps({"query": text}).encode(), GZIP))
        assert plain(answer)["errors"]


async def test_mutations(server: Server) -> None:
    """Nor are answers of mutations: they repeat what was sent."""
    name = "x" * compression.SMALLEST
    body = json.dumps({"query": f"mutation {{ {name}: __typename }}"}).encode()
    for make in (post, streamed):
        answer = await server.ask(make(body, GZIP))
        assert plain(answer)["data"] == {name: "Mutation"}


@pytest.mark.parametrize("way", WAYS)
async def test_event_streams(server: Server, way: str) -> None:
    """Events are sent as they are."""
    answer = await server.ask(WAYS[way](LARGE, GZIP, b"accept: text/event-stream"))

    assert answer.headers["content-type"] == "text/event-stream"
    assert "content-encoding" not in answer.headers
    assert answer.body.startswith(b"event: next\ndata: {")


@pytest.mark.parametrize("way", WAYS)
async def test_small_answers(server: Server, way: str) -> None:
    """They fit into one packet anyhow."""
    answer = await server.ask(WAYS[way](SMALL, GZIP))

    assert plain(answer)["data"] == {"__typename": "Query"}


async def test_the_smallest_answer() -> None:
    """From so many bytes on, to the byte."""
    async with really_serving(settings_with()) as server:
        for size, is_packed in ((compression.SMALLEST, True), (compression.SMALLEST - 1, False)):
            empty = await server.ask(post(aliased("")))
            answer = await server.ask(post(aliased("x" * (size - len(empty.body))), GZIP))
            assert ("content-encoding" in answer.headers) is is_packed
            text = gzip.decompress(answer.body) if is_packed else answer.body
            assert len(text) == size


def aliased(name: str) -> bytes:
    """Return a query whose answer is as much longer as the name is."""
    return json.dumps({"query": f"{{ a{name}: __typename }}"}).encode()


async def test_head(server: Server) -> None:
    """It has the headers of GET, and no body (RFC 9110, 9.3.2)."""
    without = await server.ask(get(LARGE))
    async with server.line() as line:
        await line.write(get(LARGE, GZIP, b"connection: close", method=b"HEAD"))
        head, _, body = (await line.rest()).partition(b"\r\n\r\n")

    assert body == b""
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["content-encoding"] == "gzip"
    assert 0 < int(headers["content-length"]) * 2 < len(without.body)


async def test_clients(server: Server) -> None:
    """Clients that ask for it by themselves undo it: httpx, and curl --compressed."""
    url = f"http://{server.host}:{server.port}/graphql"
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(url, json={"query": TEXT})
    assert reply.headers["content-encoding"] == "gzip"
    assert len(reply.json()["data"]["segments"]["nodes"]) == 25

    curl = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--compressed", "--noproxy", "*", "--write-out", "%{size_download}"),
        *("--header", "content-type: application/json", "--data", LARGE.decode(), url),
        stdout=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(curl.communicate(), PATIENCE_S)
    text, _, received = out.rpartition(b"}")
    assert json.loads(text + b"}")["data"] == reply.json()["data"]
    assert int(received) * 2 < len(text)
