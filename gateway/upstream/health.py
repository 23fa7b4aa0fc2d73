"""A provider's health, judged by the newest calls of this process."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.errors import ProviderError, Refused

HEALTH_WINDOW = 50
"""The number of newest calls that a provider's health is judged by."""


@dataclass(slots=True)
class Health:
    """Outcomes and latencies of the newest calls."""

    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    last_error: type[ProviderError] | None = None
    """The class of the last failure."""
    _succeeded_at: float | None = None
    """In seconds since 1970."""

    @property
    def last_success_at(self) -> datetime | None:
        """When the last call that succeeded ended."""
        at = self._succeeded_at
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def note(self, latency_ms: float, error: ProviderError | None) -> None:
        """Record a finished call. A refused one is the caller's fault, not the provider's."""
        self.latencies_ms.append(latency_ms)
        if error is None or isinstance(error, Refused):
            self.outcomes.append(True)
            self._succeeded_at = time.time()
        else:
            self.outcomes.append(False)
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
