"""A server that stops: it says so first, loses no request, and ends subscriptions resumably."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.http.server.graceful import GracefulServer
from tests.e2e.serving import only_read
from tests.e2e.subscribing import CHANGED, shop
from tests.security.served import (
    FOUND,
    PATIENCE_S,
    QUERY,
    Line,
    Server,
    post,
    really_serving,
    settings_of,
)
from tests.security.sockets import ACK, INIT, READ, Socket, opened, subscribe

LONG = {"drain_s": 600}
GET = b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(name="server")
async def draining_server() -> AsyncIterator[Server]:
    """Serve, and drain for longer than any test."""
    async with really_serving(settings_of(server=LONG)) as server:
        yield server


async def ask(line: Line) -> tuple[int, Any, str]:
    """Send a query; return the status, the data, and what happens to the connection."""
    await line.write(post(QUERY))
    answer = await line.answer()
    return answer.status, answer.json["data"], answer.headers["connection"]


async def test_requests_while_it_drains(server: Server) -> None:
    """`/readyz` fails at once; requests are served, and each response closes its connection."""
    async with server.line() as idle, server.line() as other:
        assert await ask(idle) == (200, FOUND, "keep-alive")
        assert await ask(idle) == (200, FOUND, "keep-alive")
        server.signal()
        readiness = await server.ask(GET % b"/readyz")
        assert readiness.status == 503
        assert readiness.json["status"] == "the server is stopping"
        assert readiness.headers["connection"] == "close"
        liveness = await server.ask(GET % b"/livez")
        assert (liveness.status, liveness.headers["connection"]) == (200, "close")
        for line in (idle, other):
            assert await ask(line) == (200, FOUND, "close")
            assert await line.rest() == b""
        get = b"/graphql?query=%7B__typename%7D"
        async with server.line() as new:
            await new.write(GET % get)
            answer = await new.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await new.rest() == b""


async def test_the_port_is_closed_after_drain_s() -> None:
    """Not earlier; idle connections are closed then."""
    async with (
        really_serving(settings_of(server={"drain_s": 0.3})) as server,
        server.line() as idle,
    ):
        assert await ask(idle) == (200, FOUND, "keep-alive")
        loop = asyncio.get_running_loop()
        since = loop.time()
        server.signal()
        assert await idle.rest() == b""
        assert loop.time() - since >= 0.3
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(server.host, server.port)


async def test_a_second_signal(server: Server) -> None:
    """It ends everything at once, also a request in progress."""
    arrived = asyncio.Event()

    async def hang(*_: Any) -> None:
        arrived.set()
        await asyncio.Event().wait()

    only_read().instead["voucherify"] = hang
    async with server.line() as line:
        await line.write(post(json.dumps({"query": READ}).encode()))
        await arrived.wait()
        server.signal()
        server.signal()
        assert await line.rest() == b""
        await server.stop()


async def test_a_request_in_progress_is_answered(server: Server) -> None:
    """Also one over a WebSocket, which is closed with 1001 then; a later one is not started."""
    arrived, may_end = asyncio.Event(), asyncio.Event()
    real = only_read().real("voucherify")

    async def wait(*connection: Any) -> None:
        arrived.set()
        await may_end.wait()
        await real(*connection)

    async with begun(server) as socket, server.line() as line:
        only_read().instead["voucherify"] = wait
        await line.write(post(json.dumps({"query": READ}).encode()))
        await socket.say(subscribe("1", READ))
        await arrived.wait()
        await server.stop()
        await socket.say(subscribe("2"))
        refused = await socket.heard()
        assert (refused["id"], refused["type"]) == ("2", "error")
        assert refused["payload"][0]["extensions"]["code"] == "SHUTTING_DOWN"
        may_end.set()
        answer = await line.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert [(await socket.heard())["type"] for _ in range(2)] == ["next", "complete"]
        assert await socket.closed() == (1001, "")


@contextlib.asynccontextmanager
async def begun(server: Server) -> AsyncIterator[Socket]:
    """Open a WebSocket and begin."""
    async with opened(server) as socket_:
        await socket_.say(INIT)
        assert await socket_.heard() == ACK
        yield socket_


async def test_a_connection_without_a_request_yet(server: Server) -> None:
    """Its request may be on the way when the port is closed: it is served."""
    async with server.line() as line:
        async with asyncio.timeout(PATIENCE_S):
            while not server.connections:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
        await server.stop()
        assert await ask(line) == (200, FOUND, "close")
        assert await line.rest() == b""


@pytest.mark.parametrize("is_new", [True, False], ids=["new connection", "idle connection"])
async def test_a_request_that_was_sent_before_the_port_is_closed(
    monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    """It is served, though the event loop has not read it yet, or not even its connection."""
    async with really_serving() as server:
        with socket.create_connection((server.host, server.port)) as client:
            if not is_new:
                loop = asyncio.get_running_loop()
                client.settimeout(0)
                await loop.sock_sendall(client, post(QUERY))
                assert b"keep-alive" in await loop.sock_recv(client, 65536)
                client.settimeout(None)
            sent: list[socket.socket] = []
            close = GracefulServer._announce  # noqa: SLF001  # the moment before the port is closed

            def send_and_announce(self: GracefulServer) -> None:
                if not sent:
                    place = (server.host, server.port)
                    sent.append(socket.create_connection(place) if is_new else client)
                    sent[0].sendall(post(QUERY))
                close(self)

            monkeypatch.setattr(GracefulServer, "_announce", send_and_announce)
            await server.stop()
            answer = await asyncio.to_thread(read_all, sent[0])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in answer


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    with client:
        client.settimeout(PATIENCE_S)
        return b"".join(iter(lambda: client.recv(65536), b""))


async def test_subscriptions(tmp_path: Path) -> None:
    """New ones are refused with a cursor; running ones go on, and end resumably."""
    async with shop(tmp_path, server=LONG) as gateway, gateway.socket() as socket_:
        start = await gateway.cursor()
        await socket_.say(subscribe("1", CHANGED, variables={"after": start}))
        async with gateway.stream(variables={"after": start}) as stream:
            assert await stream.comment() == start
            gateway.server.signal()
            (segment,) = await gateway.create()
            message = await socket_.heard()
            event = await stream.event()
            changes = [message["payload"]["data"]["changed"], event.data["data"]["changed"]]
            assert [each["segmentId"] for each in changes] == [segment] * 2
            cursor = changes[0]["cursor"]
            await socket_.say(subscribe("2", CHANGED, variables={"after": start}))
            refused = await socket_.heard()
            assert (refused["id"], refused["type"]) == ("2", "error")
            shutting_down = {"code": "SHUTTING_DOWN", "cursor": start}
            assert refused["payload"][0]["extensions"] == shutting_down
            async with gateway.stream(variables={"after": start}) as other:
                assert (await other.event()).data["errors"][0]["extensions"] == shutting_down
                assert (await other.event()).event == "complete"
            stopping = asyncio.create_task(gateway.server.stop())
            shutting_down = {"code": "SHUTTING_DOWN", "cursor": cursor}
            assert (await stream.event()).data["errors"][0]["extensions"] == shutting_down
            assert (await stream.event()).event == "complete"
            assert await stream.block() == ""
        ended = await socket_.heard()
        assert (ended["id"], ended["type"]) == ("1", "error")
        assert ended["payload"][0]["extensions"] == shutting_down
        assert await socket_.closed() == (1001, "")
        await stopping
