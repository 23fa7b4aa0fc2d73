#!/usr/bin/env python
"""A stand-in for a provider: about 1 KB of JSON for every request, HTTP/1.1, keep-alive.

Run `python bench/upstream.py`: it prints its port, one line, and serves on loopback until it
is killed. It does next to nothing for a request, so that what is measured is the client.
"""

import asyncio
import json
import os
import sys
from typing import cast

import httptools
import uvloop

CUSTOMER = {
    "id": "cust_01",
    "source_id": "crm-0001",
    "name": "Ada Example",
    "email": "ada@example.com",
    "metadata": {f"attribute_{number:02}": f"value {number}" for number in range(28)},
    "created_at": "2024-05-01T12:00:00.000Z",
    "object": "customer",
}
BODY = json.dumps(CUSTOMER, separators=(",", ":")).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY


class Provider(asyncio.Protocol):
    """One connection: a response for every complete request, in order."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start parsing a new connection."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its bases
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; it calls `on_message_complete`."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Respond to the request just read."""
        self.transport.write(ANSWER)


async def serve() -> None:
    """Serve on a free port of loopback, and print the port."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    if sys.platform == "linux":  # the last core is ours, the first the client's
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    uvloop.run(serve())
