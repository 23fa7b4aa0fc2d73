"""Notices a provider that hangs before any call to it has timed out.

A circuit breaker counts calls that have ended. Equal reads share one call, so that a provider that
never answers fails but once in each `timeout_s`, while every caller waits. So callers are counted
here: when several came since anything was answered, and that was long ago, it is silent.
"""

FEWEST = 5
"""Callers below which nothing is concluded."""

SHARE = 0.5
"""The part of `timeout_s` without any answer after which a provider is silent …"""

TIMES = 1.5
"""… unless its answers take long: then so many times the slowest of late. All are guesses."""

WEIGHT = 0.1
"""Of the newest answer in what is remembered of a slower one."""


class Silence:
    """Counts who waits for one provider; pure, times are seconds on any one clock."""

    def __init__(self, timeout_s: float) -> None:
        """Judge a provider whose calls take at most so long."""
        self._longest_s = timeout_s * SHARE
        self._slowest_s = 0.0
        self._under_way = 0
        self._callers = 0
        self._since: float | None = None

    def count(self) -> None:
        """Take in somebody who is about to wait for an answer, shared or not."""
        self._callers += 1

    def begin(self, now: float) -> None:
        """Take in a call that is sent."""
        if not self._under_way:
            self._since, self._callers = now, max(self._callers, 1)
        self._under_way += 1

    def end(self, started: float, now: float, *, answered: bool) -> None:
        """Take in how a call ended that was sent at `started`."""
        self._under_way -= 1
        if answered:
            took_s = now - started
            self._slowest_s += (1 if took_s > self._slowest_s else WEIGHT) * (
                took_s - self._slowest_s
            )
        if answered or not self._under_way:
            self._since = now if self._under_way else None
            self._callers = 0

    def is_silent(self, now: float) -> bool:
        """Tell whether somebody new should rather not wait."""
        return (
            self._since is not None
            and self._callers >= FEWEST
            and now - self._since >= max(self._longest_s, TIMES * self._slowest_s)
        )
