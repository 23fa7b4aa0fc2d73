"""A provider's health, judged by its newest calls, of this process or of several."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.errors import ProviderError, Refused

HEALTH_WINDOW = 50
"""The number of newest calls that a provider's health is judged by."""

WORST_FIRST: Final = ("OPEN", "HALF_OPEN", "CLOSED")
"""The states of a circuit."""


class HealthReport(msgspec.Struct, frozen=True):
    """What one process tells others about a provider. Times are in seconds since 1970."""

    circuit: str
    is_refusing: bool
    """Whether the circuit refuses calls now; else the next one is sent."""
    calls: Sequence[tuple[float, float, bool]]
    """The newest calls: when each ended, its latency in milliseconds, whether it succeeded."""
    succeeded_at: float | None
    failed_at: float | None
    last_error: str | None
    """The name of the class of the last failure."""


@dataclass(slots=True)
class Health:
    """Outcomes and latencies of the newest calls."""

    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    last_error: type[ProviderError] | None = None
    """The class of the last failure."""
    _ended_at: deque[float] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    """When these calls ended, in seconds since 1970, as the other times."""
    _succeeded_at: float | None = None
    _failed_at: float | None = None

    @property
    def last_success_at(self) -> datetime | None:
        """When the last call that succeeded ended."""
        at = self._succeeded_at
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def note(self, latency_ms: float, error: ProviderError | None) -> None:
        """Record a finished call. A refused one is the caller's fault, not the provider's."""
        now = time.time()
        self.latencies_ms.append(latency_ms)
        self._ended_at.append(now)
        if error is None or isinstance(error, Refused):
            self.outcomes.append(True)
            self._succeeded_at = now
        else:
            self.outcomes.append(False)
            self._failed_at = now
            self.last_error = type(error)

    @property
    def status(self) -> str:
        """UP, DEGRADED (some newest calls failed), DOWN (most of them) or UNKNOWN (no call)."""
        if not self.outcomes:
            return "UNKNOWN"
        if self.outcomes[-1] and all(self.outcomes):
            return "UP"
        failed = self.outcomes.count(False)
        return "DOWN" if not self.outcomes[-1] and failed * 2 >= len(self.outcomes) else "DEGRADED"

    def latency_ms(self, quantile: float) -> float | None:
        """Return the latency at this quantile (0 to 1) of the newest calls."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(len(ordered) * quantile), len(ordered) - 1)] if ordered else None

    def report(self, circuit: str, *, is_refusing: bool) -> HealthReport:
        """Return what other processes need to know, with the state of the circuit here."""
        error = self.last_error
        return HealthReport(
            circuit,
            is_refusing,
            [*zip(self._ended_at, self.latencies_ms, self.outcomes, strict=True)],
            self._succeeded_at,
            self._failed_at,
            None if error is None else error.__name__,
        )

    def joined(self, reports: Sequence[HealthReport]) -> "Health":
        """Return the health by the newest calls of this process and of those that report."""
        everybody = [self.report("", is_refusing=False), *reports]
        calls = sorted(call for each in everybody for call in each.calls)
        joined = Health()
        for ended_at, latency_ms, is_success in calls[-HEALTH_WINDOW:]:
            joined._ended_at.append(ended_at)
            joined.latencies_ms.append(latency_ms)
            joined.outcomes.append(is_success)
        successes = [each.succeeded_at for each in everybody if each.succeeded_at is not None]
        joined._succeeded_at = max(successes, default=None)
        failures = [
            (each.failed_at, each.last_error)
            for each in everybody
            if each.failed_at is not None and each.last_error is not None
        ]
        if failures:
            joined._failed_at, name = max(failures)
            joined.last_error = _error_class(name)
        return joined


def worst_circuit(reports: Sequence[HealthReport]) -> str:
    """Return the worst state of the circuits of these processes.

    An open circuit that refuses nothing waits for the next call. In a process that makes none it
    would wait for ever: so it does not count if a newer call of another one succeeded.
    """
    successes = [each.succeeded_at for each in reports if each.succeeded_at is not None]
    newest = max(successes, default=0.0)
    states = {
        each.circuit
        for each in reports
        if each.is_refusing or each.failed_at is None or each.failed_at >= newest
    }
    return next((each for each in WORST_FIRST if each in states), WORST_FIRST[-1])


def _error_class(name: str) -> type[ProviderError] | None:
    """Return the class of this name; another version may have others."""
    classes = [ProviderError]
    for each in classes:
        if each.__name__ == name:
            return each
        classes += each.__subclasses__()
    return None
