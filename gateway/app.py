"""The HTTP shell: routes, answers, health, lifespan. It is handed what runs operations."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gateway import graphql_http
from gateway.context import Provider, RequestContext, Scope, languages_of, open_context
from gateway.graphql_http import GRAPHQL, HTML, JSON, Asked, RequestError
from gateway.pages.examples import examples
from gateway.settings import Settings

PAGES = Path(__file__).parent / "pages" / "static"
SHOW_CALLS = "x-show-calls"
"""A request header: with `1` the answer lists the upstream calls that it took."""

PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Runs(Protocol):
    """What runs operations: of the schema the shell knows nothing else."""

    def document(self, text: str) -> Any:
        """Return a document, parsed and validated."""

    async def run(
        self,
        document: Any,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Any:
        """Run an operation of it."""


class Gateway:
    """The running gateway: its providers and what runs operations over them."""

    def __init__(
        self,
        settings: Settings,
        operations: Runs,
        connect: Callable[[], Awaitable[Sequence[Provider]]],
    ) -> None:
        """Serve operations over the providers that `connect` opens when the server starts."""
        self.settings = settings
        self._operations = operations
        self._connect = connect
        self.providers: Mapping[str, Provider] = {}

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Hold the providers open while the server runs."""
        found = await self._connect()
        self.providers = {provider.key: provider for provider in found}
        try:
            yield
        finally:
            await asyncio.gather(*(provider.close() for provider in found))

    async def graphql(self, request: Request) -> Response:
        """Answer a GraphQL request, or show GraphiQL to a browser."""
        is_get = request.method == "GET"
        content_type = JSON
        try:
            content_type = graphql_http.answer_type(
                request.headers.get("accept"), with_page=is_get
            )
            if content_type == HTML:
                return page()
            if is_get:
                asked = graphql_http.asked_by_get(request.query_params)
            else:
                asked = await graphql_http.asked_by_post(request)
            return await self._answer(request, asked, content_type, only_query=is_get)
        except RequestError as error:
            body = {
                "errors": [{"message": error.message, "extensions": {"code": "BAD_USER_INPUT"}}]
            }
            headers = {"allow": "POST"} if error.status == 405 else None  # noqa: PLR2004
            return Response(
                msgspec.json.encode(body), error.status, headers, media_type=content_type
            )

    async def _answer(
        self, request: Request, asked: Asked, content_type: str, *, only_query: bool
    ) -> Response:
        document = self._operations.document(asked.query)
        if only_query and not document.is_query(asked.operation_name):
            raise RequestError(405, "GET is for queries; send a mutation by POST.")
        now = asyncio.get_running_loop().time()
        scope = Scope(uuid.uuid4().hex, now + self.settings.server.request_timeout_s)
        context = open_context(
            self.providers,
            scope,
            languages_of(request.headers.get("accept-language")),
            datetime.now(UTC),
        )
        answer = await self._operations.run(
            document, asked.variables, asked.operation_name, context
        )
        body = answer.body
        if request.headers.get(SHOW_CALLS) == "1":
            calls = [
                {
                    "provider": call.provider,
                    "operation": call.operation,
                    "status": call.status,
                    "durationMs": round(call.duration_ms, 1),
                }
                for call in scope.calls
            ]
            body = {**body, "extensions": {"upstreamCalls": calls}}
        is_bad = answer.is_request_error and content_type == GRAPHQL
        return Response(
            msgspec.json.encode(body),
            400 if is_bad else 200,
            {"x-request-id": scope.request_id},
            media_type=content_type,
        )

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
                {"key": each.key, "kind": each.kind, "status": each.health.status}
                for each in self.providers.values()
            ],
        }
        return Response(msgspec.json.encode(body), 200 if has_pages else 503, media_type=JSON)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes: list[BaseRoute] = [
            Route("/", to_graphiql),
            Route("/graphql", self.graphql, methods=["GET", "POST"]),
            Route("/examples.json", show_examples),
            Route("/livez", self.alive),
            Route("/readyz", self.ready),
            Mount("/static", StaticFiles(directory=PAGES, check_dir=False)),
        ]
        return Starlette(routes=routes, lifespan=self.lifespan, middleware=list[Middleware]())


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
