"""A provider as the gateway uses it: what it can do (its adapter) and how to reach it."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, TypeVarTuple

from gateway.domain.entities import Origin
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import GatewayError, Unsupported, settled
from gateway.providers.base.adapter import Adapter, ListsSegments
from gateway.providers.base.capabilities import Capability, capabilities
from gateway.providers.base.exchange import Exchange, ReadPlan
from gateway.providers.base.store_lookup import Lookup, Recall
from gateway.request_scope import Scope
from gateway.store.errors import StoreFailed
from gateway.store.reporting import report
from gateway.upstream.client import UpstreamClient
from gateway.upstream.health import Health

T = TypeVar("T")
P = TypeVar("P")
Q = TypeVarTuple("Q")

MOST_QUESTIONS = 512
"""Questions to a provider whose exchanges are kept."""


class Provider:
    """One configured account of one kind of provider."""

    def __init__(
        self,
        adapter: Adapter,
        upstream: UpstreamClient,
        display_name: str,
        record: Callable[[str, Lookup, float], Awaitable[Any]] | None = None,
    ) -> None:
        """Join an account's rules and its connection; `record` answers what it cannot tell.

        It is given the provider's key, the lookup, and the request's deadline.
        """
        self.key = upstream.key
        self.kind = adapter.kind
        self.display_name = display_name
        self.adapter: Any = adapter
        self.capabilities: Sequence[Capability] = capabilities(adapter)
        self.limits = adapter.limits
        self.origin = origin_of(adapter)
        self._upstream = upstream
        self._record = record
        self._offers: dict[type, bool] = {}
        self._exchange = lru_cache(MOST_QUESTIONS)(_answer)

    def __repr__(self) -> str:
        """Show key and kind."""
        return f"Provider({self.key!r}, {self.kind!r})"

    @property
    def health(self) -> Health:
        """What the newest calls say of it."""
        return self._upstream.health

    def offers(self, protocol: type) -> bool:
        """Tell whether the provider can do what this protocol of `adapter` says."""
        found = self._offers.get(protocol)
        if found is None:
            found = self._offers[protocol] = isinstance(self.adapter, protocol)
        return found

    def require(self, protocol: type[P], operation: str) -> P:
        """Return the adapter as this protocol; raise `Unsupported` when it is not one."""
        if not self.offers(protocol):
            raise Unsupported(self.key, operation)
        adapter: P = self.adapter
        return adapter

    def plan(self, ask: Callable[[*Q], T], *question: *Q) -> T:
        """Return what a method of the adapter asks by.

        Adapters are pure: an equal question gets the very same exchange, as long as it is one of
        the newest. So it costs nothing, and who asks at the same time shares what is read.
        """
        asked: T = self._exchange(ask, *question)
        return asked

    @property
    def circuit(self) -> str:
        """Whether calls are let through: CLOSED, OPEN or HALF_OPEN."""
        return self._upstream.guard.breaker.circuit.value

    async def send(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make one call, now and for this caller alone. Raises `ProviderError`."""
        return await self._upstream.send(exchange, scope)

    def read(self, asked: ReadPlan[T], scope: Scope) -> Awaitable[T]:
        """Read, maybe with others or from a short memory. Raises `ProviderError`."""
        if isinstance(asked, Recall):
            return self._recall(asked, scope)
        return self._upstream.read(asked, scope)

    async def _recall(self, asked: Recall[T], scope: Scope) -> T:
        if self._record is None:
            raise Unsupported(self.key, asked.operation)
        try:
            return asked.read(await self._record(self.key, asked.lookup, scope.deadline))
        except StoreFailed as error:
            if scope.is_first_report(self.key, StoreFailed):
                report(error, scope.request_id)
            raise

    async def read_all(
        self, asked: Sequence[ReadPlan[T]], scope: Scope
    ) -> Sequence[T | GatewayError]:
        """Read all these at once: for each, in order, what `read` returns or raises."""
        exchanges = [each for each in asked if isinstance(each, Exchange)]
        if len(exchanges) == len(asked):
            return await self._upstream.read_all(exchanges, scope)
        # The record answers one question after the other.
        return [await settled(self.read(each, scope)) for each in asked]

    def invalidate(self) -> None:
        """Drop what is remembered of it: something there was changed."""
        self._upstream.invalidate()

    async def close(self) -> None:
        """Close its connections."""
        await self._upstream.close()


def _answer(ask: Callable[..., T], *question: Hashable) -> T:
    return ask(*question)


def origin_of(adapter: Adapter) -> Origin:
    """Return where what is read of a provider comes from: the provider, or our record."""
    if isinstance(adapter, ListsSegments):
        asked = adapter.segments(EVERY_SEGMENT, PageRequest(1))
        if isinstance(asked, Recall):
            return Origin.RECORDED
    return Origin.LIVE
