"""A TCP relay in front of a gateway, which cuts connections off."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from tests.proxies.processes import PATIENCE_S


class Relay:
    """Passes bytes on in both directions, from a thread of its own."""

    def __init__(self, target: int) -> None:
        """Connect each client to this port of the machine."""
        self.port = 0
        self.is_ready = threading.Event()
        self._target = target
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def run(self) -> None:
        """Relay until it is stopped."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """End `run`, and all connections."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def cut(self) -> int:
        """Cut all connections off; return how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(PATIENCE_S)

    async def _cut(self) -> int:
        clients = list(self._clients)
        for writer in clients:
            writer.transport.abort()
        return len(clients)

    async def _run(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.is_ready.set()
            await self._stopping.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other = await asyncio.open_connection("127.0.0.1", self._target)
        self._clients.add(writer)
        try:
            await asyncio.gather(_passed(reader, other), _passed(other_reader, writer))
        finally:
            self._clients.discard(writer)
            writer.transport.abort()
            other.transport.abort()


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until one end is gone, then close the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.contextmanager
def relaying(target: int) -> Iterator[Relay]:
    """Relay to a port of this machine."""
    relay = Relay(target)
    thread = threading.Thread(target=relay.run, daemon=True)
    thread.start()
    assert relay.is_ready.wait(PATIENCE_S)
    try:
        yield relay
    finally:
        relay.stop()
        thread.join(PATIENCE_S)
