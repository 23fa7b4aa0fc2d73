"""A receiver of webhooks, and a time that passes at once."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx
import msgspec
from starlette.types import Receive, Scope, Send

from gateway.sandbox.webhooks import Target, TargetOf, WebhookSender

SECRET = "secretKey"  # that of the documents' test vectors
PATIENCE_S = 10


class Received(NamedTuple):
    """A webhook as it arrived."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return msgspec.json.decode(self.body)


class Receiver:
    """Accepts webhooks once it has refused as many as it is to refuse."""

    def __init__(self, refuses: int = 0) -> None:
        """Refuse so many first."""
        self.refuses = refuses
        self.attempts = 0
        self.waits: list[float] = []
        self.accepts_options = True
        self._accepted: asyncio.Queue[Received] = asyncio.Queue()

    def connect(self, sender: WebhookSender) -> None:
        """Receive what a sender sends."""
        sender.connect(httpx.ASGITransport(self.answer), self.wait)

    async def wait(self, delay_s: float) -> None:
        """Let this time pass."""
        self.waits.append(delay_s)
        await asyncio.sleep(0)

    async def until(self, is_over: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_over():  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0)

    async def next(self) -> Received:
        """Return the next webhook that was accepted."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._accepted.get()

    @property
    def is_empty(self) -> bool:
        """Whether nothing more was accepted."""
        return self._accepted.empty()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        if scope["method"] != "POST":
            has = scope["method"] == "OPTIONS" and self.accepts_options
            await _respond(send, 204 if has else 405)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.attempts += 1
        if self.attempts <= self.refuses:
            await _respond(send, 503)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self._accepted.put_nowait(Received(scope["path"], headers, body))
        await _respond(send, 204)


async def _respond(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def below(path: str) -> TargetOf:
    """Return targets with a path for each event type."""
    return lambda event_type: Target(f"http://receiver{path}/{event_type}", SECRET)
