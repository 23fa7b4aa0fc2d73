"""What observes single operations beside the metrics: the request log and traces."""

from collections.abc import Sequence

from gateway.observability.request_log import log_operation
from gateway.observability.traces import Traces
from gateway.request_scope import Scope

SUBSCRIPTION = "subscription"


class Telemetry:
    """Passes operations that have ended on."""

    def __init__(self, *, logs_requests: bool = False, traces: Traces | None = None) -> None:
        """`logs_requests`: write a line for each operation. `traces`: record some as traces."""
        self._logs_requests = logs_requests
        self.traces = traces
        self.is_on = logs_requests
        """Whether it wants to know of all operations, not only of those with a trace."""

    def operation_ended(self, scope: Scope, codes: Sequence[str]) -> None:
        """Take an operation, or an event of a subscription, with the codes of its errors."""
        if self._logs_requests and scope.operation[0] != SUBSCRIPTION:
            log_operation(scope, codes)
        if scope.trace is not None:
            scope.trace.operation_ended(scope, codes)

    def subscription_ended(self, scope: Scope, events: int) -> None:
        """Take a whole subscription, which was opened with this scope."""
        if self._logs_requests:
            log_operation(scope, (), events=events)
