"""The ASGI application: routes, health probes and lifespan."""

from pathlib import Path
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.cors import OriginPolicy, check_has_host
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.http.graphql_over_http import (
    GRAPHQL_PATHS,
    JSON,
    PROBE_PATHS,
    SAFE,
    RequestError,
    parse_headers,
    prefers_page,
    send_error,
)
from gateway.http.pages.examples import examples
from gateway.http.server.repeated_heads import HeadHandler
from gateway.http.timed_requests import timed
from gateway.http.websocket_endpoint import WebSocketEndpoint
from gateway.observability.metrics import Metrics

log = structlog.get_logger(__name__)

PAGES = Path(__file__).parent / "pages" / "static"
ASSETS = PAGES / "assets"
NOT_BUILT = "The pages are not built; run `make serve` or `make pages`."
PAGE_PATHS = ("/", "/segments", "/segments/{id:path}", "/person", "/compare", "/import")
"""Each is a route of web/src/pages/App.tsx."""
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
        gateway: Any,
        metrics: Metrics | None,
        **options: Any,
    ) -> None:
        """Serve GraphQL over HTTP and WebSocket, everything else by Starlette with `options`.

        The server calls `gateway` when it stops, and for a reload.
        """
        super().__init__(**options)
        self.gateway = gateway
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

    def fast_path_handler(self, scope: Scope) -> HeadHandler | None:
        """Return a handler for heads similar to this one; None: use the normal ASGI path."""
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


async def show_page(_: Request) -> Response:
    """Return the page of all paths but /graphql; a script in it shows what the path names."""
    file = PAGES / "pages.html"
    if not file.is_file():
        return PlainTextResponse(f"{NOT_BUILT}\n", 503)
    return FileResponse(file, headers=PAGE_HEADERS)


async def not_found(request: Request, _: Exception) -> Response:
    """Return the page to a browser, where it says that there is no such page; else plain text."""
    file, accept = PAGES / "pages.html", parse_headers(request.scope["headers"]).get(b"accept")
    if request.method in {"GET", "HEAD"} and prefers_page(accept) and file.is_file():
        return FileResponse(file, 404, PAGE_HEADERS)
    return PlainTextResponse("Not Found", 404, {"vary": "accept"})


async def show_examples(_: Request) -> Response:
    """Return the example queries, which GraphiQL shows as tabs."""
    return _json(examples())


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"cache-control": "no-store"}, JSON)


def has_pages() -> bool:
    """Return whether the pages are built."""
    return (PAGES / "index.html").is_file()


def page() -> Response:
    """Return the GraphiQL page."""
    index = PAGES / "index.html"
    if not index.is_file():
        raise RequestError(503, NOT_BUILT)
    return FileResponse(index, headers=PAGE_HEADERS)
