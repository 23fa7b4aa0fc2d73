"""What observes single operations beside the metrics: the request log, if it is on."""

from collections.abc import Sequence

from gateway.observability.request_log import log_operation
from gateway.request_scope import Scope

SUBSCRIPTION = "subscription"


class Telemetry:
    """Passes operations that have ended on."""

    def __init__(self, *, logs_requests: bool = False) -> None:
        """`logs_requests`: write a line for each operation."""
        self._logs_requests = logs_requests
        self.is_on = logs_requests
        """Whether it wants to know of operations, and their names."""

    def operation_ended(self, scope: Scope, codes: Sequence[str]) -> None:
        """Take an operation, or an event of a subscription, with the codes of its errors."""
        if self._logs_requests and scope.operation[0] != SUBSCRIPTION:
            log_operation(scope, codes)

    def subscription_ended(self, scope: Scope, events: int) -> None:
        """Take a whole subscription, which was opened with this scope."""
        if self._logs_requests:
            log_operation(scope, (), events=events)
