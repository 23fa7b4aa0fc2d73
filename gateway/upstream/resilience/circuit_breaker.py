"""A circuit breaker: after too many failures no calls are sent, then one at a time as a probe."""

from collections import deque
from collections.abc import Callable
from enum import Enum

WINDOW = 20
"""The number of newest calls that are judged."""

MIN_CALLS = 5
"""With fewer calls the circuit stays closed."""

FAILURE_SHARE = 0.5
"""The share of failed calls that opens the circuit. All three are guesses: no provider says."""


class Circuit(Enum):
    """The states of a circuit breaker."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class CircuitBreaker:
    """Counts failures of one provider; pure, times are seconds on any one clock."""

    def __init__(self, on_change: Callable[[Circuit], None], *, probe_interval_s: float) -> None:
        """Call `on_change` when the circuit opens or closes."""
        self.circuit = Circuit.CLOSED
        self.is_closed = True  # a member of an enum takes 0.1 µs in Python 3.11
        self._on_change = on_change
        self.probe_interval_s = probe_interval_s
        self._failures: deque[bool] = deque(maxlen=WINDOW)
        self._probe_at = 0.0
        self._probed_at = 0.0
        self._is_probing = False
        # Calls sent before the last change of state say nothing about the present one.
        self.generation = 0
        self._suspected_generation: int | None = None

    def refusal_s(self, now: float) -> float | None:
        """Return the seconds until the next probe; None: a call may be sent now."""
        if self.is_closed:
            return None
        if self.circuit is Circuit.OPEN and now < self._probe_at:
            return self._probe_at - now
        return max(self._probed_at + self.probe_interval_s - now, 0) if self._is_probing else None

    def is_open(self, now: float) -> bool:
        """Return whether a call sent now is refused."""
        return self.refusal_s(now) is not None

    def suspect(self, now: float) -> None:
        """Open a closed circuit before calls have failed: the provider does not reply.

        Calls under way continue, and the first that succeeds closes the circuit again.
        """
        if self.is_closed:
            self._suspected_generation = self.generation
            self._open(now + self.probe_interval_s)
            self._on_change(Circuit.OPEN)

    def begin(self, now: float) -> int:
        """Record that a call is sent which `refusal_s` allows; pass the result to `end`."""
        if self.is_closed:
            return self.generation
        if self.circuit is Circuit.OPEN and now >= self._probe_at:
            self._become(Circuit.HALF_OPEN)
        self._is_probing = self.circuit is Circuit.HALF_OPEN
        if self._is_probing:
            self._probed_at = now
        return self.generation

    def end(self, generation: int, now: float, *, failed: bool | None) -> None:
        """Record how a call ended. `failed` is None if it was cancelled."""
        if generation != self.generation:
            if failed is False and generation == self._suspected_generation:
                self._close()
            return
        if not self.is_closed and self.circuit is Circuit.HALF_OPEN:
            self._is_probing = False
            if failed is not None:
                # Between starts of probes, so that a hanging probe does not delay the next.
                self._open(
                    max(now, self._probed_at + self.probe_interval_s)
                ) if failed else self._close()
            return
        if failed is None:
            return
        self._failures.append(failed)
        if not failed:
            return
        count = len(self._failures)
        if count >= MIN_CALLS and sum(self._failures) >= count * FAILURE_SHARE:
            self._open(now + self.probe_interval_s)
            self._on_change(Circuit.OPEN)

    def _open(self, probe_at: float) -> None:
        self._become(Circuit.OPEN)
        self._probe_at = probe_at

    def _close(self) -> None:
        self._suspected_generation = None
        self._become(Circuit.CLOSED)
        self._failures.clear()
        self._on_change(Circuit.CLOSED)

    def _become(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.is_closed = circuit is Circuit.CLOSED
        self._is_probing = False
        self.generation += 1
