"""Log which parts of a provider's reply do not match its documentation."""

from collections.abc import Sequence

import structlog

MAX_LOGGED_PARTS = 20
"""The largest number of odd parts of one reply whose paths are logged."""

log = structlog.get_logger(__name__)


def report(provider: str, operation: str, request_id: str, oddities: Sequence[str]) -> None:
    """Log the number of odd parts of a reply, and the paths of the first ones; no values."""
    if not oddities:
        return
    log.warning(
        "provider reply is odd",
        request_id=request_id,
        provider=provider,
        operation=operation,
        count=len(oddities),
        parts=oddities[:MAX_LOGGED_PARTS],
    )
