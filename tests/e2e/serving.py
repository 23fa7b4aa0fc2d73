"""The gateway served in this process over a sandbox that tests may disturb, and who asks it."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.asgi import build
from gateway.domain.entities import AssignmentRef, Ref
from gateway.observability.otlp import SpanExport
from gateway.sandbox.app import Sandbox
from gateway.settings.tables import Settings, StoreSettings
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.four_kinds import FOUR, SANDBOXES, four_settings
from tests.switches import FAST_PATHS

READABLE = ("stuut", "voucherify", "emporix")
PROVIDERS = FOUR
"""In configuration order; each key is also the kind."""

NOW = datetime(2026, 11, 22, 10, 0, 0, 123_456, tzinfo=UTC)
SIGN_IN = "POST /oauth/token"


class Providers(Sandbox):
    """The sandbox, any of whose providers can be replaced; keeps the headers of every call."""

    def __init__(self) -> None:
        """Start with all four in order, at a time that stands still."""
        super().__init__(SANDBOXES, now=lambda: NOW)
        self.instead: dict[str, ASGIApp] = {}
        """Who answers in the place of a provider, by kind."""
        self.headers: list[tuple[str, Mapping[str, str]]] = []
        """Kind and headers of each call, in the order they came in."""

    def real(self, kind: str) -> ASGIApp:
        """Return the sandbox's own server of a provider."""
        return super().provider(kind)

    def provider(self, kind: str) -> ASGIApp:
        """Return one provider's server, or who answers in its place at that moment."""
        ours = self.real(kind)

        async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.headers.append((kind, headers))
            await self.instead.get(kind, ours)(scope, receive, send)

        return chosen


@dataclass(frozen=True)
class Front:
    """A client of the served gateway that sees the calls to its providers."""

    client: httpx.AsyncClient
    providers: Providers

    async def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, **headers: str
    ) -> Any:
        """Return the answer, which must come with status 200, without what it cost."""
        body = {"query": query, "variables": variables}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await self.client.post("/graphql", json=body, headers=sent)
        assert reply.status_code == 200, reply.text
        return without_cost(reply.json())

    async def data(
        self, query: str, variables: Mapping[str, Any] | None = None, **headers: str
    ) -> Any:
        """Return the data of an answer that must have no errors."""
        body = await self.ask(query, variables, **headers)
        assert "errors" not in body, body["errors"]
        return body["data"]

    @property
    def calls(self) -> list[str]:
        """The calls to providers since the last `forget`: `METHOD /path?query`."""
        return [
            f"{call.method} {call.path}{'?' if call.query else ''}{call.query}"
            for call in self.providers.calls
        ]

    @property
    def counts(self) -> dict[str, int]:
        """Calls by provider, of those that got any."""
        return dict(Counter(call.kind for call in self.providers.calls))

    def forget(self) -> None:
        """Start counting at zero."""
        self.providers.reset_calls()
        self.providers.headers.clear()


def without_cost(body: Any) -> Any:
    """Return an answer without what it cost: tests of their own hold that."""
    extensions = {k: v for k, v in body.get("extensions", {}).items() if k != "cost"}
    rest = {k: v for k, v in body.items() if k != "extensions"}
    return {**rest, "extensions": extensions} if extensions else rest


def settings_with(**changed: Any) -> Settings:
    """Return the sandbox's settings with parts of every account changed.

    Nothing is sent twice and nothing is kept from one request to the next, so that calls count.
    """
    settings = four_settings()
    accounts = tuple(
        each.model_copy(update={"retries": 0, **changed}) for each in settings.providers
    )
    server = settings.server.model_copy(update={"cache_ttl_s": 0})
    # The store is that of the session, where a test has none of its own: see conftest.
    return settings.model_copy(
        update={
            "providers": accounts,
            "server": server,
            "store": StoreSettings(),
            "fast_paths": FAST_PATHS,
        }
    )


@cache
def only_read() -> Providers:
    """Return the providers of all tests that write nothing: making some takes a while."""
    return Providers()


@contextlib.asynccontextmanager
async def serving(
    providers: Providers | None = None,
    settings: Settings | None = None,
    spans: SpanExport | None = None,
) -> AsyncIterator[Front]:
    """Serve the gateway, over providers that are `only_read` unless others are given.

    They are in order, and have not been called yet. With `spans`, traces are on.
    """
    providers = providers or only_read()
    providers.instead.clear()
    app = build(settings or settings_with(), providers, spans=spans)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        front = Front(client, providers)
        front.forget()
        yield front


def segment_id(provider: str, key: str) -> str:
    """Return the global id of a segment."""
    return global_ids.of_ref(Kind.SEGMENT, Ref(provider, key))


def customer_id(provider: str, key: str) -> str:
    """Return the global id of a customer."""
    return global_ids.of_ref(Kind.CUSTOMER, Ref(provider, key))


def assignment_id(provider: str, segment: str, customer: str, entity: str | None = None) -> str:
    """Return the global id of an assignment."""
    return global_ids.of_ref(Kind.ASSIGNMENT, AssignmentRef(provider, segment, customer, entity))


def names(connection: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of a connection's nodes."""
    return [node["name"] for node in connection["nodes"]]
