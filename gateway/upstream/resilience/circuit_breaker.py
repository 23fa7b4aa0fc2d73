"""A circuit breaker: a provider that fails too often is given a rest, then tried by one call."""

from collections import deque
from collections.abc import Callable
from enum import Enum

WINDOW = 20
"""Calls that the breaker judges by: the newest."""

FEWEST = 5
"""Calls below which it does not judge."""

OPENS_AT = 0.5
"""The failed part of those calls that opens it. All three are guesses: no provider says."""


class Circuit(Enum):
    """Whether calls are let through."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class CircuitBreaker:
    """Counts failures of one provider; pure, times are seconds on any one clock."""

    def __init__(self, changed: Callable[[Circuit], None], *, every_s: float) -> None:
        """Call `changed` when the circuit opens or closes; probe it every so many seconds."""
        self.circuit = Circuit.CLOSED
        self._changed = changed
        self.every_s = every_s
        self._failures: deque[bool] = deque(maxlen=WINDOW)
        self._probe_at = 0.0
        self._probed_at = 0.0
        self._is_probing = False
        # Outcomes of calls that were sent before the last change of state say nothing of now.
        self._era = 0
        self._suspected_era: int | None = None

    def refusal_s(self, now: float) -> float | None:
        """Return after how many seconds the next probe may go; None: a call may go now."""
        if self.circuit is Circuit.CLOSED:
            return None
        if self.circuit is Circuit.OPEN and now < self._probe_at:
            return self._probe_at - now
        return max(self._probed_at + self.every_s - now, 0) if self._is_probing else None

    def suspect(self, now: float) -> None:
        """Open a closed circuit before calls have failed: the provider answers nothing.

        The calls under way go on, and the first of them that ends well closes it again.
        """
        if self.circuit is Circuit.CLOSED:
            self._suspected_era = self._era
            self._open(now + self.every_s)
            self._changed(Circuit.OPEN)

    def enter(self, now: float) -> int:
        """Let a call go that `refusal_s` allows; `leave` takes back what this returns."""
        if self.circuit is Circuit.OPEN and now >= self._probe_at:
            self._become(Circuit.HALF_OPEN)
        self._is_probing = self.circuit is Circuit.HALF_OPEN
        if self._is_probing:
            self._probed_at = now
        return self._era

    def leave(self, era: int, now: float, *, failed: bool | None) -> None:
        """Take in how a call ended; None: it was given up, and says nothing."""
        if era != self._era:
            if failed is False and era == self._suspected_era:
                self._close()
            return
        if self.circuit is Circuit.HALF_OPEN:
            self._is_probing = False
            if failed is not None:
                # From one probe's start to the next's, so that a silent one does not add its time.
                self._open(max(now, self._probed_at + self.every_s)) if failed else self._close()
            return
        if failed is None:
            return
        self._failures.append(failed)
        count = len(self._failures)
        if failed and count >= FEWEST and sum(self._failures) >= count * OPENS_AT:
            self._open(now + self.every_s)
            self._changed(Circuit.OPEN)

    def _open(self, probe_at: float) -> None:
        self._become(Circuit.OPEN)
        self._probe_at = probe_at

    def _close(self) -> None:
        self._suspected_era = None
        self._become(Circuit.CLOSED)
        self._failures.clear()
        self._changed(Circuit.CLOSED)

    def _become(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._is_probing = False
        self._era += 1
