"""Map error classes to GraphQL error codes, and show errors to clients."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry

from gateway import errors
from gateway.context import UserErrors
from gateway.store import errors as store


@strawberry.enum(description="The kind of an error: `errors[].extensions.code`.")
class ErrorCode(Enum):
    """See the description. Some codes are reserved for features to come."""

    PROVIDER_UNREACHABLE = strawberry.enum_value(
        "PROVIDER_UNREACHABLE",
        description="The provider could not be reached, or the connection broke during its reply.",
    )
    PROVIDER_TIMEOUT = strawberry.enum_value(
        "PROVIDER_TIMEOUT", description="The provider did not reply in time."
    )
    PROVIDER_RATE_LIMITED = strawberry.enum_value(
        "PROVIDER_RATE_LIMITED", description="The provider's rate limit is exhausted."
    )
    PROVIDER_DENIED = strawberry.enum_value(
        "PROVIDER_DENIED",
        description="The provider rejects the gateway's credentials, or they lack a permission.",
    )
    PROVIDER_REFUSED = strawberry.enum_value(
        "PROVIDER_REFUSED", description="The provider rejects this request."
    )
    PROVIDER_BROKEN = strawberry.enum_value(
        "PROVIDER_BROKEN", description="The provider failed with a server error (5xx)."
    )
    PROVIDER_MALFORMED = strawberry.enum_value(
        "PROVIDER_MALFORMED", description="The provider's reply cannot be read."
    )
    PROVIDER_UNAVAILABLE = strawberry.enum_value(
        "PROVIDER_UNAVAILABLE",
        description="The provider failed too often: its circuit is open, and nothing is sent.",
    )
    PROVIDER_BUSY = strawberry.enum_value(
        "PROVIDER_BUSY", description="Too many calls to this provider are in flight."
    )
    UNSUPPORTED = strawberry.enum_value(
        "UNSUPPORTED",
        description="The provider does not support this operation; nothing was sent.",
    )
    BAD_USER_INPUT = strawberry.enum_value(
        "BAD_USER_INPUT", description="The document, a variable or an argument is invalid."
    )
    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED", description="The request has no valid credentials."
    )
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="The caller lacks a scope.")
    LIMIT_EXCEEDED = strawberry.enum_value(
        "LIMIT_EXCEEDED", description="A documented limit is exceeded."
    )
    STORE_UNAVAILABLE = strawberry.enum_value(
        "STORE_UNAVAILABLE", description="The gateway's own store is unavailable."
    )
    CURSOR_EXPIRED = strawberry.enum_value(
        "CURSOR_EXPIRED", description="The cursor is older than the oldest stored change."
    )
    LAGGED = strawberry.enum_value(
        "LAGGED", description="The subscriber was too slow; subscribe again from the last cursor."
    )
    SHUTTING_DOWN = strawberry.enum_value(
        "SHUTTING_DOWN", description="The server is shutting down; connect again."
    )
    INTERNAL = strawberry.enum_value(
        "INTERNAL", description="A bug in the gateway; its log has the cause."
    )


CODES: Mapping[type[errors.GatewayError], str] = {
    errors.BadInput: "BAD_USER_INPUT",
    errors.Unauthenticated: "UNAUTHENTICATED",
    errors.Forbidden: "FORBIDDEN",
    errors.LimitExceeded: "LIMIT_EXCEEDED",
    errors.CursorExpired: "CURSOR_EXPIRED",
    errors.Lagged: "LAGGED",
    errors.ShuttingDown: "SHUTTING_DOWN",
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
    store.StoreFailed: "STORE_UNAVAILABLE",
    store.StoreBusy: "PROVIDER_BUSY",
    store.Unrecordable: "BAD_USER_INPUT",
    store.IdempotencyKeyReused: "BAD_USER_INPUT",
    store.FirstAttemptRunning: "PROVIDER_BUSY",
    store.OutcomeUnknown: "BAD_USER_INPUT",
    UserErrors: "BAD_USER_INPUT",
}

INVALID = "BAD_USER_INPUT"
"""The code of a document or of variables that are invalid against the schema."""

INTERNAL = "INTERNAL"
"""The code of a bug: the log has the details, the client gets this code only."""


def code(error: errors.GatewayError) -> str:
    """Return the code of an error."""
    return CODES[type(error)]


def retry_after_ms(error: errors.GatewayError) -> int | None:
    """Return the delay in milliseconds that the provider requested before a retry, if any."""
    after_s = getattr(error, "retry_after_s", None)
    return None if after_s is None else round(after_s * 1000)


def extensions(error: errors.GatewayError, request_id: str) -> dict[str, Any]:
    """Return the `extensions` of an error."""
    result: dict[str, Any] = {"code": code(error)}
    if isinstance(error, errors.LimitExceeded) and error.retry_after_s is not None:
        result["retryAfterMs"] = retry_after_ms(error)
    if isinstance(error, errors.Lagged | errors.ShuttingDown | errors.CursorExpired):
        result |= {} if error.cursor is None else {"cursor": error.cursor}
    if isinstance(error, errors.Unsupported):
        result["provider"] = error.provider
    if isinstance(error, errors.ProviderError):
        result |= {
            "provider": error.provider,
            "retryable": error.retryable and error.may_repeat,
            "retryAfterMs": retry_after_ms(error) if error.may_repeat else None,
            "upstreamStatus": error.status,
            "requestId": request_id,
        }
    if isinstance(error, store.StoreFailed):
        result |= {"retryable": error.retryable, "requestId": request_id}
    return result
