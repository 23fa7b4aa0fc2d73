"""The HTTP shell: routes, answers, health, lifespan. It is handed what runs operations."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Permission
from gateway.context import Provider
from gateway.errors import Unauthenticated
from gateway.http.cors import OriginPolicy, address_of, authorization_of, check_has_host
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.http.graphql_over_http import (
    GRAPHQL_PATHS,
    JSON,
    PROBE_PATHS,
    SAFE,
    Headers,
    RequestError,
    headers_of,
    refuse,
)
from gateway.http.instaleap_callback import InstaleapCallback
from gateway.http.operation_runner import OperationExecutor, OperationRunner
from gateway.http.pages.examples import examples
from gateway.http.persisted_documents import PersistedDocuments
from gateway.http.server.repeated_heads import FastPathHandler
from gateway.http.websocket_endpoint import WebSocketEndpoint
from gateway.settings import Settings
from gateway.store.errors import StoreState
from gateway.store.store import Store
from gateway.writes.recovery import keep_recovering

PAGES = Path(__file__).parent / "pages" / "static"
ASSETS = PAGES / "assets"
# Monaco, GraphiQL's editor, makes style elements as it runs: hence styles may stand in the page.
PAGE_HEADERS = {
    **{name.decode(): value.decode() for name, value in SAFE},
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "vary": "accept",
}
RAW_GRAPHQL_PATHS = frozenset(path.encode() for path in GRAPHQL_PATHS)


class Application(Starlette):
    """Hands GraphQL requests to their endpoint before anything else looks at them."""

    def __init__(
        self,
        endpoint: GraphQLEndpoint,
        sockets: WebSocketEndpoint,
        origins: OriginPolicy,
        **rest: Any,
    ) -> None:
        """Serve GraphQL over HTTP and WebSocket, and the rest as Starlette does."""
        super().__init__(**rest)
        self._endpoint = endpoint
        self._sockets = sockets
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "http" and scope["path"] in GRAPHQL_PATHS:
            await self._endpoint(scope, receive, send)
        elif kind == "websocket":
            await self._sockets(scope, receive, send)
        elif kind == "http":
            await self._page(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def again(self, scope: Scope) -> FastPathHandler | None:
        """Return what answers requests with this head past ASGI, if they need none of it."""
        return self._endpoint.again(scope) if scope["raw_path"] in RAW_GRAPHQL_PATHS else None

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name for name, _ in message["headers"]}
                rest = [header for header in SAFE if header[0] not in named]
                message["headers"] = [*message["headers"], *rest]
            await send(message)

        try:
            headers = headers_of(scope["headers"])
            if scope["path"] not in PROBE_PATHS:
                self._origins.check_host(headers)
            elif scope["http_version"] == "1.1":
                check_has_host(headers)
            await super().__call__(scope, receive, guarded)
        except RequestError as error:
            await refuse(send, error)


class Gateway:
    """The running gateway: its providers and what runs operations over them."""

    def __init__(
        self,
        settings: Settings,
        operations: OperationExecutor,
        record: Callable[[], Awaitable[Store]],
        connect: Callable[[Store], Awaitable[Sequence[Provider]]],
        ready: Callable[[], None] | None = None,
    ) -> None:
        """Serve operations over what `record` and `connect` open when the server starts.

        Then `ready` is called.
        """
        self.settings = settings
        server = settings.server
        self._doorkeeper = Authenticator(
            settings.auth,
            [each.key for each in settings.providers],
            allow_anonymous=server.allow_anonymous,
            introspection=settings.documents.introspection,
        )
        is_open = server.allow_anonymous
        is_open = settings.auth.is_empty if is_open is None else is_open
        self._origins = OriginPolicy(server, is_open=is_open)
        persisted = PersistedDocuments(settings.documents, operations.trust)
        self._runner = OperationRunner(operations, persisted, server.request_timeout_s)
        self._open_record = record
        self._connect = connect
        self._ready = ready
        self.providers: dict[str, Provider] = {}
        self._record: Store | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Hold record and providers open while the server runs, and finish what was left open."""
        async with contextlib.AsyncExitStack() as opened:
            record = self._record = await self._open_record()
            opened.push_async_callback(record.close)
            for provider in await self._connect(record):
                opened.push_async_callback(provider.close)
                self.providers[provider.key] = provider
            self._runner.providers, self._runner.record = self.providers, record
            if self._ready is not None:
                self._ready()
            recovering = asyncio.create_task(keep_recovering(self.providers, record))
            try:
                yield
            finally:
                await self._runner.close()
                recovering.cancel()
                await asyncio.gather(recovering, return_exceptions=True)

    async def alive(self, _: Request) -> Response:
        """Tell that the process is alive."""
        return _told({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Tell whether configuration, record and pages are in order.

        Callers are also told how the providers do that they may see. One that is down does not
        make the gateway unready.
        """
        has_pages = (PAGES / "index.html").is_file()
        store = StoreState.DOWN if self._record is None else await self._record.state()
        is_ready = has_pages and store is StoreState.READY
        status = "ready" if has_pages else "pages are not built; run make serve"
        if store is not StoreState.READY:
            status = f"the record cannot be used: {store.value}"
        body: dict[str, Any] = {"status": status}
        headers = headers_of(request.scope["headers"])
        with contextlib.suppress(Unauthenticated, RequestError):
            # Of another host's page (DNS rebinding) the server would be an open one.
            self._origins.check_host(headers)
            body["providers"] = await self._health(request, headers)
        return _told(body, 200 if is_ready else 503)

    async def _health(self, request: Request, headers: Headers) -> Sequence[Mapping[str, Any]]:
        """Return how the providers do. Raises `Unauthenticated`; a probe leaves no trace of it."""
        who = authorization_of(headers), address_of(request.scope, headers)
        if who[0] is None and not self._doorkeeper.lets_in_anonymous(who[1]):
            raise Unauthenticated
        caller = await self._doorkeeper.caller(*who)
        seen = caller.providers_for((Permission.SEGMENTS_READ,), self.providers)
        return [
            {
                "key": each.key,
                "kind": each.kind,
                "status": each.health.status,
                "circuit": each.circuit,
            }
            for each in map(self.providers.__getitem__, seen)
        ]

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes: list[BaseRoute] = [
            Route("/", to_graphiql),
            Route("/examples.json", show_examples),
            Route("/livez", self.alive),
            Route("/readyz", self.ready),
            InstaleapCallback(
                self.settings.providers,
                lambda: self._record,
                self.settings.server.request_timeout_s,
            ).route,
            Mount(
                "/static/assets", packed(Immutable(directory=PAGES / "assets", check_dir=False))
            ),
            Mount("/static", packed(StaticFiles(directory=PAGES, check_dir=False))),
        ]
        limits = self.settings.limits
        endpoint = GraphQLEndpoint(
            self._runner, self._doorkeeper, self._origins, limits.body_bytes, page
        )
        sockets = WebSocketEndpoint(self._runner, self._doorkeeper, self._origins, limits)
        return Application(endpoint, sockets, self._origins, routes=routes, lifespan=self.lifespan)


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
    return _told(examples())


def _told(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"cache-control": "no-store"}, JSON)


def page() -> Response:
    """Return GraphiQL."""
    index = PAGES / "index.html"
    if not index.is_file():
        raise RequestError(503, "The pages are not built; run `make serve` or `make pages`.")
    return FileResponse(index, headers=PAGE_HEADERS)
