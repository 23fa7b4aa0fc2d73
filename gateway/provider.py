"""A provider as the gateway uses it: what it can do (its adapter) and how to reach it."""

from collections.abc import Sequence
from typing import Any, TypeVar

from gateway.adapter import Adapter, Capability, capabilities
from gateway.errors import Unsupported
from gateway.health import Health
from gateway.scope import Scope
from gateway.transport import Upstream
from gateway.wire import Exchange

T = TypeVar("T")
P = TypeVar("P")


class Provider:
    """One configured account of one kind of provider."""

    def __init__(self, adapter: Adapter, upstream: Upstream, display_name: str) -> None:
        """Join an account's rules and its connection."""
        self.key = upstream.key
        self.kind = adapter.kind
        self.display_name = display_name
        self.adapter: Any = adapter
        self.capabilities: Sequence[Capability] = capabilities(adapter)
        self.limits = adapter.limits
        self._upstream = upstream
        self._offers: dict[type, bool] = {}

    def __repr__(self) -> str:
        """Show key and kind."""
        return f"Provider({self.key!r}, {self.kind!r})"

    @property
    def health(self) -> Health:
        """What the newest calls say of it."""
        return self._upstream.health

    def offers(self, protocol: type) -> bool:
        """Tell whether the provider can do what this protocol of `gateway.adapter` says."""
        found = self._offers.get(protocol)
        if found is None:
            found = self._offers[protocol] = isinstance(self.adapter, protocol)
        return found

    def wanted(self, protocol: type[P], operation: str) -> P:
        """Return the adapter as this protocol; raise `Unsupported` when it is not one."""
        if not self.offers(protocol):
            raise Unsupported(self.key, operation)
        adapter: P = self.adapter
        return adapter

    async def send(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make one call. Raises `ProviderError`."""
        return await self._upstream.send(exchange, scope)

    async def close(self) -> None:
        """Close its connections."""
        await self._upstream.close()
