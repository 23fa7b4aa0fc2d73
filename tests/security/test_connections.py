"""Sockets that only hold a connection: none of them refuses others, and each comes to an end."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from tests.security.logged import logged
from tests.security.served import (
    FOUND,
    QUERY,
    Line,
    Server,
    post,
    really_serving,
    settings_of,
)
from tests.security.sockets import ACK, INIT, READ, Waiting, opened, subscribe
from tests.security.test_direct import LISTED, Held
from tests.security.test_direct import READ as READ_STUUT
from tests.security.test_http_connections import HANDSHAKE, POST
from tests.sizes import size

pytestmark = pytest.mark.every_case

SHARE = 20
MANY = size("HOSTILE_SOCKETS", 60, 1000)

LIVE = b"GET /livez HTTP/1.1\r\nhost: 10.0.0.7:8000\r\n\r\n"
READY = LIVE.replace(b"/livez", b"/readyz")
INIT_FRAME = b"\x81\x9b\0\0\0\0" + b'{"type": "connection_init"}'

SORTS: dict[str, Sequence[bytes]] = {
    "silent": (),
    "a head that does not end": (b"POST /graphql HTTP/1.1\r\nhost: localhost\r\nx: ",),
    "a body that does not come": (POST + b"content-length: 100\r\n\r\n",),
    "a body that does not end": (POST + b"content-length: 100\r\n\r\n{",),
    "chunks that do not end": (POST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",),
    "idle": (post(QUERY),),
    "a WebSocket before its beginning": (HANDSHAKE,),
    "a WebSocket after its beginning": (HANDSHAKE, INIT_FRAME),
    "an upgrade with a body": (
        POST + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 9\r\n\r\n",
    ),
}


async def is_served(server: Server, line: Line) -> None:
    """Let an honest caller, new or known, and a probe be answered."""
    await line.write(post(QUERY))
    assert (await line.answer()).json["data"] == FOUND
    assert await server.is_well()
    assert (await server.ask(LIVE)).status == 200


@pytest.mark.parametrize("sort", SORTS)
async def test_sockets_of_strangers(sort: str) -> None:
    """Callers and probes are answered all the time, though all come from one address."""
    limits = {"concurrent_requests": 3, "connections_per_address": SHARE}
    settings = settings_of(limits=limits, server={"hosts": ("localhost",)})
    async with contextlib.AsyncExitStack() as held:
        server = await held.enter_async_context(really_serving(settings))
        honest = await held.enter_async_context(server.line())
        for number in range(MANY):
            line = await held.enter_async_context(server.line())
            for piece in SORTS[sort]:
                await line.write(piece)
                if piece in {HANDSHAKE, post(QUERY)}:
                    await line.reader.readuntil(b"\r\n\r\n")
            if number % 10 == 0:
                await is_served(server, honest)
        await is_served(server, honest)
        assert server.connections <= SHARE


@pytest.mark.parametrize("sort", SORTS)
async def test_every_socket_comes_to_an_end(sort: str) -> None:
    """There is a timer for each, whatever it waits for."""
    bounds = ("header_timeout_s", "body_timeout_s", "send_timeout_s", "init_timeout_s")
    short = dict.fromkeys(bounds, 0.2)
    patience: Any = {"timeout_keep_alive": 0.2, "ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}
    async with contextlib.AsyncExitStack() as held:
        server = await held.enter_async_context(
            really_serving(settings_of(limits=short), **patience)
        )
        lines = []
        for _ in range(size("SOCKETS_AT_AN_END", 3, 300)):
            lines.append(await held.enter_async_context(server.line()))
            for piece in SORTS[sort]:
                await lines[-1].write(piece)
        for line in lines:
            await line.rest()
        await server.is_alone()


@pytest.mark.parametrize("sort", SORTS)
async def test_sockets_of_one_client_behind_a_proxy(sort: str) -> None:
    """What it holds is its share; the proxy's other clients have theirs."""
    limits = {"concurrent_requests": 3, "connections_per_address": SHARE}
    server_table = {"trusted_proxies": ("127.0.0.1",), "allow_anonymous": True}
    settings = settings_of(limits=limits, server=server_table)

    def of(client: int, sent: bytes) -> bytes:
        return sent.replace(b"\r\n", b"\r\nx-forwarded-for: 203.0.113.%d\r\n" % client, 1)

    async with contextlib.AsyncExitStack() as held:
        server = await held.enter_async_context(really_serving(settings))
        slow = await held.enter_async_context(server.line())
        await slow.write(of(2, post(QUERY))[:-1])
        for number in range(MANY):
            line = await held.enter_async_context(server.line())
            for piece in SORTS[sort]:
                await line.write(of(1, piece) if piece is not INIT_FRAME else piece)
                if piece in {HANDSHAKE, post(QUERY)}:
                    await line.reader.readuntil(b"\r\n\r\n")
            if number % 10 == 0:
                assert (await server.ask(of(3, post(QUERY)))).json["data"] == FOUND
                assert (await server.ask(LIVE)).status == 200
        await slow.write(QUERY[-1:])
        assert (await slow.answer()).json["data"] == FOUND
        if sort not in {"silent", "idle", "a head that does not end"}:
            assert server.connections <= SHARE + 1


async def test_a_websocket_at_work_is_not_ended() -> None:
    """Others are, the longest-waiting first, and are told to try again later."""
    settings = settings_of(limits={"connections_per_address": 3})
    async with contextlib.AsyncExitStack() as held:
        server = await held.enter_async_context(really_serving(settings))
        working = await held.enter_async_context(opened(server))
        waiting = await held.enter_async_context(opened(server))
        for each in (working, waiting):
            await each.say(INIT)
            assert await each.heard() == ACK
        provider = Waiting()
        await working.say(subscribe("1", READ))
        await provider.arrived.wait()
        await held.enter_async_context(opened(server))
        async with server.line():
            assert (await waiting.closed())[0] == 1013
        await working.say({"type": "ping"})
        assert await working.heard() == {"type": "pong"}
        assert not provider.ended.is_set()


async def test_when_all_of_an_address_are_at_work() -> None:
    """Then one more is refused, and not before; probes are answered all the same."""
    settings = settings_of(limits={"connections_per_address": 2})
    async with really_serving(settings) as server, server.line() as one, server.line() as other:
        provider = Held("stuut")
        for line in (one, other):
            await line.write(post(READ_STUUT))
        await provider.arrived.wait()
        assert (await server.ask(LIVE)).status == 200
        refused = await server.ask(post(QUERY))
        assert refused.refusal == (503, "LIMIT_EXCEEDED")
        assert refused.headers["connection"] == "close"
        provider.let_go.set()
        for line in (one, other):
            assert (await line.answer()).json["data"] == LISTED
        assert await server.is_well()


async def test_bodies_that_come_whole_at_once() -> None:
    """They wait outside the bound of requests at work, and are counted when they have come."""
    settings = settings_of(limits={"concurrent_requests": 1})
    sent = post(READ_STUUT)
    async with contextlib.AsyncExitStack() as held:
        server = await held.enter_async_context(really_serving(settings))
        lines = [await held.enter_async_context(server.line()) for _ in range(4)]
        for line in lines:
            await line.write(sent[:-1])
        assert await server.is_well()
        provider = Held("stuut")
        await lines[0].write(sent[-1:])
        await provider.arrived.wait()
        for line in lines[1:]:
            await line.write(sent[-1:])
            assert (await line.answer()).refusal == (503, "LIMIT_EXCEEDED")
        assert (await server.ask(LIVE)).status == 200
        assert (await server.ask(READY)).status in {200, 503}
        provider.let_go.set()
        assert (await lines[0].answer()).json["data"] == LISTED
        assert await server.is_well()


async def test_operations_over_websockets_have_the_same_bound() -> None:
    """The connections have none of their own: what is too many is the operations of all."""
    settings = settings_of(limits={"concurrent_requests": 1})
    async with (
        really_serving(settings) as server,
        opened(server) as one,
        opened(server) as other,
    ):
        for each in (one, other):
            await each.say(INIT)
            assert await each.heard() == ACK
        provider = Waiting()
        await one.say(subscribe("1", READ))
        await provider.arrived.wait()
        await other.say(subscribe("1"))
        message = await other.heard()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == (
            "error",
            "LIMIT_EXCEEDED",
        )
        await one.say({"id": "1", "type": "complete"})
        await provider.ended.wait()
        await other.say(subscribe("2"))
        assert (await other.heard())["type"] == "next"


@pytest.mark.parametrize("path", [b"/livez", b"/readyz"])
@pytest.mark.parametrize(
    "head", [b" HTTP/1.1\r\nhost: 10.0.0.7:8000\r\n\r\n", b" HTTP/1.0\r\n\r\n"]
)
async def test_probes(path: bytes, head: bytes) -> None:
    """They send an address as Host, or none: they are answered, told nothing, and not logged."""
    server_table = {"hosts": ("api.shop.example",), "allow_anonymous": False}
    async with really_serving(settings_of(server=server_table)) as server:
        with logged() as log:
            answer = await server.ask(b"GET " + path + head)
            events = {line["event"] for line in log.lines}

    assert answer.json.keys() == ({"status"} if path == b"/livez" else {"status", "version"})
    assert answer.status == 200 or answer.json["status"].startswith("pages are not built")
    assert events <= {"started"}


async def test_a_probe_without_a_host() -> None:
    """RFC 9112, 3.2: a request of HTTP/1.1 has one."""
    async with really_serving() as server:
        answer = await server.ask(b"GET /livez HTTP/1.1\r\n\r\n")
    assert answer.refusal == (400, "BAD_USER_INPUT")


async def test_what_comes_before_a_handshake_is_answered() -> None:
    """It is read then."""
    async with really_serving() as server, server.line() as line:
        await line.write(HANDSHAKE + INIT_FRAME)
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert b"connection_ack" in await line.reader.read(100)


@pytest.mark.parametrize("close", [b"", b"\x88\x80\0\0\0\0"])
async def test_a_websocket_whose_client_does_not_answer(close: bytes) -> None:
    """It is pinged, and ended when no pong comes; so is one whose end is not answered."""
    settings = settings_of(limits={"send_timeout_s": 0.2})
    patience: Any = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}
    async with really_serving(settings, **patience) as server, server.line() as line:
        await line.write(HANDSHAKE + INIT_FRAME + close)
        await line.rest()
        await server.is_alone()
