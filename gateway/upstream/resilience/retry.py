"""Decide which failed calls are retried, and when. Pure: randomness is passed in.

Why not stamina: it sleeps by itself, has no retry budget across calls, and does not fail at once
when a wait exceeds the time left.
"""

from collections.abc import Callable
from http import HTTPStatus

from gateway.errors import Broken, ProviderError, RateLimited

MIN_WAIT_S = 0.1
MAX_WAIT_S = 2.0
"""Both are guesses. The wait starts at `MIN_WAIT_S` and doubles with each retry."""

RETRIES_PER_CALL = 0.1
"""What each call adds to the retry budget: an outage adds at most one retry per ten calls."""

MAX_BUDGET = 10.0
"""The largest retry budget, and the initial one."""

TRANSIENT_STATUSES = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
"""The 5xx statuses after which a call may be repeated. Any other may have had an effect."""


def is_transient(error: ProviderError) -> bool:
    """Return whether the same call may succeed a moment later."""
    if isinstance(error, Broken):
        return error.transient and error.status in TRANSIENT_STATUSES
    if isinstance(error, RateLimited):
        # Without a status, the gateway's own rate limit refused the call.
        return error.transient and error.status is not None
    return error.transient


class RetryPolicy:
    """The retries of one provider, and their budget."""

    def __init__(self, max_retries: int, random: Callable[[], float]) -> None:
        """Retry a call at most `max_retries` times; `random` returns 0 to 1."""
        self._max_retries = max_retries
        self._random = random
        self._budget = MAX_BUDGET

    def count_call(self) -> None:
        """Add to the budget for the first attempt of a call."""
        if self._budget < MAX_BUDGET:
            self._budget = min(MAX_BUDGET, self._budget + RETRIES_PER_CALL)

    def wait_s(self, error: ProviderError, retries: int, left_s: float) -> float | None:
        """Return the seconds to wait before an idempotent call is retried; None: do not retry.

        `retries` is the number of retries so far, `left_s` the time left. `Retry-After` is
        honoured, plus a little jitter so that not all calls return at once.
        """
        if retries >= self._max_retries or self._budget < 1 or not is_transient(error):
            return None
        jitter = self._random()
        if error.retry_after_s is None:
            wait_s = min(MIN_WAIT_S * 2.0**retries, MAX_WAIT_S) * (0.5 + jitter / 2)
        else:
            wait_s = error.retry_after_s + MIN_WAIT_S * (0.1 + 0.9 * jitter)
        if wait_s >= left_s:
            return None
        self._budget -= 1
        return wait_s
