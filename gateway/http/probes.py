"""`/livez` and `/readyz`, for service managers and load balancers."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import __version__
from gateway.auth.permissions import Permission
from gateway.context import Provider
from gateway.errors import Problem, Unauthenticated
from gateway.http.cors import address_of, authorization_of
from gateway.http.graphql_over_http import JSON, Headers, RequestError, parse_headers
from gateway.http.live_settings import LiveSettings
from gateway.store.errors import StoreState


class Probes:
    """Report the state of this process."""

    def __init__(
        self,
        live: LiveSettings,
        providers: Mapping[str, Provider],
        has_pages: Callable[[], bool],
        state: Callable[[], Awaitable[StoreState]],
        problems: Callable[[], Sequence[Problem]],
    ) -> None:
        """Report on these providers; `has_pages`: they are built; `state` is that of the store.

        `problems` returns those of the newest configuration, if it is not in use therefore.
        """
        self._subscriptions = live.subscriptions
        self._authenticator, self._origins = live.authenticator, live.origins
        self._providers = providers
        self._has_pages = has_pages
        self._state = state
        self._problems = problems

    @property
    def routes(self) -> Sequence[Route]:
        """The routes of the probes."""
        return [Route("/livez", self.alive), Route("/readyz", self.ready)]

    async def alive(self, _: Request) -> Response:
        """Report that the process is alive."""
        return _json({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Report whether the store can be used, the pages are built, and the server stays.

        The store is checked at most once a second, however many probes there are. Callers also get
        the health of the providers that they may see; it does not affect readiness.
        """
        problem = await self._problem()
        body: dict[str, Any] = {"status": problem or "ready", "version": __version__}
        if problems := self._problems():
            counted = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            body["configuration"] = f"not reloaded: {counted}, see the log"
        headers = parse_headers(request.scope["headers"])
        with contextlib.suppress(Unauthenticated, RequestError):
            # Without this check any page could read it through DNS rebinding.
            self._origins.check_host(headers)
            body["providers"] = await self._health(request, headers)
        return _json(body, 503 if problem else 200)

    async def _problem(self) -> str | None:
        """Return why the gateway is not ready."""
        if self._subscriptions.is_stopping:
            return "the server is stopping"  # at once: load balancers wait for it
        store = await self._state()
        if store is not StoreState.READY:
            return f"the store cannot be used: {store.value}"
        return None if self._has_pages() else "pages are not built; run make serve"

    async def _health(self, request: Request, headers: Headers) -> Sequence[Mapping[str, Any]]:
        """Return the health of the providers. Raises `Unauthenticated`.

        Without credentials it is raised here, because probes must not fill the log.
        """
        authorization = authorization_of(headers)
        address = address_of(request.scope, headers)
        if authorization is None and not self._authenticator.allows_anonymous(address):
            raise Unauthenticated
        caller = await self._authenticator.authenticate(authorization, address)
        visible = caller.providers_for((Permission.SEGMENTS_READ,), self._providers)
        return [
            {
                "key": each.key,
                "kind": each.kind,
                "status": each.health.status,
                "circuit": each.circuit,
            }
            for each in map(self._providers.__getitem__, visible)
        ]


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"cache-control": "no-store"}, JSON)
