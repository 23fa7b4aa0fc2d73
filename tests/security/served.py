"""The gateway behind its real server, and clients that write bytes as they please."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from gateway.asgi import build
from gateway.http.server.connections import OpenConnections
from gateway.http.server.graceful import GracefulServer
from gateway.http.server.options import server_options
from gateway.limits.settings import LimitSettings
from gateway.observability.otlp import SpanExport
from gateway.settings.tables import Settings
from tests.e2e.serving import Providers, only_read, settings_with

PATIENCE_S = 20.0
"""What a test waits for at most; nothing should take that long."""

QUERY = b'{"query":"{ provider(key: \\"stuut\\") { key } }"}'
FOUND = {"provider": {"key": "stuut"}}


def settings_of(**tables: Mapping[str, Any]) -> Settings:
    """Return the sandbox's settings with parts of some tables changed."""
    settings = settings_with()
    changed = {
        name: getattr(settings, name).model_copy(update=dict(parts))
        for name, parts in tables.items()
    }
    return settings.model_copy(update=changed)


class Answer(NamedTuple):
    """An answer as it came in."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of an answer that is one error, with its request's id in both places."""
        (error,) = self.json["errors"]
        assert error["extensions"]["requestId"] == self.headers["x-request-id"]
        assert error.keys() == {"message", "extensions"}
        return self.status, error["extensions"]["code"]


class Line(NamedTuple):
    """A connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        """Send bytes; that the other end is closed already does not matter."""
        with contextlib.suppress(OSError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> Answer:
        """Read one answer."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")[:-2]
            pairs = [line.split(": ", 1) for line in lines]
            headers = dict(pairs)
            assert len(headers) == len(pairs)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(first.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the gateway closes the connection."""
        received = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while piece := await self.reader.read(65536):
                    received += piece
        return received


class Server:
    """A gateway that is served at an address of this machine."""

    def __init__(
        self, listening: socket.socket, uvicorn_: GracefulServer, wanted: list[Settings]
    ) -> None:
        """Know where, and what serves; the last of `wanted` is what a reload reads."""
        self._wanted = wanted
        self.settings = wanted[-1]
        self.host, self.port = listening.getsockname()[:2]
        self._uvicorn = uvicorn_

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._uvicorn.server_state.connections)

    async def is_alone(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(PATIENCE_S):
            while self.connections:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)

    async def reload(self, settings: Settings) -> None:
        """Let it follow other settings."""
        self._wanted.append(settings)
        await self._uvicorn._reload()  # noqa: SLF001  # else its next look at the flag, in 0.1 s

    def signal(self) -> None:
        """Send it the signal that lets it drain, or a second one."""
        self._uvicorn.handle_exit(signal.SIGTERM, None)

    async def stop(self) -> None:
        """Let it stop as a signal does, and wait until nobody new is let in."""
        self._uvicorn.should_exit = True
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    _, writer = await asyncio.open_connection(self.host, self.port)
                    writer.close()

    @contextlib.asynccontextmanager
    async def line(self, **how: Any) -> AsyncIterator[Line]:
        """Connect."""
        line = Line(*await asyncio.open_connection(self.host, self.port, **how))
        try:
            yield line
        finally:
            line.writer.close()
            with contextlib.suppress(OSError):
                await line.writer.wait_closed()

    async def ask(self, data: bytes) -> Answer:
        """Send bytes over a connection of their own; return the first answer to them."""
        async with self.line() as line:
            await line.write(data)
            return await line.answer()

    async def is_well(self) -> bool:
        """Tell whether an honest client is served."""
        answer = await self.ask(post(QUERY))
        return answer.status == 200 and bool(answer.json["data"] == FOUND)


class _Uvicorn(GracefulServer):
    """One that leaves the signals to the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def really_serving(
    settings: Settings | None = None,
    providers: Providers | None = None,
    spans: SpanExport | None = None,
    **more: Any,
) -> AsyncIterator[Server]:
    """Serve the gateway as `gateway serve` does, over providers that are `only_read` else.

    With `spans`, traces are on.
    """
    settings = settings or settings_of()
    providers = providers or only_read()
    providers.instead.clear()
    options = {**server_options(settings), "timeout_graceful_shutdown": 1, **more}
    wanted = [settings]
    app = build(settings, providers, read=lambda: wanted[-1], spans=spans)
    async with application_served(app, wanted=wanted, **options) as server:
        yield server


@contextlib.asynccontextmanager
async def application_served(
    app: ASGIApp, port: int = 0, *, wanted: list[Settings] | None = None, **options: Any
) -> AsyncIterator[Server]:
    """Serve an application at a port of this machine, by default at any that is free.

    `wanted` has the settings of a gateway.
    """
    wanted = wanted or [settings_of()]
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        options = {"log_config": None, "timeout_graceful_shutdown": 1, **options}
        http = options.get("http")
        connections = (
            OpenConnections(LimitSettings()) if http is None else http.keywords["open_connections"]
        )
        server = _Uvicorn(uvicorn.Config(app, **options), connections, wanted[-1].server.drain_s)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield Server(listening, server, wanted)
        finally:
            server.should_exit = True
            await serving
            if server.force_exit:  # a process ends here; this one goes on
                await server.lifespan.shutdown()


def post(body: bytes, *headers: bytes, host: bytes = b"localhost") -> bytes:
    """Return a POST of JSON, with more headers."""
    lines = [
        b"POST /graphql HTTP/1.1",
        b"host: " + host,
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, times: int = 1, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a chunked POST of JSON; its chunks come so many times."""
    head = (
        b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    return head + body * times + end
