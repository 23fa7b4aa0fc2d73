"""How many more calls a provider allows, as its replies state. Pure: times are passed in."""

from gateway.providers.base.adapter import RateLimitStatus

LOW = 0.1
"""The share of the limit below which background calls and retries are not made."""

LOW_FOR_S = 60.0
"""How long a low limit is assumed without a newer reply; see `RateLimitStatus.limit`."""

MAX_BLOCK_S = 60.0
"""How long a provider may block all calls before one is tried again."""


class RateLimit:
    """One provider's rate limit; `now` is seconds on the event loop's clock."""

    def __init__(self) -> None:
        """Start without a known limit."""
        self._blocked_until = 0.0
        self._low_until = 0.0
        self._status: RateLimitStatus | None = None
        self._stated_at = 0.0
        self.largest: int | None = None
        """The largest limit that the provider has stated: some replies state one of their kind."""

    def note(self, status: RateLimitStatus, unix_now: float, now: float) -> None:
        """Record the status in a reply; `unix_now` is the wall clock, as is `resets_at`."""
        self._status, self._stated_at = status, now
        self.largest = max(self.largest or 0, status.limit) or None
        is_low = status.remaining < status.limit * LOW
        self._low_until = now + LOW_FOR_S if is_low else 0.0
        if status.remaining <= 0:
            self.block(status.resets_at - unix_now, now)

    @property
    def limit(self) -> int | None:
        """The limit that the provider last stated; None: never."""
        return None if self._status is None else self._status.limit

    def stated(self, now: float) -> RateLimitStatus | None:
        """Return what the provider last stated; None: nothing within a minute."""
        return self._status if now - self._stated_at < LOW_FOR_S else None

    def block(self, seconds: float, now: float) -> None:
        """Block all calls for this time (`Retry-After`), at most `MAX_BLOCK_S`."""
        until = now + min(max(seconds, 0), MAX_BLOCK_S)
        self._blocked_until = max(self._blocked_until, until)

    def refusal_s(self, now: float, *, is_background: bool) -> float | None:
        """Return the seconds until a call may be sent; None: now."""
        if now < self._blocked_until:
            return self._blocked_until - now
        return self._low_until - now if is_background and now < self._low_until else None

    def is_low(self, now: float) -> bool:
        """Return whether few calls are left: then none is retried."""
        return now < self._low_until
