"""Log which parts of a provider's reply do not keep to its documents."""

from collections.abc import Sequence

import structlog

MOST_PARTS = 20
"""Odd parts of one reply that are logged by their paths."""

log = structlog.get_logger(__name__)


def report(provider: str, operation: str, request_id: str, oddities: Sequence[str]) -> None:
    """Log how many parts of a reply are odd, if any, and the first of them: paths, no values."""
    if not oddities:
        return
    log.warning(
        "provider reply is odd",
        request_id=request_id,
        provider=provider,
        operation=operation,
        count=len(oddities),
        parts=oddities[:MOST_PARTS],
    )
