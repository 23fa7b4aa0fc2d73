"""An HTTP proxy that opens tunnels (RFC 9110, 9.3.6), or refuses to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from tests.unit.upstream.network.servers import listening

REFUSED = "HTTP/1.1 {} No\r\nContent-Length: 5\r\nX-Why: secret-4714\r\n\r\nwords"


class Proxy(NamedTuple):
    """A proxy, and the request lines that it received."""

    url: str
    requests: list[str]


@contextlib.asynccontextmanager
async def proxy(status: int | None = 200) -> AsyncIterator[Proxy]:
    """Respond to each request with this status; 200: open the tunnel. None: never respond."""
    requests: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        requests.append(head.partition("\r\n")[0])
        if status == 200:
            await tunnel(head, reader, writer)
        elif status is not None:
            writer.write(REFUSED.format(status).encode())
        await reader.read(-1)

    async with listening(serve) as port:
        yield Proxy(f"http://user:secret-4715@127.0.0.1:{port}", requests)


async def tunnel(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until one end closes."""
    there, back = await asyncio.open_connection("127.0.0.1", int(head.split(" ")[1].split(":")[1]))
    try:
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [asyncio.ensure_future(pipe(*each)) for each in ((reader, back), (there, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    finally:
        back.transport.abort()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
