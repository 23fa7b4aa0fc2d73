"""The request log: one line for each operation, if `[log] requests` is true.

A line names the caller and what the operation took, never its text, its variables or its result.
"""

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import structlog

from gateway.observability.audit import caller_of
from gateway.request_scope import NETWORK, Scope

LOGGER = "requests"
LONGEST_NAME = 100
"""Characters of an operation's name, which the client chooses."""

log = structlog.get_logger(LOGGER)


def log_operation(scope: Scope, codes: Sequence[str], *, events: int | None = None) -> None:
    """Log an operation that ends now, with the codes of its errors.

    `events`: how many a subscription has delivered.
    """
    calls = Counter(call.provider for call in scope.calls if call.source == NETWORK)
    log.info(
        "operation",
        logger=LOGGER,
        request_id=scope.request_id,
        **caller_of(scope.caller),
        type=scope.operation[0] or None,
        name=scope.given_name[:LONGEST_NAME] or None,
        duration_ms=round((perf_counter() - scope.started) * 1000, 3),
        errors=dict(Counter(codes)) or None,
        cost=scope.cost or None,
        calls=dict(calls) or None,
        events=events,
    )
