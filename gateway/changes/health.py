"""Watch the health of all providers, for the subscriptions of this process together."""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.upstream.provider import Provider

LOOK_S: Final = 0.5
"""How often the states are compared."""


class ProviderState(NamedTuple):
    """What subscribers follow of a provider."""

    status: str
    circuit: str


class HealthWatch:
    """Notices every change that lasts for `LOOK_S`."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        """Watch these providers, by key, which may change. Create it inside the running loop."""
        self.providers = providers
        self.states = self._look()
        self._changed = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())

    async def change(self) -> None:
        """Wait until the state of any provider changes."""
        await self._changed.wait()

    def look(self) -> None:
        """Compare the states now, and wake who waits for a change."""
        states = self._look()
        if states != self.states:
            self.states = states
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def close(self) -> None:
        """Stop watching."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    def _look(self) -> Mapping[str, ProviderState]:
        return {
            key: ProviderState(each.health.status, each.circuit)
            for key, each in self.providers.items()
        }

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
