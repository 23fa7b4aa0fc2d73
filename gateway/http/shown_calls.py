"""The upstream calls of a response, as `X-Show-Calls` shows them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.request_scope import Scope


def shown_calls(
    scope: Scope, code_of: Callable[[type[GatewayError]], str]
) -> Sequence[Mapping[str, Any]]:
    """Return the calls of a request, and its reads that needed none, by start.

    Times are in milliseconds; `startMs` counts from the start of the operation.
    """
    return [
        {
            "provider": call.provider,
            "operation": call.operation,
            "status": call.status,
            "startMs": _milliseconds(call.started - scope.started),
            "durationMs": _milliseconds(call.duration_s),
            "source": call.source,
            "attempt": call.attempt,
            "keys": call.keys,
            "waitedMs": _milliseconds(call.waited_s),
            "error": None if call.error is None else code_of(call.error),
        }
        for call in sorted(scope.calls, key=lambda call: call.started)
    ]


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
