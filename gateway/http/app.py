"""The ASGI application: routes, health probes and lifespan."""

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

from gateway import __version__
from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Permission
from gateway.changes.feed import ChangeFeed
from gateway.changes.health import HealthWatch
from gateway.changes.poller import Poller
from gateway.changes.webhooks import WebhookWorker
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
    parse_headers,
    send_error,
)
from gateway.http.instaleap_callback import InstaleapCallback
from gateway.http.metrics_endpoint import MetricsEndpoint
from gateway.http.metrics_server import serving_metrics
from gateway.http.operation_runner import OperationExecutor, OperationRunner
from gateway.http.pages.examples import examples
from gateway.http.persisted_documents import PersistedDocuments
from gateway.http.server.repeated_heads import FastPathHandler
from gateway.http.subscriptions import Subscriptions
from gateway.http.timed_requests import timed
from gateway.http.webhook_endpoint import WebhookEndpoint
from gateway.http.websocket_endpoint import WebSocketEndpoint
from gateway.observability.metrics import Metrics
from gateway.settings import Settings
from gateway.store.errors import StoreState
from gateway.store.store import Store
from gateway.writes.recovery import keep_recovering

PAGES = Path(__file__).parent / "pages" / "static"
ASSETS = PAGES / "assets"
# Monaco, GraphiQL's editor, creates style elements at runtime: hence inline styles are allowed.
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
    """Route GraphQL requests to their endpoints without Starlette's routing and middleware."""

    def __init__(
        self,
        endpoint: GraphQLEndpoint,
        websockets: WebSocketEndpoint,
        origins: OriginPolicy,
        announce_stop: Callable[[], None],
        metrics: Metrics | None,
        **options: Any,
    ) -> None:
        """Serve GraphQL over HTTP and WebSocket, everything else by Starlette with `options`.

        The server calls `announce_stop` when it begins to stop.
        """
        super().__init__(**options)
        self.announce_stop = announce_stop
        self._http: ASGIApp = self._serve_http
        if metrics is not None:
            self._http = timed(self._http, metrics.request_ended)
        self._endpoint = endpoint
        self._websockets = websockets
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websockets(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in GRAPHQL_PATHS:
            await self._endpoint(scope, receive, send)
        else:
            await self._page(scope, receive, send)

    def fast_path_handler(self, scope: Scope) -> FastPathHandler | None:
        """Return a handler for requests with this head; None: use the normal ASGI path."""
        if scope["raw_path"] not in RAW_GRAPHQL_PATHS:
            return None
        return self._endpoint.fast_path_handler(scope)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                missing = [header for header in SAFE if header[0] not in names]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        try:
            headers = parse_headers(scope["headers"])
            if scope["path"] not in PROBE_PATHS:
                self._origins.check_host(headers)
            elif scope["http_version"] == "1.1":
                check_has_host(headers)
            await super().__call__(scope, receive, send_secured)
        except RequestError as error:
            await send_error(send, error)


class Gateway:
    """The running gateway: its store, its providers, and the runner of operations."""

    def __init__(  # noqa: PLR0913, PLR0917  # composed in one place
        self,
        settings: Settings,
        operations: OperationExecutor,
        store: Callable[[], Awaitable[Store]],
        connect: Callable[[Store], Awaitable[Sequence[Provider]]],
        ready: Callable[[], None] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Call `store` and `connect` when the server starts, then `ready`; count in `metrics`."""
        self._metrics = metrics
        self.settings = settings
        server = settings.server
        self._authenticator = Authenticator(
            settings.auth,
            [each.key for each in settings.providers],
            allow_anonymous=server.allow_anonymous,
            introspection=settings.documents.introspection,
        )
        is_open = server.allow_anonymous
        is_open = settings.auth.is_empty if is_open is None else is_open
        self._origins = OriginPolicy(server, is_open=is_open)
        persisted = PersistedDocuments(settings.documents, operations.trust)
        self._runner = OperationRunner(
            operations, persisted, server.request_timeout_s, settings.limits, metrics
        )
        self._subscriptions = Subscriptions(self._runner, settings.limits, settings.changes.lag_s)
        self._open_store = store
        self._connect = connect
        self._ready = ready
        self.providers: dict[str, Provider] = {}
        self._store: Store | None = None
        self._webhooks: WebhookWorker | None = None
        self._metrics_endpoint: MetricsEndpoint | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keep the store and the providers open, and settle unfinished writes meanwhile."""
        async with contextlib.AsyncExitStack() as stack:
            store = self._store = await self._open_store()
            stack.push_async_callback(store.close)
            if self._metrics is not None:
                store.observe(self._metrics.transaction_ended)
                stack.push_async_callback(self._metrics.close)
            for provider in await self._connect(store):
                stack.push_async_callback(provider.close)
                self.providers[provider.key] = provider
            feed = ChangeFeed(store, self.providers)
            await feed.start()
            stack.push_async_callback(feed.close)
            webhooks = WebhookWorker(store, self.providers)
            await webhooks.start()
            stack.push_async_callback(webhooks.close)
            self._webhooks = webhooks
            self._runner.providers, self._runner.store = self.providers, store
            self._runner.feed = feed
            health_watch = self._runner.health_watch = HealthWatch(self.providers)
            stack.push_async_callback(health_watch.close)
            await self._start_metrics(stack)
            if self._ready is not None:
                self._ready()
            poller = Poller(store, self.providers, self.settings.watch)
            poller.start()
            stack.push_async_callback(poller.close)
            recovering = asyncio.create_task(keep_recovering(self.providers, store))
            try:
                yield
            finally:
                await self._runner.close()
                recovering.cancel()
                await asyncio.gather(recovering, return_exceptions=True)

    async def _start_metrics(self, stack: contextlib.AsyncExitStack) -> None:
        if self._metrics is None or self._metrics_endpoint is None:
            return
        self._metrics.start(self._runner.operations.codes)
        address = self.settings.server.metrics
        if isinstance(address, str):
            await stack.enter_async_context(serving_metrics(self._metrics_endpoint, address))

    def _wake_webhooks(self) -> None:
        if self._webhooks is not None:
            self._webhooks.wake()

    def announce_stop(self) -> None:
        """Fail health checks, and refuse new subscriptions: the server stops soon."""
        self._subscriptions.is_stopping = True

    async def alive(self, _: Request) -> Response:
        """Report that the process is alive."""
        return _json({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Report whether the store can be used, the pages are built, and the server stays.

        The store is checked at most once a second, however many probes there are. Callers also get
        the health of the providers that they may see; it does not affect readiness.
        """
        has_pages = (PAGES / "index.html").is_file()
        store = StoreState.DOWN if self._store is None else await self._store.state()
        is_stopping = self._subscriptions.is_stopping
        is_ready = has_pages and store is StoreState.READY and not is_stopping
        status = "ready" if has_pages else "pages are not built; run make serve"
        if store is not StoreState.READY:
            status = f"the store cannot be used: {store.value}"
        if is_stopping:
            status = "the server is stopping"
        body: dict[str, Any] = {"status": status, "version": __version__}
        headers = parse_headers(request.scope["headers"])
        with contextlib.suppress(Unauthenticated, RequestError):
            # Without this check any page could read it through DNS rebinding.
            self._origins.check_host(headers)
            body["providers"] = await self._health(request, headers)
        return _json(body, 200 if is_ready else 503)

    async def _health(self, request: Request, headers: Headers) -> Sequence[Mapping[str, Any]]:
        """Return the health of the providers. Raises `Unauthenticated`.

        Without credentials it is raised here, because probes must not fill the log.
        """
        authorization = authorization_of(headers)
        address = address_of(request.scope, headers)
        if authorization is None and not self._authenticator.allows_anonymous(address):
            raise Unauthenticated
        caller = await self._authenticator.authenticate(authorization, address)
        visible = caller.providers_for((Permission.SEGMENTS_READ,), self.providers)
        return [
            {
                "key": each.key,
                "kind": each.kind,
                "status": each.health.status,
                "circuit": each.circuit,
            }
            for each in map(self.providers.__getitem__, visible)
        ]

    def app(self) -> Starlette:
        """Return the ASGI application."""
        metrics = self._metrics
        limits = self.settings.limits
        subscriptions = Subscriptions(self._runner, limits, self.settings.changes.lag_s)
        routes: list[BaseRoute] = [
            Route("/", redirect_to_graphiql),
            Route("/examples.json", show_examples),
            Route("/livez", self.alive),
            Route("/readyz", self.ready),
            InstaleapCallback(
                self.settings.providers,
                lambda: self._store,
                self.settings.server.request_timeout_s,
            ).route,
            *WebhookEndpoint(
                self.providers,
                lambda: self._store,
                self._wake_webhooks,
                self.settings.server.request_timeout_s,
                None if metrics is None else metrics.webhook_ended,
            ).routes,
            Mount(
                "/static/assets", gzipped(Immutable(directory=PAGES / "assets", check_dir=False))
            ),
            Mount("/static", gzipped(StaticFiles(directory=PAGES, check_dir=False))),
        ]
        limits = self.settings.limits
        subscriptions = self._subscriptions
        if metrics is not None:
            shown = MetricsEndpoint(metrics, self._runner, subscriptions, self.providers)
            self._metrics_endpoint = shown
            if self.settings.server.metrics is True:
                routes.append(shown.route(self._authenticator, self._origins))
        endpoint = GraphQLEndpoint(
            self._runner,
            subscriptions,
            self._authenticator,
            self._origins,
            limits.body_bytes,
            page,
            None if metrics is None else metrics.request_ended,
        )
        websockets = WebSocketEndpoint(
            self._runner, subscriptions, self._authenticator, self._origins, limits
        )
        return Application(
            endpoint,
            websockets,
            self._origins,
            self.announce_stop,
            metrics,
            routes=routes,
            lifespan=self.lifespan,
        )


class Immutable(StaticFiles):
    """Files whose names contain a hash of their content, so that browsers can cache them."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """Return a file that may be cached for a year."""
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def gzipped(app: ASGIApp) -> ASGIApp:
    """Compress the application's responses: the pages are 5 MB, compressed 2."""
    return GZipMiddleware(app, minimum_size=1024, compresslevel=5)


async def redirect_to_graphiql(_: Request) -> Response:
    """Redirect from the root to GraphiQL."""
    return RedirectResponse("/graphql", headers={"cache-control": "no-store"})


async def show_examples(_: Request) -> Response:
    """Return the example queries, which GraphiQL shows as tabs."""
    return _json(examples())


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"cache-control": "no-store"}, JSON)


def page() -> Response:
    """Return the GraphiQL page."""
    index = PAGES / "index.html"
    if not index.is_file():
        raise RequestError(503, "The pages are not built; run `make serve` or `make pages`.")
    return FileResponse(index, headers=PAGE_HEADERS)
