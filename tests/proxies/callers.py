"""Callers that check that each answer is their own, and an attacker that sends what it likes."""

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import count

import msgspec

from tests.proxies.attacks import body_of, heads, request
from tests.proxies.processes import PATIENCE_S


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """A GraphQL answer."""

    data: dict[str, None]
    extensions: dict[str, object]


class Caller:
    """An honest caller with a connection of its own, kept open over many queries."""

    def __init__(self, port: int, name: str, key: str) -> None:
        """Ask nothing yet; marks begin with the name."""
        self.name, self._port, self._key = name, port, key
        self._marks: Iterator[str] = (f"{name}{number:06}" for number in count())
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.marks: list[str] = []
        """Of all queries so far."""
        self.wrong: list[str] = []
        """Each answer that was not the caller's own, or did not come."""

    async def ask(self, occasion: str) -> None:
        """Send one query and compare the answer; where it is wrong, connect anew."""
        mark = next(self._marks)
        self.marks.append(mark)
        try:
            async with asyncio.timeout(PATIENCE_S):
                complaint = await self._answer_of(mark)
        except (OSError, EOFError, TimeoutError, ValueError, KeyError) as error:
            complaint = repr(error)
        if complaint:
            self.wrong.append(f"{occasion}: {complaint}")
            self.close()

    async def _answer_of(self, mark: str) -> str:
        """Return what is wrong with the answer; empty when nothing is."""
        if self._stream is None:
            self._stream = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._stream
        body = body_of(mark)
        length = b"Content-Length: %d" % len(body)
        head = (b"POST /graphql HTTP/1.1", *heads(self._key), length)
        writer.write(request(*head, body=body))
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        if first.split()[1] != "200":
            return f"{first} {content[:200]!r}"
        if msgspec.json.decode(content, type=Answer).data != {mark: None}:
            return f"an answer of somebody else: {content[:200]!r}"
        return ""

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None


class Attacker:
    """A connection that sends pieces of bytes and takes down all that comes back."""

    def __init__(self, name: str, hidden: str) -> None:
        """Send nothing yet; the name is the attack's, and `hidden` what must not run."""
        self.name, self.hidden = name, hidden
        self.received = bytearray()
        self.answered = asyncio.Event()
        """An answer has begun, or the connection has ended."""
        self.ended = asyncio.Event()

    async def connect(self, port: int) -> None:
        """Connect, and read from then on."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                self.received += piece
                self.answered.set()
        self.answered.set()
        self.ended.set()

    async def send(self, data: bytes) -> None:
        """Send a piece, unless the other end is closed; do not wait for one that reads slowly."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()
        await self._reading
