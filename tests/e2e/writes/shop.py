"""An Instaleap whose state can be seen, held up, or lost on its way."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox import instaleap
from gateway.sandbox.people import people
from tests.e2e.serving import NOW, Providers


class Shop:
    """Instaleap's server in the place of the sandbox's own."""

    def __init__(self, providers: Providers) -> None:
        """Take the sandbox's place."""
        self._app: Starlette = instaleap.build(tuple(people(300)), lambda: NOW)
        self.batches: list[list[Mapping[str, Any]]] = []
        """The customers of every call, as sent."""
        self.instead: ASGIApp | None = None
        """Who answers, if not this shop."""
        self.acts = True
        """Whether it does what is asked even when another answers."""
        self.hold: asyncio.Event | None = None
        """Until when calls wait, before anything is done …"""
        self.acts_first = False
        """… or, with this, when all is done but the answer."""
        self.forgets = False
        """Whether calls that waited are lost then: they come to nothing."""
        self._calls = 0
        self._idle = asyncio.Event()
        self.arrived = asyncio.Event()
        providers.instead["instaleap"] = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        self._calls += 1
        self._idle.clear()
        try:
            await self._answered(scope, receive, send)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until no call is under way."""
        while self._calls:
            await self._idle.wait()

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        self.batches.append(msgspec.json.decode(body)["customers"])
        self.arrived.set()
        if self.hold is not None:
            if self.acts_first:
                await self._app(scope, _once(body), _nowhere)
            await self.hold.wait()
            if self.acts_first or self.forgets:
                await _refused(send)
                return
        if self.instead is None:
            await self._app(scope, _once(body), send)
            return
        if self.acts:
            await self._app(scope, _once(body), _nowhere)
        await self.instead(scope, _once(body), send)

    def clear(self) -> None:
        """Take from all customers what the example gives them: nobody told the gateway of it."""
        segments = self._app.state.segments
        segments.update({key: [] for key in segments})

    def has(self, document_id: str) -> Sequence[str]:
        """Return what a customer has, as `type:value`."""
        segments = self._app.state.segments[document_id]
        return [f"{each['type']}:{each['value']}" for each in segments]


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _once(body: bytes) -> Callable[[], Any]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _refused(send: Send) -> None:
    """Answer what nobody is there to read any more."""
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _nowhere(_message: Message) -> None:
    """Lose an answer."""
