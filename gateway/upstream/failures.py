"""Turn a transport's errors into the gateway's, and log why a call to a provider failed."""

from typing import Any

import httpx
import structlog

from gateway.errors import Malformed, ProviderError, Refused, TimedOut, Unreachable
from gateway.network_failures import network_failure
from gateway.observability.confidential import Foreign
from gateway.providers.base.exchange import Exchange

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
"""After these the provider cannot have acted on the call."""

LATE = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout)

log = structlog.get_logger(__name__)

FORESEEN = (httpx.TransportError, httpx.DecodingError, ConnectionError)


def provider_error(error: Exception, provider: str, operation: str) -> ProviderError:
    """Return what one of the `FORESEEN` errors means for a call; raise it from the error."""
    detail = str(error)
    if isinstance(error, httpx.LocalProtocolError):
        return Refused(provider, operation, was_sent=False, detail=detail)
    if isinstance(error, httpx.DecodingError):
        return Malformed(provider, operation, detail=detail)
    return (TimedOut if isinstance(error, LATE) else Unreachable)(
        provider,
        operation,
        was_sent=not isinstance(error, UNSENT),
        reason=network_failure(error),
        detail=detail,
    )


def log_failure(
    error: ProviderError, exchange: Exchange[Any], request_id: str, detail: str
) -> None:
    """Log one failed call; `detail` holds words that are not ours, but no secret."""
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
        detail=Foreign(detail),
    )
