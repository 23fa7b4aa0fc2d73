"""Map transport errors to the gateway's, and log why calls to providers failed."""

import asyncio
from typing import Any

import httpx
import structlog

from gateway.errors import Malformed, ProviderError, Refused, TimedOut, Unreachable
from gateway.network_failures import network_failure
from gateway.observability.confidential import Foreign
from gateway.providers.base.exchange import Exchange
from gateway.request_scope import Scope
from gateway.upstream.redaction import Redaction
from gateway.upstream.resilience.guard import UpstreamGuard

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
"""Errors after which the provider cannot have acted on the call."""

TIMEOUTS = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout)

log = structlog.get_logger(__name__)

TRANSPORT_ERRORS = (httpx.TransportError, httpx.DecodingError, ConnectionError)


def provider_error(error: Exception, provider: str, operation: str) -> ProviderError:
    """Return the `ProviderError` for one of the `TRANSPORT_ERRORS`."""
    detail = str(error)
    if isinstance(error, httpx.LocalProtocolError):
        return Refused(provider, operation, was_sent=False, detail=detail)
    if isinstance(error, httpx.DecodingError):
        return Malformed(provider, operation, detail=detail)
    return (TimedOut if isinstance(error, TIMEOUTS) else Unreachable)(
        provider,
        operation,
        was_sent=not isinstance(error, UNSENT),
        reason=network_failure(error),
        detail=detail,
    )


class FailureReporter:
    """Report the failures of one account's calls to the log and to the request."""

    def __init__(self, guard: UpstreamGuard, redact: Redaction) -> None:
        """Take `retry_after_s` from the guard; keep the account's secrets out of the log."""
        self._guard = guard
        self._redact = redact

    def __call__(self, exchange: Exchange[Any], scope: Scope, error: ProviderError) -> None:
        """Set the error's `retry_after_s`, and log it if it is the request's first of its kind."""
        self._guard.set_wait(error, asyncio.get_running_loop().time())
        scope.note_freshness(0)
        if scope.is_first_report(error.provider, type(error)):
            detail = self._redact(error.detail or str(error.__cause__ or ""))
            _log_failure(error, exchange, scope.request_id, detail)


def _log_failure(
    error: ProviderError, exchange: Exchange[Any], request_id: str, detail: str
) -> None:
    log.warning(
        "provider call failed",
        request_id=request_id,
        provider=error.provider,
        operation=exchange.operation,
        method=exchange.call.method,
        error=type(error).__name__,
        reason=error.reason,
        status=error.status,
        key=error.key,
        at=error.path,
        detail=Foreign(detail),  # the provider's or a library's own text
    )
