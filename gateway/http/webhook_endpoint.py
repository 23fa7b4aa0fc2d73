"""`POST /webhooks/{provider}`: providers report events, signed.

Nothing of a webhook is acted on here. It is verified, stored, and answered after the commit;
`gateway.changes.webhooks` applies it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.domain.entities import Ref
from gateway.http.graphql_over_http import new_request_id
from gateway.providers.base.webhooks import (
    InvalidWebhook,
    ReceivesWebhooks,
    SendsCustomers,
    WebhookCustomers,
    WebhookRequest,
)
from gateway.store.errors import StoreFailed
from gateway.store.reporting import report
from gateway.store.store import Store
from gateway.upstream.provider import Provider

PATHS: Final = ("/webhooks/{provider}", "/webhooks/{provider}/{event_type}")
MAX_BODY_BYTES: Final = 1024 * 1024
UNSIGNED: Final = "The signature is missing or wrong."
"""Also for an unknown provider or event type: strangers learn nothing of the configuration."""
REFUSALS_APART_S: Final = 1.0
"""Of refusals within this time only the first is written down."""

ACCEPTED, REPEATED, REFUSED, FAILED = "accepted", "repeated", "refused", "failed"

log = structlog.get_logger()


class WebhookEndpoint:
    """Receive webhooks. No API key: the signature is the credential."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        store: Callable[[], Store | None],
        wake: Callable[[], None],
        timeout_s: float,
        ended: Callable[[str, str], object] | None = None,
    ) -> None:
        """Receive for these providers, by key; `store` returns the open store, if it is open.

        `wake` is called after each webhook that was stored; one fails after `timeout_s` seconds.
        `ended` is called with the provider's key and the result of each.
        """
        self._ended = ended
        self._providers = providers
        self._store = store
        self._wake = wake
        self.timeout_s = timeout_s
        self._refused_at: dict[str, float] = {}

    @property
    def routes(self) -> list[Route]:
        """The routes; see `routes_of`."""
        return routes_of(self.answer)

    async def answer(self, request: Request) -> Response:
        """Return 204 once the webhook is stored, also for a repeat."""
        response, result = await self._answer(request)
        key = request.path_params["provider"]
        if self._ended is not None and key in self._providers:
            self._ended(key, result)
        return response

    async def _answer(self, request: Request) -> tuple[Response, str]:
        """Return the response, and the result for the metrics."""
        try:
            async with asyncio.timeout(self.timeout_s):
                body = await read_body(request)
            result = await self._receive(request, body)
        except WebhookRefused as error:
            return _error(error.status, str(error)), REFUSED
        except TimeoutError:
            return _error(408, "The body did not arrive in time."), REFUSED
        except ClientDisconnect:
            return Response(status_code=400), REFUSED
        except StoreFailed as error:
            report(error, new_request_id())
            return _error(503, str(error)), FAILED
        except Exception:  # a bug: logged whole, and the sender tries again
            log.exception("webhook_failed")
            return _error(500, "Internal error."), FAILED
        return Response(status_code=204, headers={"cache-control": "no-store"}), result

    async def _receive(self, request: Request, body: bytes) -> str:
        """Verify and store a webhook. Raises `WebhookRefused`, `StoreFailed`."""
        store = self._store()
        if store is None:
            raise WebhookRefused(503, "The gateway is starting or shutting down.")
        key = request.path_params["provider"]
        provider = self._providers.get(key)
        if provider is None or not provider.offers(ReceivesWebhooks):
            raise WebhookRefused(401, UNSIGNED)
        adapter: ReceivesWebhooks = provider.adapter
        received = WebhookRequest(request.path_params.get("event_type"), request.headers, body)
        if not adapter.has_webhook_secret:
            raise WebhookRefused(401, UNSIGNED)
        if adapter.verify_webhook(received, datetime.now(UTC)) is None:
            await self._refuse(store, key, UNSIGNED)
            raise WebhookRefused(401, UNSIGNED)
        try:
            event = adapter.webhook_event(received)
        except InvalidWebhook as error:
            await self._refuse(store, key, str(error))
            raise WebhookRefused(400, str(error)) from error
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        if not await store.webhooks.accept(key, event, body, deadline):
            return REPEATED
        self._wake()
        if provider.offers(SendsCustomers):
            customers = provider.adapter.webhook_customers(event.type, body)
            await _record(store, key, customers, deadline)
        return ACCEPTED

    async def _refuse(self, store: Store, key: str, reason: str) -> None:
        """Write a refusal down; unsigned requests cause one write a second."""
        now = asyncio.get_running_loop().time()
        if now - self._refused_at.get(key, -REFUSALS_APART_S) < REFUSALS_APART_S:
            return
        self._refused_at[key] = now
        await store.webhooks.refuse(key, reason)


async def _record(store: Store, provider: str, sent: WebhookCustomers, deadline: float) -> None:
    """Record the customers of a webhook before it is answered, so that rules link them.

    A failure costs the links alone: the webhook itself is stored.
    """
    index = store.identity.index
    if not index.rules.rules:
        return
    try:
        await index.record(index.news(sent.known), deadline)
        await index.retire([Ref(provider, each) for each in sent.gone], deadline)
    except StoreFailed as error:
        report(error, new_request_id())


class WebhookRefused(Exception):
    """The response is an error with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request) -> bytes:
    """Return the body of a webhook. Raises `WebhookRefused`: 413 before 415."""
    too_large = WebhookRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    if int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WebhookRefused(415, "Compressed bodies are not accepted.")
    return bytes(body)


def routes_of(receive: Callable[[Request], Awaitable[Response]]) -> list[Route]:
    """Return the routes of an endpoint: with an event type where the provider has a URL for each.

    OPTIONS succeeds for every URL alike: Emporix requires that of a target.
    """
    return [
        route
        for path in PATHS
        for route in (
            Route(path, receive, methods=["POST"]),
            Route(path, _allow, methods=["OPTIONS"]),
        )
    ]


async def _allow(_: Request) -> Response:
    return Response(status_code=204, headers={"allow": "OPTIONS, POST"})


def _error(status: int, message: str) -> Response:
    return Response(
        msgspec.json.encode({"error": message}),
        status,
        {"cache-control": "no-store"},
        media_type="application/json; charset=utf-8",
    )
