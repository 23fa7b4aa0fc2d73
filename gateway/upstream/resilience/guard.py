"""What stands before every call to one provider: its breaker, its budget of calls, its places."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from gateway.errors import (
    Broken,
    Busy,
    Malformed,
    ProviderError,
    RateLimited,
    TimedOut,
    Unavailable,
    Unreachable,
)
from gateway.providers.base.settings import AccountSettings
from gateway.upstream.resilience.bulkhead import Bulkhead
from gateway.upstream.resilience.circuit_breaker import Circuit, CircuitBreaker
from gateway.upstream.resilience.rate_limit import RateLimit
from gateway.upstream.silence import Silence

T = TypeVar("T")

WEIGHT = 0.1
"""Of the newest call in the running mean of how long one takes that goes well."""

PATIENCE = 1.5
"""So many times that long a reader waits for the probe that it caused."""

BREAKER_FAILURES = (Unreachable, TimedOut, RateLimited, Broken, Malformed)
"""What the circuit breaker counts; the others are the caller's fault or the credentials'."""

NEARLY_S = 0.01
"""How much before its time a timer may fire: uvloop counts in milliseconds."""

log = structlog.get_logger(__name__)


class UpstreamGuard:
    """Lets calls to one provider through, or refuses them before anything is sent."""

    def __init__(self, settings: AccountSettings) -> None:
        """Guard the account of these settings."""
        self.key = settings.key
        self.breaker = CircuitBreaker(self._report, every_s=settings.probe_interval_s)
        self.rate_limit = RateLimit()
        self.bulkhead = Bulkhead(settings.max_concurrency, settings.max_queue)
        self._silence = Silence(settings.timeout_s)
        self._timeout_s = settings.timeout_s
        self._usual_s = settings.timeout_s / 50

    @property
    def patience_s(self) -> float | None:
        """How long a reader should wait before it is told that the provider rests.

        None while the circuit is closed. The probe goes on by itself: who happened to cause it
        shall not wait for a provider that is likely to be sick still.
        """
        return None if self.breaker.circuit is Circuit.CLOSED else PATIENCE * self._usual_s

    def join(self, operation: str, now: float) -> None:
        """Admit somebody to a call that is under way already. Raises `Unavailable`."""
        self._silence.count()
        if self._is_silent(now):
            wait_s = self.breaker.refusal_s(now)
            raise Unavailable(self.key, operation, retry_after_s=wait_s, was_sent=False)

    def wait_s(self, now: float) -> float | None:
        """Return for how long no call will be let through; None: one may go now."""
        waits = (
            self.breaker.refusal_s(now),
            self.rate_limit.refusal_s(now, is_background=False),
        )
        return max((each for each in waits if each is not None), default=None)

    def set_wait(self, error: ProviderError, now: float) -> None:
        """Have a failure say when the gateway itself calls again, where that is later."""
        wait_s = self.wait_s(now) if error.retryable else None
        if wait_s is not None:
            error.retry_after_s = max(error.retry_after_s or 0, wait_s)

    async def through(
        self,
        call: Callable[[], Awaitable[T]],
        operation: str,
        deadline: float,
        *,
        request_id: str,
        is_background: bool,
    ) -> T:
        """Make the call if the provider may be called now, and note how it went.

        Requests, told apart by `request_id`, take turns. Cancelled at the deadline, the provider
        is to blame, unless others used the time up. Raises `Unavailable`, `RateLimited` or `Busy`,
        with `was_sent` False, and what the call raises.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._silence.count()
        self._admit(operation, started, is_background=is_background)
        if not self.bulkhead.take():
            is_full = self.bulkhead.is_full(request_id, deadline - started)
            if is_full or not await self.bulkhead.enter(request_id):
                raise Busy(self.key, operation, was_sent=False)
            started = loop.time()
            try:
                self._admit(operation, started, is_background=is_background)  # much happens there
            except ProviderError:
                self.bulkhead.leave(0)
                raise
        era = self.breaker.enter(started)
        self._silence.begin(started)
        failed: bool | None = None
        answered = True
        try:
            answer = await call()
            failed = False
        except ProviderError as error:
            answered = error.status is not None
            failed = is_sick(error)
            if isinstance(error, RateLimited) and error.retry_after_s is not None:
                self.rate_limit.block(error.retry_after_s, loop.time())
            raise
        except asyncio.CancelledError:
            answered, now = False, loop.time()
            if is_over(deadline, now) and (now - started) * 2 >= self._timeout_s:
                failed = True
            raise
        finally:
            ended = loop.time()
            self._silence.end(started, ended, answered=answered)
            self.breaker.leave(era, ended, failed=failed)
            self.bulkhead.leave(ended - started)
        self._usual_s += WEIGHT * (ended - started - self._usual_s)
        return answer

    def _is_silent(self, now: float) -> bool:
        """Tell whether the provider hangs; then its circuit is open from now on."""
        is_silent = self.breaker.circuit is Circuit.CLOSED and self._silence.is_silent(now)
        if is_silent:
            self.breaker.suspect(now)
        return is_silent

    def _admit(self, operation: str, now: float, *, is_background: bool) -> None:
        self._is_silent(now)
        wait_s = self.breaker.refusal_s(now)
        if wait_s is not None:
            raise Unavailable(self.key, operation, retry_after_s=wait_s, was_sent=False)
        wait_s = self.rate_limit.refusal_s(now, is_background=is_background)
        if wait_s is not None:
            raise RateLimited(self.key, operation, retry_after_s=wait_s, was_sent=False)

    def _report(self, circuit: Circuit) -> None:
        if circuit is Circuit.OPEN:
            log.warning("circuit opened", provider=self.key)
        else:
            log.info("circuit closed", provider=self.key)


def is_sick(error: ProviderError) -> bool:
    """Tell whether a failure says that the provider is not well."""
    return isinstance(error, BREAKER_FAILURES) and not (
        isinstance(error, Malformed) and error.is_of_one_row
    )


def is_over(deadline: float, now: float) -> bool:
    """Tell whether a cancellation now is the deadline's, and not a caller's who hung up."""
    return now >= deadline - NEARLY_S
