"""A configured provider: its adapter and its connection."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, TypeVarTuple

import structlog

from gateway.domain.entities import Origin
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import Broken, GatewayError, Unsupported, settled
from gateway.providers.base.adapter import Adapter, ListsSegments
from gateway.providers.base.capabilities import Capability, capabilities
from gateway.providers.base.exchange import Exchange, ReadPlan
from gateway.providers.base.store_lookup import Lookup, Recall
from gateway.request_scope import Scope
from gateway.store.errors import StoreFailed
from gateway.store.reporting import report
from gateway.upstream.client import UpstreamClient
from gateway.upstream.health import Health, HealthReport, worst_circuit
from gateway.upstream.keyed_locks import KeyedLocks

T = TypeVar("T")
P = TypeVar("P")
Q = TypeVarTuple("Q")

log = structlog.get_logger(__name__)

MAX_CACHED_PLANS = 512
"""The number of read plans of one provider that are reused."""


class Provider:
    """One configured account of one kind of provider."""

    def __init__(
        self,
        adapter: Adapter,
        upstream: UpstreamClient,
        display_name: str,
        look_up: Callable[[str, Lookup, float], Awaitable[Any]] | None = None,
    ) -> None:
        """Combine an adapter and a connection.

        `look_up` reads from the gateway's store what the provider cannot report: it receives the
        provider's key, the lookup, and the request's deadline.
        """
        self.key = upstream.key
        self.kind = adapter.kind
        self.display_name = display_name
        self.adapter: Any = adapter
        self.capabilities: Sequence[Capability] = capabilities(adapter)
        self.limits = adapter.limits
        self.origin = origin_of(adapter)
        self.customer_locks = KeyedLocks()
        """By customer: held while one is changed who was read before."""
        self.upstream = upstream
        self.elsewhere: Sequence[HealthReport] = ()
        """The health that the other processes of the store report."""
        self.recalls = 0
        """How many reads the gateway's store has served."""
        self._look_up = look_up
        self._offers: dict[type, bool] = {}
        self._plan = lru_cache(MAX_CACHED_PLANS)(_call)

    def __repr__(self) -> str:
        """Show key and kind."""
        return f"Provider({self.key!r}, {self.kind!r})"

    @property
    def health(self) -> Health:
        """Outcomes and latencies of the newest calls, those of other processes included."""
        health = self.upstream.health
        return health.joined(self.elsewhere) if self.elsewhere else health

    def offers(self, protocol: type) -> bool:
        """Return whether the adapter implements this protocol."""
        is_offered = self._offers.get(protocol)
        if is_offered is None:
            is_offered = self._offers[protocol] = isinstance(self.adapter, protocol)
        return is_offered

    def require(self, protocol: type[P], operation: str) -> P:
        """Return the adapter as this protocol. Raises `Unsupported` if it is not one."""
        if not self.offers(protocol):
            raise Unsupported(self.key, operation)
        adapter: P = self.adapter
        return adapter

    def plan(self, method: Callable[[*Q], T], *args: *Q) -> T:
        """Return the plan that an adapter's method builds from these arguments.

        Adapters are pure, so recent plans are reused: this saves building them, and concurrent
        readers of the same exchange share the value that is read. Raises `GatewayError`: a bug of
        the adapter is `Broken`, because it must affect only this provider's part of a response.
        """
        try:
            plan: T = self._plan(method, *args)
        except GatewayError:
            raise
        except Exception as error:
            operation = getattr(method, "__name__", "plan")
            log.exception("adapter failed", provider=self.key, operation=operation)
            raise Broken(self.key, operation, was_sent=False) from error
        return plan

    @property
    def check(self) -> Exchange[Any] | None:
        """A cheap read that says whether the provider works; None: it cannot be read.

        Raises `GatewayError`.
        """
        if not self.offers(ListsSegments):
            return None
        plan = self.plan(self.adapter.segments, EVERY_SEGMENT, PageRequest(1))
        return plan if isinstance(plan, Exchange) else None

    @property
    def circuit(self) -> str:
        """The circuit breaker: CLOSED, OPEN or HALF_OPEN, the worst among the processes."""
        if not self.elsewhere:
            return self.upstream.guard.breaker.circuit.value
        return worst_circuit([self.own_report, *self.elsewhere])

    @property
    def own_report(self) -> HealthReport:
        """What this process alone knows, for the others. Needs the running loop."""
        breaker, now = self.upstream.guard.breaker, asyncio.get_running_loop().time()
        return self.upstream.health.report(breaker.circuit.value, is_refusing=breaker.is_open(now))

    @property
    def calls_per_minute(self) -> int:
        """Its rate limit: what it states itself, else the account's setting."""
        return self.upstream.guard.calls_per_minute

    async def send(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make one call, neither cached nor shared. Raises `ProviderError`."""
        return await self.upstream.send(exchange, scope)

    def read(self, plan: ReadPlan[T], scope: Scope) -> Awaitable[T]:
        """Read from the provider, the cache or the store. Raises `ProviderError`."""
        if isinstance(plan, Recall):
            return self._recall(plan, scope)
        return self.upstream.read(plan, scope)

    async def _recall(self, recall: Recall[T], scope: Scope) -> T:
        if self._look_up is None:
            raise Unsupported(self.key, recall.operation)
        self.recalls += 1
        try:
            return recall.read(await self._look_up(self.key, recall.lookup, scope.deadline))
        except StoreFailed as error:
            if scope.is_first_report(self.key, StoreFailed):
                report(error, scope.request_id)
            raise

    async def read_all(
        self, plans: Sequence[ReadPlan[T]], scope: Scope
    ) -> Sequence[T | GatewayError]:
        """Read all of these concurrently; return in order what `read` returns or raises."""
        exchanges = [plan for plan in plans if isinstance(plan, Exchange)]
        if len(exchanges) == len(plans):
            return await self.upstream.read_all(exchanges, scope)
        # The store reads one lookup at a time.
        return [await settled(self.read(plan, scope)) for plan in plans]

    def invalidate(self) -> None:
        """Drop the cached replies: something at the provider was changed."""
        self.upstream.invalidate()

    async def close(self) -> None:
        """Close its connections."""
        await self.upstream.close()


def _call(method: Callable[..., T], *args: Hashable) -> T:
    return method(*args)


def origin_of(adapter: Adapter) -> Origin:
    """Return LIVE if the adapter reads from the provider, RECORDED if from the gateway's store."""
    if isinstance(adapter, ListsSegments):
        plan = adapter.segments(EVERY_SEGMENT, PageRequest(1))
        if isinstance(plan, Recall):
            return Origin.RECORDED
    return Origin.LIVE
