"""How a provider is doing, judged by the newest calls of this process."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.errors import ProviderError, Refused

HEALTH_WINDOW = 50
"""Calls that a provider's health is judged by: the newest."""


@dataclass(slots=True)
class Health:
    """What the newest calls say of a provider."""

    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=HEALTH_WINDOW))
    last_success_at: datetime | None = None
    last_error: type[ProviderError] | None = None
    """The class of the last failure."""

    def note(self, latency_ms: float, error: ProviderError | None) -> None:
        """Take one finished call in. A refused one is the caller's fault, not the provider's."""
        self.latencies_ms.append(latency_ms)
        if error is None or isinstance(error, Refused):
            self.outcomes.append(True)
            self.last_success_at = datetime.now(UTC)
        else:
            self.outcomes.append(False)
            self.last_error = type(error)

    @property
    def status(self) -> str:
        """UP, DEGRADED (some of the newest calls failed), DOWN (most did) or UNKNOWN (no call)."""
        if not self.outcomes:
            return "UNKNOWN"
        if self.outcomes[-1] and all(self.outcomes):
            return "UP"
        failed = self.outcomes.count(False)
        return "DOWN" if not self.outcomes[-1] and failed * 2 >= len(self.outcomes) else "DEGRADED"

    def latency_ms(self, share: float) -> float | None:
        """Return the latency that this share of the newest calls stayed within."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None
