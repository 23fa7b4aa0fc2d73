"""The HTTP shell: routes, answers, health, lifespan. It is handed what runs operations."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.context import Provider
from gateway.endpoint import Endpoint, Runs
from gateway.graphql_http import JSON, RequestError
from gateway.pages.examples import examples
from gateway.recovery import keep_recovering
from gateway.reverse import ReverseCall
from gateway.settings import Settings
from gateway.sign_in.doorkeeper import Doorkeeper
from gateway.store.record import Record

PAGES = Path(__file__).parent / "pages" / "static"
ASSETS = PAGES / "assets"
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Application(Starlette):
    """Hands GraphQL requests to their endpoint before anything else looks at them."""

    def __init__(self, endpoint: Endpoint, **rest: Any) -> None:
        """Serve the endpoint, and the rest as Starlette does."""
        super().__init__(**rest)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["path"] == "/graphql" and scope["method"] == "POST":
            await self._endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Gateway:
    """The running gateway: its providers and what runs operations over them."""

    def __init__(
        self,
        settings: Settings,
        operations: Runs,
        record: Callable[[], Awaitable[Record]],
        connect: Callable[[Record], Awaitable[Sequence[Provider]]],
        ready: Callable[[], None] | None = None,
    ) -> None:
        """Serve operations over what `record` and `connect` open when the server starts.

        Then `ready` is called.
        """
        self.settings = settings
        server = settings.server
        doorkeeper = Doorkeeper(
            settings.auth,
            allow_anonymous=server.allow_anonymous,
            introspection=settings.documents.introspection,
        )
        self._endpoint = Endpoint(operations, doorkeeper, server.request_timeout_s, page)
        self._open_record = record
        self._connect = connect
        self._ready = ready
        self.providers: dict[str, Provider] = {}
        self._record: Record | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Hold record and providers open while the server runs, and finish what was left open."""
        async with contextlib.AsyncExitStack() as opened:
            record = self._record = await self._open_record()
            opened.push_async_callback(record.close)
            for provider in await self._connect(record):
                opened.push_async_callback(provider.close)
                self.providers[provider.key] = provider
            self._endpoint.providers, self._endpoint.record = self.providers, record
            if self._ready is not None:
                self._ready()
            recovering = asyncio.create_task(keep_recovering(self.providers, record))
            try:
                yield
            finally:
                await self._endpoint.close()
                recovering.cancel()
                await asyncio.gather(recovering, return_exceptions=True)

    async def alive(self, _: Request) -> Response:
        """Tell that the process is alive."""
        return Response(b'{"status":"alive"}', media_type=JSON)

    async def ready(self, _: Request) -> Response:
        """Tell whether configuration and pages are in order, and how the providers do.

        A provider that is down is shown and does not make the gateway unready.
        """
        has_pages = (PAGES / "index.html").is_file()
        body = {
            "status": "ready" if has_pages else "pages are not built; run make serve",
            "providers": [
                {
                    "key": each.key,
                    "kind": each.kind,
                    "status": each.health.status,
                    "circuit": each.circuit,
                }
                for each in self.providers.values()
            ],
        }
        return Response(msgspec.json.encode(body), 200 if has_pages else 503, media_type=JSON)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes: list[BaseRoute] = [
            Route("/", to_graphiql),
            Route("/graphql", self._endpoint, methods=["GET", "POST"]),
            Route("/examples.json", show_examples),
            Route("/livez", self.alive),
            Route("/readyz", self.ready),
            ReverseCall(self.settings.providers, lambda: self._record).route,
            Mount(
                "/static/assets", packed(Immutable(directory=PAGES / "assets", check_dir=False))
            ),
            Mount("/static", packed(StaticFiles(directory=PAGES, check_dir=False))),
        ]
        return Application(self._endpoint, routes=routes, lifespan=self.lifespan)


class Immutable(StaticFiles):
    """Files whose names change with their content: a browser asks for each once."""

    def file_response(self, *args: Any, **parts: Any) -> Response:
        """Return a file, to be kept for a year."""
        response = super().file_response(*args, **parts)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def packed(app: ASGIApp) -> ASGIApp:
    """Compress what the application answers: the pages are 5 MB, packed 2."""
    return GZipMiddleware(app, minimum_size=1024, compresslevel=5)


async def to_graphiql(_: Request) -> Response:
    """Send a person to the page they want first."""
    return RedirectResponse("/graphql", headers={"cache-control": "no-store"})


async def show_examples(_: Request) -> Response:
    """Return the example queries that GraphiQL shows as tabs."""
    return Response(msgspec.json.encode(examples()), media_type=JSON)


def page() -> Response:
    """Return GraphiQL."""
    index = PAGES / "index.html"
    if not index.is_file():
        raise RequestError(503, "The pages are not built; run `make serve` or `make pages`.")
    return FileResponse(index, headers=PAGE_HEADERS)
