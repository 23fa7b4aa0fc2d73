"""Record how long requests take on the ASGI path, and how they were answered."""

import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Ended = Callable[[str, str, int, float], object]
"""Takes method, route and status of a request, and how many seconds it took."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"})
OTHER: Final = "_OTHER"
"""OpenTelemetry's word for any other method: a client may invent any number of them."""

ROUTES: Final = frozenset(
    {"/", "/graphql", "/livez", "/readyz", "/metrics", "/examples.json", "/mcp"}
)
PREFIXES: Final = {
    "/static/": "/static",
    "/webhooks/": "/webhooks/{provider}",
    "/providers/": "/providers/{key}/customers/{document_id}/segments",
}
NO_RESPONSE: Final = 499
"""nginx's status for a client that left before there was a response."""


def timed(app: ASGIApp, ended: Ended) -> ASGIApp:
    """Call `ended` when an HTTP request has ended."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), NO_RESPONSE

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, note_status)
        finally:
            method = scope["method"] if scope["method"] in METHODS else OTHER
            took_s = time.perf_counter() - started
            ended(method, route_of(scope["path"]), status, took_s)

    return serve


def route_of(path: str) -> str:
    """Return the route of a path: never a part that a client may choose. Empty: there is none."""
    if path in ROUTES:
        return path
    if path == "/graphql/":
        return "/graphql"
    return next((route for prefix, route in PREFIXES.items() if path.startswith(prefix)), "")
