"""Ordinary clients, through each proxy in its documented configuration, and without one."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.http.app import PAGES
from tests.proxies.attacks import body_of, document, heads, request
from tests.proxies.processes import HOST, IN_CI, PATIENCE_S, Way

pytestmark = pytest.mark.proxies

QUERY = document("ordinary")
DATA = {"ordinary": None}
LARGE = """{ customers(first: 250) {
    nodes { id name email phone attributes identities { key externalId } } } }"""


@pytest.fixture
def client(way: Way) -> Iterator[httpx.Client]:
    """Return a client with a key that keeps its connections."""
    headers = {"host": HOST, "authorization": f"Bearer {way.gateway.keys['victim']}"}
    base = f"http://127.0.0.1:{way.port}"
    with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=PATIENCE_S) as made:
        yield made


def post(client: httpx.Client, query: str, **headers: str) -> httpx.Response:
    """Send a query."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/graphql", json={"query": query}, headers=sent)


def data(answer: httpx.Response) -> Mapping[str, Any]:
    """Return the data of an answer without errors."""
    assert answer.status_code == httpx.codes.OK
    content = answer.json()
    assert content.keys() == {"data", "extensions"}
    data: Mapping[str, Any] = content["data"]
    return data


def test_a_query_by_post_and_by_get(client: httpx.Client, way: Way) -> None:
    """Both are answered, by one call each."""
    way.gateway.sandbox.reset_calls()
    assert data(post(client, QUERY)) == DATA
    assert data(client.get("/graphql", params={"query": QUERY})) == DATA
    assert [call.path for call in way.gateway.sandbox.calls] == ["/v1/customers/ordinary"] * 2


def test_a_mutation_is_sent_once(client: httpx.Client, way: Way) -> None:
    """A segment is created by a POST, once; by a GET nothing is."""
    way.gateway.sandbox.reset_calls()
    name = f"Made at {client.base_url.port}"
    mutation = f"""mutation {{ segmentCreate(
        input: {{ provider: "stuut", name: "{name}", priority: {client.base_url.port} }}
    ) {{ userErrors {{ message }} segment {{ name }} }} }}"""
    created = {"segmentCreate": {"userErrors": [], "segment": {"name": name}}}
    assert data(post(client, mutation)) == created
    assert client.get("/graphql", params={"query": mutation}).status_code == 405
    writes = [
        (call.method, call.path) for call in way.gateway.sandbox.calls if call.method != "GET"
    ]
    assert writes == [("POST", "/v2/customer-segments")]


@pytest.mark.skipif(
    not (PAGES / "index.html").is_file() and not IN_CI, reason="run `make pages` first"
)
def test_the_page(client: httpx.Client) -> None:
    """GraphiQL is served, with its policy and its script."""
    answer = client.get("/graphql", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert "script-src" in answer.headers["content-security-policy"]
    (script,) = re.findall(r'src="([^"]+\.js)"', answer.text)
    code = client.get(script)
    assert (code.status_code, code.text.strip()[-1:]) == (200, ";")


def test_events(client: httpx.Client) -> None:
    """A query over server-sent events is answered by `next` and `complete`, as they are sent."""
    sent = {"query": QUERY}
    with client.stream(
        "POST", "/graphql", json=sent, headers={"accept": "text/event-stream"}
    ) as answer:
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        events = answer.read().decode().strip().split("\n\n")
    first, last = events
    assert first.startswith("event: next\ndata: ")
    assert json.loads(first.partition("data: ")[2])["data"] == DATA
    assert last.startswith("event: complete\n")


async def test_a_websocket(way: Way) -> None:
    """A query over `graphql-transport-ws`, with the key in `connection_init`."""
    async with (
        asyncio.timeout(PATIENCE_S),
        connect(
            f"ws://{HOST}:{way.port}/graphql",
            host="127.0.0.1",
            port=way.port,
            subprotocols=[Subprotocol("graphql-transport-ws")],
            proxy=None,
        ) as socket,
    ):
        bearer = f"Bearer {way.gateway.keys['victim']}"
        await socket.send(
            json.dumps({"type": "connection_init", "payload": {"authorization": bearer}})
        )
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        await socket.send(
            json.dumps({"id": "1", "type": "subscribe", "payload": {"query": QUERY}})
        )
        answer = json.loads(await socket.recv())
        assert (answer["type"], answer["payload"]["data"]) == ("next", DATA)
        assert json.loads(await socket.recv()) == {"id": "1", "type": "complete"}


async def test_connections_are_kept(way: Way) -> None:
    """A hundred requests of one client take one connection, also between proxy and gateway."""
    before = connections(way.gateway.port)
    lines = (b"GET /livez HTTP/1.1", *heads(None))
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    for _ in range(100):
        writer.write(request(*lines))
        async with asyncio.timeout(PATIENCE_S):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
        assert head.startswith(b"http/1.1 200")
        assert b"connection: close" not in head
    assert connections(way.gateway.port) - before <= 1
    writer.close()


async def test_requests_that_do_not_wait(way: Way) -> None:
    """Requests sent at once over one connection are each answered, in their order."""
    marks = [f"pipelined{number}" for number in range(5)]
    way.gateway.sandbox.reset_calls()
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    for mark in marks:
        body = body_of(mark)
        length = b"Content-Length: %d" % len(body)
        lines = (b"POST /graphql HTTP/1.1", *heads(way.gateway.keys["victim"]), length)
        writer.write(request(*lines, body=body))
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        while b"pipelined4" not in received:
            piece = await reader.read(65536)
            assert piece
            received += piece
    writer.close()
    assert re.findall(rb'"(pipelined\d)"', received) == [mark.encode() for mark in marks]
    assert Counter(call.path for call in way.gateway.sandbox.calls) == {
        f"/v1/customers/{mark}": 1 for mark in marks
    }


async def test_bytes_one_by_one(way: Way) -> None:
    """A request may come in as many packets as it has bytes."""
    body = body_of("ordinary")
    length = b"Content-Length: %d" % len(body)
    lines = (b"POST /graphql HTTP/1.1", *heads(way.gateway.keys["victim"]), length)
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    socket: Any = writer.get_extra_info("socket")
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    for byte in request(*lines, body=body):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        assert b'{"ordinary":null}' in await reader.readuntil(b"null}")
    writer.close()


def test_large_bodies_and_answers(client: httpx.Client, way: Way) -> None:
    """A body near the bound, and an answer of many packets, pass as they are."""
    sent = {"query": QUERY, "extensions": {"filler": "x" * 1_000_000}}
    assert data(client.post("/graphql", json=sent)) == DATA
    answer = post(client, LARGE)
    assert len(answer.content) > 65_536
    direct = client.post(f"http://127.0.0.1:{way.gateway.port}/graphql", json={"query": LARGE})
    assert data(answer) == data(direct)


def test_a_body_that_is_too_large(client: httpx.Client) -> None:
    """It is refused with 413, by the gateway or before it."""
    headers = {"content-type": "application/json"}
    answer = client.post("/graphql", content=b" " * 2_000_000, headers=headers)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd", "gzip, br, zstd"])
def test_compressed_answers(client: httpx.Client, way: Way, coding: str) -> None:
    """An answer has the coding that the gateway chose, behind a proxy too."""
    seen = []
    for base in (client.base_url, httpx.URL(f"http://127.0.0.1:{way.gateway.port}")):
        with client.stream(
            "POST",
            base.join("/graphql"),
            json={"query": LARGE},
            headers={"accept-encoding": coding},
        ) as answer:
            start = b"".join(answer.iter_raw())[:4]
        headers = (answer.headers.get("content-encoding"), answer.headers["vary"])
        seen.append((answer.status_code, headers, start))
    through, direct = seen
    assert through == direct


def connections(port: int) -> int:
    """Return how many connections to a port of this machine are open."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(each[2].endswith(f":{port:04X}") and each[3] == "01" for each in fields)
