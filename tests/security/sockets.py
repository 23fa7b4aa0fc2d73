"""Clients that speak graphql-transport-ws with the served gateway, as they please."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gateway.settings.tables import Settings
from tests.e2e.serving import only_read
from tests.security.served import PATIENCE_S, Server, really_serving

PROTOCOL = Subprotocol("graphql-transport-ws")
KEY = '{ provider(key: "stuut") { key } }'
FOUND = {"provider": {"key": "stuut"}}
INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}


class Socket:
    """The client's end of a connection."""

    def __init__(self, connection: ClientConnection) -> None:
        """Talk over this connection."""
        self._connection = connection

    async def say(self, *messages: Mapping[str, Any] | str | bytes) -> None:
        """Send messages: as JSON, or as they are."""
        for each in messages:
            text = each if isinstance(each, str | bytes) else json.dumps(each)
            await self._connection.send(text)

    async def heard(self) -> Any:
        """Return the next message, without what differs from one operation to the next."""
        async with asyncio.timeout(PATIENCE_S):
            message = json.loads(await self._connection.recv())
        if isinstance(message.get("payload"), dict):
            message["payload"].pop("extensions", None)
        return message

    async def closed(self) -> tuple[int, str]:
        """Return the code and the reason of the close, which must be all that comes."""
        with pytest.raises(ConnectionClosed) as closing:
            await self.heard()
        assert closing.value.rcvd is not None
        assert len(closing.value.rcvd.reason.encode()) <= 123
        return closing.value.rcvd.code, closing.value.rcvd.reason

    async def close(self) -> None:
        """Leave."""
        await self._connection.close()

    def vanish(self) -> None:
        """Be gone without a word."""
        self._connection.transport.abort()


@contextlib.asynccontextmanager
async def opened(server: Server, **how: Any) -> AsyncIterator[Socket]:
    """Connect, and say nothing."""
    how = {"subprotocols": [PROTOCOL], "compression": None, **how}
    address = f"ws://{server.host}:{server.port}/graphql"
    async with connect(address, **how, proxy=None) as connection:
        yield Socket(connection)


@contextlib.asynccontextmanager
async def talking(settings: Settings | None = None) -> AsyncIterator[Socket]:
    """Connect to a gateway of one's own, and begin."""
    async with really_serving(settings) as server, opened(server) as socket:
        await socket.say(INIT)
        assert await socket.heard() == ACK
        yield socket


def subscribe(name: str, query: str = KEY, **more: Any) -> Mapping[str, Any]:
    """Return the message that asks an operation."""
    return {"type": "subscribe", "id": name, "payload": {"query": query, **more}}


def answers(name: str, data: Any = FOUND) -> list[Any]:
    """Return the messages that answer an operation."""
    return [
        {"id": name, "type": "next", "payload": {"data": data}},
        {"id": name, "type": "complete"},
    ]


READ = '{ provider(key: "voucherify") { segments(first: 1) { nodes { id } } } }'


class Waiting:
    """Voucherify, whose calls wait until they are ended."""

    def __init__(self) -> None:
        """Stand in its place."""
        self.arrived, self.ended = asyncio.Event(), asyncio.Event()
        only_read().instead["voucherify"] = self.answer

    async def answer(self, *_: Any) -> None:
        """Answer nothing."""
        self.arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
