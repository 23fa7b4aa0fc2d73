"""A server on a socket that responds to each request by a script, well or badly."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

SOON_S = 10
"""What would take longer hangs."""


class Act(Enum):
    """What a script can do beside sending bytes."""

    CLOSE = "close the connection"
    RESET = "reset the connection"
    HANG = "send no more until the client hangs up"
    END = "send no more for ever; go on when the client hangs up as well"
    FLOOD = "send without an end"


Script = Sequence[bytes | Act]


def ok(body: bytes = b"well", status: str = "200 OK", *headers: str) -> bytes:
    """Return a valid response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@dataclass(frozen=True)
class Heard:
    """A request as it came in."""

    connection: int
    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass
class Server:
    """Plays the nth script for the nth request on any connection; later ones succeed."""

    scripts: Sequence[Script]
    port: int = 0
    connections: int = 0
    requests: list[Heard] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client ended a connection that a script had left hanging or ended itself."""

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        number = self.connections
        try:
            while True:
                self.requests.append(await _request(reader, number))
                self.heard.set()
                place = len(self.requests) - 1
                script = self.scripts[place] if place < len(self.scripts) else [ok()]
                if not await self._play(script, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # lost connections are what this server is for
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _play(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        for step in script:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case Act.CLOSE:
                    return False
                case Act.RESET:
                    reset(writer)
                    return False
                case Act.HANG | Act.END:
                    if step is Act.END:
                        writer.write_eof()
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
                    self.hung_up.set()
                    return False
                case Act.FLOOD:
                    try:
                        while True:
                            writer.write(b"x" * 65536)
                            await writer.drain()
                    except ConnectionError:
                        self.hung_up.set()
                        return False
        return True


async def _request(reader: asyncio.StreamReader, connection: int) -> Heard:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    method, target, _ = line.split(" ")
    headers = [
        (name.lower(), value.strip()) for name, _, value in (li.partition(":") for li in lines)
    ]
    size = int(dict(headers).get("content-length", 0))
    return Heard(connection, method, target, headers, await reader.readexactly(size))


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST instead of by FIN."""
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[Server]:
    """Serve by these scripts until the block is left, which must be soon."""
    server = Server(scripts)
    under_way: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.ensure_future(server.serve(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(SOON_S):
            yield server
    finally:
        listening.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
