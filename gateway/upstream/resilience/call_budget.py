"""A provider's calls per minute, of which each process that calls it holds a slice."""

from typing import Final, Protocol

from gateway.limits.slices import Slice, Terms
from gateway.upstream.resilience.rate_limit import LOW

WINDOW_S: Final = 60.0
MOST_LEASES: Final = 5
"""How often one call waits for a slice."""


class Lender(Protocol):
    """Exchanges slices with the store."""

    def soon(self, part: Slice, terms: Terms) -> None:
        """Exchange this slice soon: it is nearly used up."""

    async def lease(self) -> None:
        """Wait for the next exchange."""


class CallBudget:
    """The calls that this process may make; times are on the event loop's clock."""

    def __init__(self, key: str) -> None:
        """Make as many calls as are wanted, until there is a limit."""
        self.slice = Slice(f"calls {key}")
        self.terms: Terms | None = None
        """What all processes together may do; None: there is no limit."""
        self.lender: Lender | None = None
        """Where slices come from; None: this process keeps its part of the limit itself."""
        self._part = 1.0
        self._refilled_at = 0.0

    def limit(self, terms: Terms, lender: Lender, now: float) -> None:
        """Take slices of this limit."""
        if self.lender is None and self.terms is not None:
            self._refill(self.terms, now)
            self.slice.share_again(self.terms, self._part, now)
        self.terms, self.lender = terms, lender

    def keep_part(self, part: float, now: float) -> None:
        """Keep this part of the limit: the store cannot be used."""
        if self.terms is not None and self.lender is not None:
            self.slice.keep_alone(self.terms, part, now)
            self._refilled_at = now
        self.lender, self._part = None, part

    def no_limit(self) -> None:
        """Make as many calls as are wanted."""
        self.terms = self.lender = None
        self.slice.have = self.slice.owed = self.slice.start = 0.0

    def refusal_s(self, now: float, *, is_background: bool) -> float | None:
        """Take a call; return None, or the seconds until it may be made if there is none now.

        0: wait for a lease, and try again. With few calls left, those of background work are
        refused.
        """
        terms, own = self.terms, self.slice
        if terms is None:
            return None
        if self.lender is None:
            self._refill(terms, now)
        elif is_background and own.balance(terms, now) < terms.most * LOW:
            return WINDOW_S * LOW
        if own.have < 1 and (self.lender is None or not own.take_ahead(1, terms, now)):
            return self._wait_s(terms, now)
        own.have -= 1
        if self.lender is not None and own.is_low():
            self.lender.soon(own, terms)
        return None

    def _wait_s(self, terms: Terms, now: float) -> float:
        if self.lender is None:
            return (1 - self.slice.have) / (terms.per_s * self._part)
        if self.slice.is_used_up(now):
            return self.slice.refusal_s(1, terms, now)
        self.slice.need = 1
        self.lender.soon(self.slice, terms)
        return 0.0

    def charge(self) -> None:
        """Count a call that cannot be refused any more."""
        if self.terms is not None:
            self.slice.have -= 1

    def _refill(self, terms: Terms, now: float) -> None:
        most = max(terms.most * self._part, 1.0)
        refilled = self.slice.have + (now - self._refilled_at) * terms.per_s * self._part
        self.slice.have, self._refilled_at = min(refilled, most), now
