"""Make calls within a share of a provider's rate limit."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from gateway.auth.permissions import unrestricted_caller
from gateway.providers.base.adapter import SignsIn
from gateway.providers.base.exchange import Exchange, ReadPlan
from gateway.request_scope import Scope
from gateway.store.shared_calls import SharedCalls
from gateway.upstream.provider import Provider

PART: Final = 10
"""The divisor of the rate limit: the share is a tenth."""
WINDOW_S: Final = 60.0
MOST_ATTEMPTS: Final = 4
"""What one call may take with a sign-in: sign in, call, sign in again, call again."""
READ_S: Final = 60.0
"""How long one call may take, the wait for a free connection included."""

T = TypeVar("T")


class Share(NamedTuple):
    """At most so many calls in any window of this length."""

    calls: int
    window_s: float

    @classmethod
    def of(cls, calls_per_minute: int) -> "Share":
        """Return the share of a rate limit; of a small one it is one call in a longer time."""
        calls = calls_per_minute // PART
        if calls:
            return cls(calls, WINDOW_S)
        return cls(1, WINDOW_S * PART / calls_per_minute)


class SharedProvider:
    """A provider that is called within its share, past the cache, one call at a time."""

    def __init__(
        self,
        provider: Provider,
        calls: SharedCalls,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Count its calls in the store; `sleep` waits for so many seconds."""
        self.provider = provider
        self._sleep = sleep
        self._calls = calls
        self._most = MOST_ATTEMPTS if provider.offers(SignsIn) else 1

    async def read(self, plan: ReadPlan[T]) -> T:
        """Read by a plan, when the share has a call left.

        A reading of the gateway's own store is no call. Raises `GatewayError`.
        """
        loop = asyncio.get_running_loop()
        if not isinstance(plan, Exchange):
            return await self.provider.read(plan, _scope(loop.time()))
        while True:
            share = Share.of(self.provider.calls_per_minute)
            most = min(self._most, share.calls)
            taken = await self._calls.take(self.provider.key, most, *share)
            if not taken.wait_s:
                break
            await self._sleep(taken.wait_s)
        scope = _scope(loop.time())
        try:
            return await self.provider.send(plan, scope)
        finally:
            self._calls.settle(self.provider.key, taken, len(scope.calls))


def _scope(now: float) -> Scope:
    caller = unrestricted_caller("gateway")
    return Scope(uuid.uuid4().hex, now + READ_S, caller, is_background=True)
