"""Error class to GraphQL code: one table, and how an error is shown to a client."""

from collections.abc import Mapping
from typing import Any

from gateway import errors
from gateway.context import Refusals
from gateway.store import errors as store

CODES: Mapping[type[errors.GatewayError], str] = {
    errors.BadInput: "BAD_USER_INPUT",
    errors.Unauthenticated: "UNAUTHENTICATED",
    errors.Forbidden: "FORBIDDEN",
    errors.LimitExceeded: "LIMIT_EXCEEDED",
    errors.Unsupported: "UNSUPPORTED",
    errors.Unreachable: "PROVIDER_UNREACHABLE",
    errors.TimedOut: "PROVIDER_TIMEOUT",
    errors.RateLimited: "PROVIDER_RATE_LIMITED",
    errors.Denied: "PROVIDER_DENIED",
    errors.Refused: "PROVIDER_REFUSED",
    errors.Broken: "PROVIDER_BROKEN",
    errors.Malformed: "PROVIDER_MALFORMED",
    errors.Unavailable: "PROVIDER_UNAVAILABLE",
    errors.Busy: "PROVIDER_BUSY",
    errors.TooManyCalls: "LIMIT_EXCEEDED",
    errors.SettingsError: "INTERNAL",
    store.RecordFailed: "INTERNAL",
    store.RecordBusy: "PROVIDER_BUSY",
    store.Unrecordable: "BAD_USER_INPUT",
    store.IdempotencyKeyReused: "BAD_USER_INPUT",
    store.FirstAttemptRunning: "PROVIDER_BUSY",
    store.OutcomeUnknown: "BAD_USER_INPUT",
    Refusals: "BAD_USER_INPUT",
}

INVALID = "BAD_USER_INPUT"
"""The code of a document or of variables that the schema does not allow."""

INTERNAL = "INTERNAL"
"""The code of a bug of ours: logged whole, shown as nothing but this."""


def code(error: errors.GatewayError) -> str:
    """Return the code of an error's class."""
    return CODES[type(error)]


def retry_after_ms(error: errors.GatewayError) -> int | None:
    """Return after how many milliseconds the provider wants to be asked again, if it said."""
    after_s = getattr(error, "retry_after_s", None)
    return None if after_s is None else round(after_s * 1000)


def extensions(error: errors.GatewayError, request_id: str) -> dict[str, Any]:
    """Return what a client is told of an error beside its message."""
    told: dict[str, Any] = {"code": code(error)}
    if isinstance(error, errors.LimitExceeded) and error.retry_after_s is not None:
        told["retryAfterMs"] = retry_after_ms(error)
    if isinstance(error, errors.Unsupported):
        told["provider"] = error.provider
    if isinstance(error, errors.ProviderError):
        told |= {
            "provider": error.provider,
            "retryable": error.retryable,
            "retryAfterMs": retry_after_ms(error),
            "upstreamStatus": error.status,
            "requestId": request_id,
        }
    return told
