"""The frame of the sandbox: providers, the calls they got, and how long they take.

Inside the gateway's own process a provider is used alone (`Sandbox.provider`); `gateway sandbox`
serves all of them below one address (`Sandbox.asgi`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import unquote, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox.faults import Faults
from gateway.sandbox.people import people
from gateway.sandbox.provider import SandboxProvider
from gateway.sandbox.replies import json_response

REMEMBERED_CALLS = 100_000
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How many people the providers know, and how many milliseconds every answer takes."""

    customers: int = 300
    latency_ms: float = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One call a provider got; path and query are decoded, as the provider reads them.

    `status` is 0 when no answer began, because the caller gave up.
    """

    kind: str
    method: str
    path: str
    query: str
    status: int


def _now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Providers over one cast, each with state of its own that starts afresh.

    `asgi` serves them all below one address. `calls` are the newest 100,000 calls, of all
    providers, in the order they were answered; `counts` has every call by kind, from the moment
    it comes in.
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
        self.calls: deque[Call] = deque(maxlen=REMEMBERED_CALLS)
        self.counts = dict.fromkeys(providers, 0)
        self.faults = Faults()
        self._providers = {
            kind: self._framed(kind, each.build(cast, now)) for kind, each in providers.items()
        }
        self._credentials = {kind: each.CREDENTIALS for kind, each in providers.items()}
        self.asgi = self._side_by_side()

    def provider(self, kind: str) -> ASGIApp:
        """Return one provider's server, counting; KeyError for a kind there is not."""
        return self._providers[kind]

    def reset_calls(self) -> None:
        """Forget the calls and start counting at zero."""
        self.calls.clear()
        self.counts.update(dict.fromkeys(self.counts, 0))

    def _side_by_side(self) -> ASGIApp:
        """Return the server of `/stuut/…` and so on, `/`, `/calls` and `/faults`.

        A function and not a method: that is how uvicorn knows an application of this ASGI version.
        """
        desk = Starlette(
            routes=[
                Route("/", self._show_directory),
                Route("/gateway.toml", self._show_configuration),
                Route("/calls", self._show_counts, methods=["GET"]),
                Route("/calls", self._reset_counts, methods=["DELETE"]),
                Route("/faults", self._show_faults, methods=["GET"]),
                Route("/faults", self._set_faults, methods=["PUT"]),
                Route("/faults", self._heal, methods=["DELETE"]),
            ]
        )

        async def side_by_side(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                kind, _, rest = scope["raw_path"].decode("ascii")[1:].partition("/")
                if kind in self._providers:
                    inner = {**scope, "path": unquote(f"/{rest}"), "raw_path": f"/{rest}".encode()}
                    # A connection that is to break: the server closes one that is left half said.
                    with contextlib.suppress(ConnectionResetError):
                        await self._providers[kind](inner, receive, send)
                    return
            await desk(scope, receive, send)

        return side_by_side

    def _framed(self, kind: str, app: ASGIApp) -> ASGIApp:
        async def framed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = NO_ANSWER

            async def send_noting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            self.counts[kind] += 1
            try:
                if self._options.latency_ms > 0:
                    await asyncio.sleep(self._options.latency_ms / 1000)
                await self.faults.run(kind, app, scope, receive, send_noting)
            finally:
                query = unquote_plus(scope["query_string"].decode("ascii"))
                path = unquote(scope["raw_path"].decode("ascii"))
                self.calls.append(Call(kind, scope["method"], path, query, status))

        return framed

    async def _show_directory(self, request: Request) -> Response:
        providers = {
            kind: {"base_url": f"{request.base_url}{kind}", "credentials": credentials}
            for kind, credentials in self._credentials.items()
        }
        return json_response(
            {
                "about": "Providers of customer segments, made up; GET and DELETE /calls,"
                " GET, PUT and DELETE /faults",
                "customers": self._options.customers,
                "providers": providers,
            }
        )

    async def _show_configuration(self, request: Request) -> Response:
        """Return a configuration file for the gateway that serves these providers."""
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
        return Response("\n\n".join(tables) + "\n", media_type="application/toml")

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

    async def _heal(self, _request: Request) -> Response:
        self.faults.replace(())
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _reset_counts(self, _request: Request) -> Response:
        self.reset_calls()
        return Response(status_code=HTTPStatus.NO_CONTENT)
