"""The sandbox: providers, the calls they received, and their latency.

The gateway embeds single providers in its own process (`Sandbox.provider`); `gateway sandbox`
serves all of them at one address (`Sandbox.asgi`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import unquote, unquote_plus

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox.faults import Faults
from gateway.sandbox.identity_rules import rules_as_toml
from gateway.sandbox.people import people
from gateway.sandbox.provider import SandboxProvider
from gateway.sandbox.replies import json_response
from gateway.sandbox.webhooks import SendsWebhooks, TargetOf, Webhooks

MAX_CALLS = 100_000
NO_RESPONSE = 0


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The number of people that the providers know, and the latency of every response."""

    customers: int = 300
    latency_ms: float = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a provider; path and query are decoded.

    `status` is 0 if no response started, because the caller gave up.
    """

    kind: str
    method: str
    path: str
    query: str
    status: int


def _now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Providers with the same cast of people; each has its own, fresh state.

    `asgi` serves them all at one address. `calls` are the latest 100,000 calls, of all providers,
    in the order of their completion; `counts` has the number of calls by kind, counted on
    arrival.
    """

    def __init__(
        self,
        providers: Mapping[str, SandboxProvider],
        options: SandboxOptions | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Serve these providers, by kind."""
        self._options = options or SandboxOptions()
        cast = tuple(people(self._options.customers))
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self.counts = dict.fromkeys(providers, 0)
        self.faults = Faults(tuple(providers))
        servers = {kind: each.build(cast, now) for kind, each in providers.items()}
        self._providers = {
            kind: self._instrumented(kind, server) for kind, server in servers.items()
        }
        self._webhooks: Mapping[str, Webhooks] = {
            kind: each.webhooks_of(servers[kind])
            for kind, each in providers.items()
            if isinstance(each, SendsWebhooks)
        }
        self._credentials = {kind: dict(each.CREDENTIALS) for kind, each in providers.items()}
        self.asgi = self._combined()

    def provider(self, kind: str) -> ASGIApp:
        """Return one provider's server, with its calls counted; KeyError for an unknown kind."""
        return self._providers[kind]

    @property
    def sends_webhooks(self) -> Sequence[str]:
        """The kinds of the providers that send webhooks."""
        return list(self._webhooks)

    @property
    def pending_webhooks(self) -> int:
        """The number of webhooks that are not delivered yet."""
        return sum(each.sender.pending for each in self._webhooks.values())

    def send_webhooks(self, kind: str, target: TargetOf, secret: str = "") -> None:
        """Send all events of a provider also to these targets; `secret` is shown on `/`."""
        self._webhooks[kind].add(target)
        if secret:
            self._credentials[kind]["webhook_secret"] = secret

    def deliver(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Send webhooks over this transport instead of the network; wait by this function."""
        for each in self._webhooks.values():
            each.sender.connect(transport, sleep)

    async def close(self) -> None:
        """Stop sending webhooks."""
        for each in self._webhooks.values():
            await each.sender.close()

    def reset_calls(self) -> None:
        """Clear the calls and reset the counts."""
        self.calls.clear()
        self.counts.update(dict.fromkeys(self.counts, 0))

    def _combined(self) -> ASGIApp:
        """Return the server of `/stuut/…` and so on, `/`, `/calls` and `/faults`.

        A function, not a method, so that uvicorn recognises an ASGI 3 application.
        """
        control = Starlette(
            routes=[
                Route("/", self._show_directory),
                Route("/gateway.toml", self._show_configuration),
                Route("/calls", self._show_counts, methods=["GET"]),
                Route("/calls", self._reset_counts, methods=["DELETE"]),
                Route("/faults", self._show_faults, methods=["GET"]),
                Route("/faults", self._set_faults, methods=["PUT"]),
                Route("/faults", self._clear_faults, methods=["DELETE"]),
            ]
        )

        async def combined(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                kind, _, path = scope["raw_path"].decode("ascii")[1:].partition("/")
                if kind in self._providers:
                    inner = {**scope, "path": unquote(f"/{path}"), "raw_path": f"/{path}".encode()}
                    # The fault `reset`: a server closes a connection with an incomplete response.
                    with contextlib.suppress(ConnectionResetError):
                        await self._providers[kind](inner, receive, send)
                    return
            await control(scope, receive, send)

        return combined

    def _instrumented(self, kind: str, app: ASGIApp) -> ASGIApp:
        async def instrumented(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = NO_RESPONSE

            async def send_and_note(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            self.counts[kind] += 1
            try:
                if self._options.latency_ms > 0:
                    await asyncio.sleep(self._options.latency_ms / 1000)
                await self.faults.run(kind, app, scope, receive, send_and_note)
            finally:
                query = unquote_plus(scope["query_string"].decode("ascii"))
                path = unquote(scope["raw_path"].decode("ascii"))
                self.calls.append(Call(kind, scope["method"], path, query, status))

        return instrumented

    async def _show_directory(self, request: Request) -> Response:
        providers = {
            kind: {"base_url": f"{request.base_url}{kind}", "credentials": credentials}
            for kind, credentials in self._credentials.items()
        }
        return json_response(
            {
                "about": "Simulated providers of customer segments; GET and DELETE /calls,"
                " GET, PUT and DELETE /faults",
                "customers": self._options.customers,
                "providers": providers,
            }
        )

    async def _show_configuration(self, request: Request) -> Response:
        """Return a configuration file for a gateway in front of these providers."""
        tables = [
            "\n".join(
                [
                    "[[providers]]",
                    f'key = "{kind}"',
                    f'kind = "{kind}"',
                    f'base_url = "{request.base_url}{kind}"',
                    *(f'{name} = "{value}"' for name, value in credentials.items()),
                ]
            )
            for kind, credentials in self._credentials.items()
        ]
        text = "\n\n".join([*tables, rules_as_toml()])
        return Response(text, media_type="application/toml")

    async def _show_counts(self, _request: Request) -> Response:
        return json_response(self.counts)

    async def _show_faults(self, _request: Request) -> Response:
        return json_response(self.faults.current)

    async def _set_faults(self, request: Request) -> Response:
        try:
            self.faults.replace_json(await request.body())
        except ValueError as error:
            return json_response({"message": str(error)}, HTTPStatus.BAD_REQUEST)
        return json_response(self.faults.current)

    async def _clear_faults(self, _request: Request) -> Response:
        self.faults.replace(())
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _reset_counts(self, _request: Request) -> Response:
        self.reset_calls()
        return Response(status_code=HTTPStatus.NO_CONTENT)
