"""A provider's health, judged by its newest calls, of this process or of several."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec

from gateway.errors import ProviderError, Refused

HEALTH_WINDOW = 50
"""The number of newest calls that a provider's health is judged by."""

WORST_FIRST: Final = ("OPEN", "HALF_OPEN", "CLOSED")
"""The states of a circuit."""


EndedCall: TypeAlias = tuple[float, float, bool]
"""When a call ended, its latency in milliseconds, and whether it succeeded."""


class HealthReport(msgspec.Struct, frozen=True):
    """What one process tells others about a provider. Times are in seconds since 1970."""

    circuit: str
    is_refusing: bool
    """Whether the circuit refuses calls now; else the next one is sent."""
    calls: Sequence[EndedCall]
    """The newest ones."""
    succeeded_at: float | None
    failed_at: float | None
    last_error: str | None
    """The name of the class of the last failure."""


@dataclass(slots=True)
class Health:
    """Outcomes and latencies of the newest calls. Times are in seconds since 1970."""

    last_error: type[ProviderError] | None = None
    """The class of the last failure."""
    _calls: deque[EndedCall] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    _succeeded_at: float | None = None
    _failed_at: float | None = None

    @property
    def outcomes(self) -> Sequence[bool]:
        """Whether each of the newest calls succeeded, oldest first."""
        return [is_success for _, _, is_success in self._calls]

    @property
    def last_success_at(self) -> datetime | None:
        """When the last call that succeeded ended."""
        at = self._succeeded_at
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def note(self, latency_ms: float, error: ProviderError | None) -> None:
        """Record a finished call. A refused one is the caller's fault, not the provider's."""
        now = time.time()
        if error is None or isinstance(error, Refused):
            self._calls.append((now, latency_ms, True))
            self._succeeded_at = now
        else:
            self._calls.append((now, latency_ms, False))
            self._failed_at, self.last_error = now, type(error)

    @property
    def status(self) -> str:
        """UP, DEGRADED (some newest calls failed), DOWN (most of them) or UNKNOWN (no call)."""
        outcomes = self.outcomes
        if not outcomes:
            return "UNKNOWN"
        failed = outcomes.count(False)
        if not failed:
            return "UP"
        return "DOWN" if not outcomes[-1] and failed * 2 >= len(outcomes) else "DEGRADED"

    def latency_ms(self, quantile: float) -> float | None:
        """Return the latency at this quantile (0 to 1) of the newest calls."""
        ordered = sorted(latency for _, latency, _ in self._calls)
        return ordered[min(int(len(ordered) * quantile), len(ordered) - 1)] if ordered else None

    def report(self, circuit: str, *, is_refusing: bool) -> HealthReport:
        """Return what other processes need to know, with the state of the circuit here."""
        error = self.last_error
        return HealthReport(
            circuit,
            is_refusing,
            [*self._calls],
            self._succeeded_at,
            self._failed_at,
            None if error is None else error.__name__,
        )

    def joined(self, reports: Sequence[HealthReport]) -> "Health":
        """Return the health by the newest calls of this process and of those that report."""
        everybody = [self.report("", is_refusing=False), *reports]
        calls = sorted(call for each in everybody for call in each.calls)
        joined = Health()
        joined._calls.extend(calls)
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
