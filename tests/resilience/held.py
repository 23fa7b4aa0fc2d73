"""The gateway over an Instaleap that keeps calls waiting, and clients that may be gone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import httpx
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from gateway.asgi import build
from gateway.settings.tables import StoreSettings
from tests.e2e.serving import Front, Providers, settings_with


class Held:
    """Instaleap, which keeps a call waiting until it is let go."""

    def __init__(self, providers: Providers) -> None:
        """Stand in its place."""
        self.arrived, self.let_go = asyncio.Event(), asyncio.Event()
        self._real = providers.real("instaleap")
        self.calls = 0
        providers.instead["instaleap"] = self.answer

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one call."""
        self.calls += 1
        self.arrived.set()
        await self.let_go.wait()
        await self._real(scope, receive, send)


class Served(NamedTuple):
    """The gateway, and Instaleap behind it."""

    app: Starlette
    front: Front
    held: Held


@contextlib.asynccontextmanager
async def serving(url: str) -> AsyncIterator[Served]:
    """Serve the gateway, with its store at this URL."""
    providers = Providers()
    store = StoreSettings(url=url)
    app = build(settings_with().model_copy(update={"store": store}), providers)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        yield Served(app, Front(client, providers), Held(providers))


async def post(app: Starlette, body: Mapping[str, Any], gone: asyncio.Event) -> None:
    """Send a request as a server hands it on, from a client that is gone at some time."""
    messages: list[Message] = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        del message

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    request = {"type": "http", "path": "/graphql", "method": "POST", "headers": headers}
    await app(request, receive, send)
