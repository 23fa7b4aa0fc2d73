"""What the upstream calls of one client request have in common."""

from dataclasses import dataclass, field
from typing import NamedTuple


class SentCall(NamedTuple):
    """One call that a request caused: for traces, and for tests that count."""

    provider: str
    operation: str
    status: int | None
    """None when there was no answer."""
    duration_ms: float


@dataclass(slots=True)
class Scope:
    """What the calls of one client request have in common."""

    request_id: str
    deadline: float
    """On the event loop's clock, in seconds."""
    calls: list[SentCall] = field(default_factory=list)
