"""Which failed call is made again, and when. Pure: randomness is handed in.

Not stamina: it sleeps on its own clock, and knows neither a budget over many calls nor that a wait
which does not fit into the time left should fail at once.
"""

from collections.abc import Callable
from http import HTTPStatus

from gateway.errors import Broken, ProviderError, RateLimited

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0
"""Both are guesses; the wait doubles from one to the other."""

SHARE = 0.1
"""Retries a call earns its provider: an outage is multiplied by at most 1.1."""

RESERVE = 10.0
"""Retries that can be saved up, and what a start has."""

TRANSIENT_STATUSES = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
"""The 5xx statuses after which a call may be repeated. Any other may have had an effect."""


def is_transient(error: ProviderError) -> bool:
    """Return whether the same call may succeed a moment later."""
    if isinstance(error, Broken):
        return error.transient and error.status in TRANSIENT_STATUSES
    if isinstance(error, RateLimited):
        # Without a status the gateway itself held the call back.
        return error.transient and error.status is not None
    return error.transient


class RetryPolicy:
    """The retries of one provider, and their budget."""

    def __init__(self, most: int, random: Callable[[], float]) -> None:
        """Make a call again at most so many times; `random` is from 0 to 1."""
        self._most = most
        self._random = random
        self._saved = RESERVE

    def earn(self) -> None:
        """Count a call that is made for the first time."""
        self._saved = min(RESERVE, self._saved + SHARE)

    def wait_s(self, error: ProviderError, done: int, left_s: float) -> float | None:
        """Return the seconds to wait before an idempotent call is made again; None: give up.

        `done` is how many retries were made, `left_s` the time left. `Retry-After` is obeyed to
        the second, with a little on top so that not all come back at once.
        """
        if done >= self._most or self._saved < 1 or not is_transient(error):
            return None
        jitter = self._random()
        if error.retry_after_s is None:
            wait_s = min(FIRST_WAIT_S * 2.0**done, LONGEST_WAIT_S) * (0.5 + jitter / 2)
        else:
            wait_s = error.retry_after_s + FIRST_WAIT_S * (0.1 + 0.9 * jitter)
        if wait_s >= left_s:
            return None
        self._saved -= 1
        return wait_s
