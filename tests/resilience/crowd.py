"""Many WebSocket clients of one gateway process, each with one subscription, cheap to run."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

HANDSHAKE: Final = (
    "GET /graphql HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nupgrade: websocket\r\n"
    "connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
    "sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)
AT_ONCE: Final = 200
"""Clients that connect at the same time."""
OPEN_S: Final = 60
TEXT, PING, PONG = 0x1, 0x9, 0xA

Arrival = Callable[[int, str, float], None]
"""Called with a subscriber's number, the message's text, and when it arrived (Unix time)."""


def frame(opcode: int, data: bytes) -> bytes:
    """Return a client's frame (RFC 6455, 5.2), masked with zeros."""
    size = len(data)
    head = bytes([0x80 | opcode, 0x80 | size] if size < 126 else [0x80 | opcode, 0xFE])
    return head + (b"" if size < 126 else size.to_bytes(2, "big")) + bytes(4) + data


def message(body: Any) -> bytes:
    """Return a frame with a message of graphql-transport-ws."""
    return frame(TEXT, json.dumps(body).encode())


class Subscriber(asyncio.Protocol):
    """A client that subscribes and passes on what it receives."""

    def __init__(self, number: int, port: int, payload: Any, arrival: Arrival) -> None:
        """Subscribe with this payload."""
        self._number = number
        key = base64.b64encode(os.urandom(16)).decode()
        self._first = HANDSHAKE.format(port=port, key=key).encode()
        self._port = port
        self._payload = payload
        self._arrival = arrival
        self._data = b""
        self._transport: asyncio.Transport
        self.is_started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Connect to the gateway."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        """Read the server's frames, which are short and in one piece."""
        arrived = time.time()
        data = self._data + data
        if self._first:
            head, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                self._data = data
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._first, data = b"", rest
            self._transport.write(message({"type": "connection_init"}))
        while len(data) >= 2:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            if len(data) < start + size:
                break
            self._read(data[0] & 0xF, data[start : start + size], arrived)
            data = data[start + size :]
        self._data = data

    def _read(self, opcode: int, data: bytes, arrived: float) -> None:
        if opcode == PING:
            self._transport.write(frame(PONG, data))
        elif opcode != TEXT:
            raise AssertionError((opcode, data))
        elif self._payload is not None:
            assert data == b'{"type":"connection_ack"}'
            # A query that is answered after the subscription has started.
            subscription = {"type": "subscribe", "id": "1", "payload": self._payload}
            self._transport.write(message(subscription) + message({"type": "ping"}))
            self._payload = None
        elif not self.is_started.done():
            assert data == b'{"type":"pong"}'
            self.is_started.set_result(None)
        else:
            self._arrival(self._number, data.decode(), arrived)

    def close(self) -> None:
        """Leave without a word."""
        self._transport.abort()


async def crowd(port: int, payloads: Sequence[Any], arrival: Arrival) -> Sequence[Subscriber]:
    """Connect a subscriber for each payload; return them when all are started."""
    subscribers: list[Subscriber] = []
    for start in range(0, len(payloads), AT_ONCE):
        made = [
            Subscriber(number, port, payload, arrival)
            for number, payload in enumerate(payloads[start : start + AT_ONCE], start)
        ]
        async with asyncio.timeout(OPEN_S):
            await asyncio.gather(*(each.connect() for each in made))
            await asyncio.gather(*(each.is_started for each in made))
        subscribers += made
    return subscribers
