"""Detect a provider that hangs before any call to it has timed out.

A circuit breaker counts calls that have ended. Equal reads share one call, so a provider that
never replies fails only once per `timeout_s` while every caller waits. So callers are counted: a
provider is silent when several arrived since its last reply, and that reply was long ago.
"""

MIN_CALLERS = 5
"""With fewer callers waiting a provider is never silent."""

TIMEOUT_SHARE = 0.5
"""The share of `timeout_s` without any reply after which a provider is silent."""

SLOWEST_FACTOR = 1.5
"""A slow provider may take this multiple of its recent slowest reply. All are guesses."""

WEIGHT = 0.1
"""The weight of a new reply in the recent slowest one, when it is faster."""


class Silence:
    """Counts the callers waiting for one provider. Pure: times are seconds on any one clock."""

    def __init__(self, timeout_s: float) -> None:
        """Judge a provider whose calls take at most `timeout_s`."""
        self._longest_s = timeout_s * TIMEOUT_SHARE
        self._slowest_s = 0.0
        self._under_way = 0
        self._callers = 0
        self._since: float | None = None

    def count(self, now: float) -> bool:
        """Count a caller about to wait for a reply, shared or not; return `is_silent`."""
        self._callers += 1
        return self._callers >= MIN_CALLERS and self.is_silent(now)

    def begin(self, now: float) -> None:
        """Record that a call is sent."""
        if not self._under_way:
            self._since, self._callers = now, self._callers or 1
        self._under_way += 1

    def end(self, now: float, took_s: float | None) -> None:
        """Record that a call ended, with a reply after `took_s`; None: without one."""
        self._under_way -= 1
        if took_s is not None:
            slower_s = took_s - self._slowest_s
            self._slowest_s += slower_s if slower_s > 0 else WEIGHT * slower_s
        elif self._under_way:
            return
        self._since = now if self._under_way else None
        self._callers = 0

    def is_silent(self, now: float) -> bool:
        """Return whether another caller should fail rather than wait."""
        if self._since is None or self._callers < MIN_CALLERS:
            return False
        silent_s = now - self._since
        return silent_s >= self._longest_s and silent_s >= SLOWEST_FACTOR * self._slowest_s
