"""`GET /metrics`: the gateway's metrics, for Prometheus."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Permission
from gateway.context import Provider
from gateway.errors import Unauthenticated
from gateway.http import metric_samples
from gateway.http.cors import OriginPolicy, address_of, authorization_of
from gateway.http.graphql_over_http import RequestError, error_response, parse_headers
from gateway.http.operation_runner import OperationRunner, request_error
from gateway.http.subscriptions import Subscriptions
from gateway.observability import metric_families as families
from gateway.observability.exposition import exposition
from gateway.observability.metric_table import Sample
from gateway.observability.metrics import Metrics

REFUSED = "The scope metrics:read is needed, for all providers."


class MetricsEndpoint:
    """Serves the metrics of all workers."""

    def __init__(
        self,
        metrics: Metrics,
        runner: OperationRunner,
        subscriptions: Subscriptions,
        providers: Mapping[str, Provider],
    ) -> None:
        """Serve these metrics, and the state of what the runner uses."""
        self._metrics = metrics
        self._runner = runner
        self._subscriptions = subscriptions
        self._providers = providers
        self._of_store = metric_samples.StoreSamples(providers)
        metrics.sample = self._samples

    def route(self, authenticator: Authenticator, origins: OriginPolicy) -> Route:
        """Return the route for callers with the scope `metrics:read`."""
        return Route("/metrics", partial(self._checked, authenticator, origins))

    async def _checked(
        self, authenticator: Authenticator, origins: OriginPolicy, request: Request
    ) -> Response:
        try:
            await self._check(authenticator, origins, request)
        except (RequestError, Unauthenticated) as error:
            start, body = error_response(request_error(error))
            response = Response(body, start["status"])
            response.raw_headers = start["headers"]
            return response
        return await self.show(request)

    async def _check(
        self, authenticator: Authenticator, origins: OriginPolicy, request: Request
    ) -> None:
        """Raise `RequestError` or `Unauthenticated` for callers that may not see them."""
        headers = parse_headers(request.scope["headers"])
        authorization = authorization_of(headers)
        if authorization is None:
            # Else a page could read them from a browser on this machine (DNS rebinding).
            origins.check_host(headers)
        address = address_of(request.scope, headers)
        caller = await authenticator.authenticate(authorization, address)
        if not caller.holds_everywhere(Permission.METRICS_READ):
            raise RequestError(403, REFUSED, "FORBIDDEN")

    async def show(self, request: Request) -> Response:
        """Return the metrics, to whoever asks."""
        store = self._runner.store
        shared = () if store is None else await self._of_store.of(store)
        accept = request.headers.get("accept", "")
        text, content_type = exposition(self._metrics.total(shared), accept)
        headers = {"cache-control": "no-store", "content-type": content_type}
        return Response(text, headers=headers)

    def _samples(self) -> Iterable[Sample]:
        yield from metric_samples.of_process()
        now = asyncio.get_running_loop().time()
        for provider in self._providers.values():
            yield from metric_samples.of_provider(provider, now)
        yield from metric_samples.of_caches(self._runner.operations.cache_uses)
        yield Sample(families.SUBSCRIPTIONS.name, (), self._subscriptions.count)
        if self._runner.store is not None:
            yield from metric_samples.of_connections(self._runner.store)
            yield from metric_samples.of_identity(self._runner.store)
        if self._runner.feed is not None:
            yield from metric_samples.of_feed(self._runner.feed)
