"""How many more calls a provider allows, learned from its answers. Pure: times are handed in."""

from gateway.providers.base.adapter import RateLimitStatus

LOW = 0.1
"""The part of the limit below which work that nobody waits for, and retries, stand back."""

LOW_FOR_S = 60.0
"""How long that is believed without a newer answer: limits are by the minute."""

LONGEST_S = 60.0
"""How long a provider is believed that it allows no calls; then one asks it again."""


class RateLimit:
    """One provider's budget of calls; `now` is seconds on the loop's clock."""

    def __init__(self) -> None:
        """Know of no limit."""
        self._blocked_until = 0.0
        self._low_until = 0.0

    def note(self, told: RateLimitStatus, unix_now: float, now: float) -> None:
        """Take in what an answer told; `unix_now` is the wall clock, which `resets_at` is on."""
        is_low = told.remaining < told.limit * LOW
        self._low_until = now + LOW_FOR_S if is_low else 0.0
        if told.remaining <= 0:
            self.block(told.resets_at - unix_now, now)

    def block(self, seconds: float, now: float) -> None:
        """Allow no call for so long (`Retry-After`), or a minute if that is less."""
        until = now + min(max(seconds, 0), LONGEST_S)
        self._blocked_until = max(self._blocked_until, until)

    def refusal_s(self, now: float, *, is_background: bool) -> float | None:
        """Return after how many seconds to ask again; None: a call may go."""
        if now < self._blocked_until:
            return self._blocked_until - now
        return self._low_until - now if is_background and now < self._low_until else None

    def is_low(self, now: float) -> bool:
        """Tell whether few calls are left: none is spent on a retry."""
        return now < self._low_until
