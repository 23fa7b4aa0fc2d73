"""Guard every upstream call: circuit breaker, rate limit, concurrency limit."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import msgspec
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
from gateway.upstream.resilience.call_budget import MOST_LEASES, CallBudget
from gateway.upstream.resilience.circuit_breaker import Circuit, CircuitBreaker
from gateway.upstream.resilience.rate_limit import RateLimit
from gateway.upstream.silence import Silence

T = TypeVar("T")

WEIGHT = 0.1
"""The weight of the newest call in the moving average of successful calls' durations."""

PATIENCE = 1.1
"""A reader waits this multiple of that average for the probe that it caused: nearly no longer
than without the outage."""

BREAKER_FAILURES = (Unreachable, TimedOut, RateLimited, Broken, Malformed)
"""Failures that the circuit breaker counts; others are due to the caller or the credentials."""

TIMER_PRECISION_S = 0.01
"""How much too early a timer may fire: uvloop counts in milliseconds."""

log = structlog.get_logger(__name__)


class Admission(msgspec.Struct, frozen=True, gc=False):
    """A call that may be sent."""

    at: float
    generation: int
    """The circuit breaker's."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an admitted call ended."""

    failed: bool | None
    """Whether it counts as a failure; None: it was cancelled, or there is a bug."""
    replied: bool
    is_good: bool = False
    """Without error."""


GOOD = Outcome(failed=False, replied=True, is_good=True)
BUG = Outcome(failed=None, replied=True)
CANCELLED = Outcome(failed=None, replied=False)


class UpstreamGuard:
    """Runs calls to one provider, or refuses them before anything is sent."""

    def __init__(self, settings: AccountSettings) -> None:
        """Guard the account with these settings."""
        self.key = settings.key
        self._loop = asyncio.get_running_loop()
        self.breaker = CircuitBreaker(self._report, probe_interval_s=settings.probe_interval_s)
        self.rate_limit = RateLimit()
        self.budget = CallBudget(settings.key)
        self.bulkhead = Bulkhead(settings.max_concurrency, settings.max_queue)
        self._silence = Silence(settings.timeout_s)
        self._timeout_s = settings.timeout_s
        self._calls_per_minute = settings.calls_per_minute
        self._is_limited = "calls_per_minute" in settings.model_fields_set
        self._average_s = settings.timeout_s / 50

    @property
    def calls_per_minute(self) -> int:
        """The rate limit that the provider states, else that of the settings."""
        return self.rate_limit.limit or self._calls_per_minute

    def limit(self, *, is_shared: bool) -> int | None:
        """Return the limit on all calls per minute, of all processes together; None: none.

        It is what the settings say, and what the provider states if other processes call it,
        too: alone, each reply says what is left.
        """
        limits = [self._calls_per_minute] if self._is_limited else []
        if is_shared and self.rate_limit.largest is not None:
            limits.append(self.rate_limit.largest)
        return min(limits, default=None)

    @property
    def patience_s(self) -> float | None:
        """How long a reader waits for a probe; None while the circuit is closed.

        The probe continues without it: the reader that caused it must not wait for a provider
        that is probably still failing.
        """
        return None if self.breaker.is_closed else PATIENCE * self._average_s

    def join(self, operation: str, now: float) -> None:
        """Admit a reader to a call in flight. Raises `Unavailable`."""
        self._silence.count(now)
        if self._is_silent(now):
            wait_s = self.breaker.refusal_s(now)
            raise Unavailable(self.key, operation, retry_after_s=wait_s, was_sent=False)

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until a call may be sent; None: now."""
        waits = (
            self.breaker.refusal_s(now),
            self.rate_limit.refusal_s(now, is_background=False),
        )
        return max((each for each in waits if each is not None), default=None)

    def set_wait(self, error: ProviderError, now: float) -> None:
        """Raise `retry_after_s` to the time at which the gateway itself sends calls again."""
        wait_s = self.wait_s(now) if error.retryable else None
        if wait_s is not None:
            error.retry_after_s = max(error.retry_after_s or 0, wait_s)

    async def run(
        self,
        call: Callable[[], Awaitable[T]],
        operation: str,
        deadline: float,
        *,
        turn: Hashable,
        is_background: bool,
    ) -> T:
        """Make the call if it may be sent now, and record its outcome.

        Requests, distinguished by `turn`, take turns. A call cancelled at its deadline
        counts as a failure if it had at least half of `timeout_s`. Raises `Unavailable`,
        `RateLimited` or `Busy`, with `was_sent` False, and the errors of the call.
        """
        loop = self._loop
        started = loop.time()
        self._silence.count(started)
        self._admit(operation, started, is_background=is_background)
        if not self.bulkhead.try_enter():
            is_full = self.bulkhead.is_full(turn, deadline - started)
            if is_full or not await self.bulkhead.enter(turn):
                raise Busy(self.key, operation, was_sent=False)
            started = loop.time()
            try:
                self._admit(
                    operation, started, is_background=is_background
                )  # may have changed meanwhile
            except ProviderError:
                self.bulkhead.leave(0)
                raise
        if self.budget.terms is not None:
            try:
                await self._spend(operation, is_background=is_background)
            except BaseException:
                self.bulkhead.leave(0)
                raise
            started = loop.time()
        return await self._watch(call, deadline, self._begin(started))

    async def _watch(
        self, call: Callable[[], Awaitable[T]], deadline: float, admission: Admission
    ) -> T:
        """Make an admitted call, and record its outcome."""
        outcome = BUG
        try:
            result = await call()
            outcome = GOOD
        except ProviderError as error:
            outcome = self.outcome(error)
            raise
        except asyncio.CancelledError:
            outcome = self.cancelled(admission, deadline)
            raise
        finally:
            self.end(admission, outcome)
        return result

    def try_begin(
        self, turn: Hashable, now: float, deadline: float, *, is_background: bool
    ) -> "Admission | asyncio.Future[bool] | None":
        """Admit or queue a call, if nothing speaks against it; None: `run` decides.

        Call `take_turn` when a queued call has its turn, and `end` when an admitted one has ended.
        """
        if (
            not self.breaker.is_closed
            or self.budget.terms is not None
            or self.rate_limit.refusal_s(now, is_background=is_background) is not None
        ):
            return None
        bulkhead = self.bulkhead
        is_admitted = bulkhead.try_enter()
        if not is_admitted and bulkhead.is_full(turn, deadline - now):
            return None
        if self._silence.count(now):
            if is_admitted:
                bulkhead.leave(0)
            return None
        return self._begin(now) if is_admitted else bulkhead.queue(turn)

    def take_turn(self, operation: str, *, is_background: bool) -> Admission | None:
        """Admit a queued call that has its turn; None: `run` decides, in another turn.

        Raises as `run` does: much may have changed meanwhile.
        """
        now = self._loop.time()
        try:
            self._admit(operation, now, is_background=is_background)
        except ProviderError:
            self.bulkhead.leave(0)
            raise
        if self.budget.terms is not None:
            self.bulkhead.leave(0)
            return None
        return self._begin(now)

    def _begin(self, now: float) -> Admission:
        self._silence.begin(now)
        breaker = self.breaker
        return Admission(now, breaker.generation if breaker.is_closed else breaker.begin(now))

    def end(self, admission: Admission, outcome: Outcome) -> None:
        """Record how an admitted call ended."""
        ended = self._loop.time()
        took_s = ended - admission.at
        self._silence.end(ended, took_s if outcome.replied else None)
        self.breaker.end(admission.generation, ended, failed=outcome.failed)
        self.bulkhead.leave(took_s)
        if outcome.is_good:
            self._average_s += WEIGHT * (took_s - self._average_s)

    def outcome(self, error: ProviderError) -> Outcome:
        """Return the outcome of a call that failed with this error."""
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            self.rate_limit.block(error.retry_after_s, self._loop.time())
        return Outcome(failed=counts_as_failure(error), replied=error.status is not None)

    def cancelled(self, admission: Admission, deadline: float) -> Outcome:
        """Return that of a call cancelled now: a failure at its deadline, after a fair time."""
        now = self._loop.time()
        is_timeout = is_over(deadline, now) and (now - admission.at) * 2 >= self._timeout_s
        return Outcome(failed=is_timeout or None, replied=False)

    def _is_silent(self, now: float) -> bool:
        """Return whether the provider hangs, and open its circuit if so."""
        is_silent = self.breaker.is_closed and self._silence.is_silent(now)
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

    async def _spend(self, operation: str, *, is_background: bool) -> None:
        """Take a call of the budget that all processes share. Raises `RateLimited`."""
        loop, wait_s = self._loop, None
        for _ in range(MOST_LEASES):
            wait_s = self.budget.refusal_s(loop.time(), is_background=is_background)
            if wait_s is None:
                return
            lender = self.budget.lender
            if wait_s or lender is None:
                break
            await lender.lease()
        raise RateLimited(self.key, operation, retry_after_s=wait_s or None, was_sent=False)

    def _report(self, circuit: Circuit) -> None:
        if circuit is Circuit.OPEN:
            log.warning("circuit opened", provider=self.key)
        else:
            log.info("circuit closed", provider=self.key)


def counts_as_failure(error: ProviderError) -> bool:
    """Return whether the circuit breaker counts this failure."""
    return isinstance(error, BREAKER_FAILURES) and not (
        isinstance(error, Malformed) and error.is_of_one_row
    )


def is_over(deadline: float, now: float) -> bool:
    """Return whether a cancellation now is due to the deadline, not to a disconnected client."""
    return now >= deadline - TIMER_PRECISION_S
