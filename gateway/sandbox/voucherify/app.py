"""Voucherify's server: routes, the two ways to sign in, the limit of calls per minute."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox.people import Person
from gateway.sandbox.replies import json_response
from gateway.sandbox.routing import RawRoute
from gateway.sandbox.voucherify.customer_writes import CustomerWrites
from gateway.sandbox.voucherify.customers import CustomerReads
from gateway.sandbox.voucherify.example import fill
from gateway.sandbox.voucherify.oauth import Tokens
from gateway.sandbox.voucherify.project import Project
from gateway.sandbox.voucherify.refusals import RefusalError
from gateway.sandbox.voucherify.segments import SegmentCalls
from gateway.sandbox.voucherify.webhooks import CustomerWebhooks

CREDENTIALS: Mapping[str, str] = {
    "app_id": "sandbox-voucherify-app-id",
    "app_token": "sandbox-voucherify-app-token",
}
# Large enough that nothing meets it by accident; the vendor's plans allow 100 or 2,000.
CALLS_PER_MINUTE = 1_000_000
MINUTE_S = 60
KEYS: Mapping[int, str] = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}


def build(
    cast: Sequence[Person], now: Callable[[], datetime], calls_per_minute: int = CALLS_PER_MINUTE
) -> Starlette:
    """Return a server with fresh state: the people of the cast it knows, and the segments.

    See `webhooks_of`.
    """
    project = Project(now)
    fill(project, cast)
    tokens = Tokens(now)
    segments = SegmentCalls(project)
    hooks = CustomerWebhooks(project)
    reads, writes = CustomerReads(project, hooks), CustomerWrites(project, hooks)
    customer = "/v1/customers/{customer_id}"
    segment = "/v1/segments/{segment_id}"

    async def refuse(_request: Request, error: Exception) -> Response:
        return _error_answer(error, project)

    app = Starlette(
        routes=[
            RawRoute("/v1/segments", segments.page, methods=["GET"]),
            RawRoute("/v1/segments", segments.create, methods=["POST"]),
            RawRoute(segment, segments.get, methods=["GET"]),
            RawRoute(segment, segments.delete, methods=["DELETE"]),
            RawRoute("/v1/customers", reads.page, methods=["GET"]),
            RawRoute("/v1/customers", writes.upsert, methods=["POST"]),
            RawRoute(customer, reads.get, methods=["GET"]),
            RawRoute(customer, writes.update, methods=["PUT"]),
            RawRoute(customer, reads.delete, methods=["DELETE"]),
            RawRoute(f"{customer}/segments", reads.segments, methods=["GET"]),
            RawRoute("/v1/customers/bulk/async", writes.bulk, methods=["POST"]),
            RawRoute("/v1/customers/metadata/async", writes.bulk_metadata, methods=["POST"]),
            RawRoute("/v1/oauth/token", tokens.generate, methods=["POST"]),
            RawRoute("/v1/oauth/introspect", tokens.introspect, methods=["POST"]),
            RawRoute("/v1/oauth/token/revoke", tokens.revoke, methods=["POST"]),
        ],
        middleware=[
            Middleware(AccessControl, tokens=tokens, throttle=Throttle(calls_per_minute, now)),
        ],
        exception_handlers={RefusalError: refuse, HTTPException: refuse},
    )
    app.router.redirect_slashes = False
    app.state.webhooks = hooks
    return app


def webhooks_of(app: Starlette) -> CustomerWebhooks:
    """Return the webhooks of a server; nobody receives them yet."""
    hooks: CustomerWebhooks = app.state.webhooks
    return hooks


def _error_answer(error: Exception, project: Project) -> Response:
    if isinstance(error, RefusalError):
        body = {"code": error.status} | error.body
        return json_response(body | {"request_id": project.hex_id("v-")}, error.status)
    status = error.status_code if isinstance(error, HTTPException) else 500
    body = {"code": status, "message": HTTPStatus(status).phrase}
    if status in KEYS:
        body["key"] = KEYS[status]
    headers = error.headers if isinstance(error, HTTPException) else None
    return json_response(body | {"request_id": project.hex_id("v-")}, status, headers)


class Throttle:
    """Counts the calls of the current minute, by the given clock."""

    def __init__(self, limit: int, now: Callable[[], datetime]) -> None:
        self.limit = limit
        self._now = now
        self._minute = 0
        self._taken = 0

    def take(self) -> tuple[int, int, int | None]:
        """Count one call.

        Return how many are left, when the next is allowed (Unix seconds), and the seconds to wait
        when this one was too many, else None.
        """
        seconds = int(self._now().timestamp())
        minute = seconds // MINUTE_S
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        next_minute = (minute + 1) * MINUTE_S
        if self._taken >= self.limit:
            return 0, next_minute, next_minute - seconds
        self._taken += 1
        left = self.limit - self._taken
        return left, seconds if left else next_minute, None


class AccessControl:
    """Checks credentials and rate before the routes; adds the rate limit headers to responses."""

    def __init__(self, app: ASGIApp, tokens: Tokens, throttle: Throttle) -> None:
        self._app = app
        self._tokens = tokens
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429 or 401 or 403 itself, pass everything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left, next_call, wait_s = self._throttle.take()
        limits = {
            "X-Rate-Limit-Limit": str(self._throttle.limit),
            "X-Rate-Limit-Remaining": str(left),
            "X-Rate-Limit-Retry": str(next_call),
        }
        if wait_s is not None:
            limits |= {"Retry-After": str(wait_s), "X-Rate-Limit-Type": "api_calls"}
            refusal: Response | None = _too_many()
        else:
            refusal = self._refusal(Headers(scope=scope), scope["path"])

        async def send_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(limits)
            await send(message)

        answer = self._app if refusal is None else refusal
        await answer(scope, receive, send_limits)

    def _refusal(self, headers: Headers, path: str) -> Response | None:
        """Return the refusal of a caller who is not signed in or whose token lacks the scope."""
        if "x-app-id" in headers or "x-app-token" in headers:
            return None if _is_our_pair(headers) else _unauthorized()
        scheme, _, access_token = headers.get("authorization", "").partition(" ")
        token = self._tokens.find(access_token) if scheme.lower() == "bearer" else None
        if token is None or path.startswith("/v1/oauth/"):
            return _unauthorized()
        wanted = "customers" if path.startswith("/v1/customers") else "segments"
        return None if token.allows(wanted) else _forbidden()


def _is_our_pair(headers: Headers) -> bool:
    sent = {"app_id": headers.get("x-app-id"), "app_token": headers.get("x-app-token")}
    return sent == CREDENTIALS


def _unauthorized() -> Response:
    body = {"code": 401, "message": "Unauthorized", "key": "unauthorized"}
    return json_response(body, HTTPStatus.UNAUTHORIZED)


def _forbidden() -> Response:
    body = {"code": 403, "message": "Missing permission", "key": "missing_required_permission"}
    return json_response(body, HTTPStatus.FORBIDDEN)


def _too_many() -> Response:
    body = {"code": 429, "message": "Too many requests hit the API too quickly."}
    return json_response(body, HTTPStatus.TOO_MANY_REQUESTS)
