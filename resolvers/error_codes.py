"""Error class to GraphQL code: one table, and how an error is shown to a client."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry

from gateway import errors
from gateway.context import UserErrors
from gateway.store import errors as store


@strawberry.enum(description="The kind of an error: `errors[].extensions.code`.")
class ErrorCode(Enum):
    """See the description. Some belong to features that are still to come."""

    PROVIDER_UNREACHABLE = strawberry.enum_value(
        "PROVIDER_UNREACHABLE",
        description="No connection to the provider, or it broke before the answer was whole.",
    )
    PROVIDER_TIMEOUT = strawberry.enum_value(
        "PROVIDER_TIMEOUT", description="The provider did not answer in time."
    )
    PROVIDER_RATE_LIMITED = strawberry.enum_value(
        "PROVIDER_RATE_LIMITED", description="The provider allows no more calls at the moment."
    )
    PROVIDER_DENIED = strawberry.enum_value(
        "PROVIDER_DENIED",
        description="The provider refuses the gateway's credentials, or they lack a permission.",
    )
    PROVIDER_REFUSED = strawberry.enum_value(
        "PROVIDER_REFUSED", description="The provider does not accept this request."
    )
    PROVIDER_BROKEN = strawberry.enum_value(
        "PROVIDER_BROKEN", description="The provider has a fault of its own (5xx)."
    )
    PROVIDER_MALFORMED = strawberry.enum_value(
        "PROVIDER_MALFORMED", description="The provider's answer cannot be read."
    )
    PROVIDER_UNAVAILABLE = strawberry.enum_value(
        "PROVIDER_UNAVAILABLE",
        description="The provider failed too often; nothing is sent for a while.",
    )
    PROVIDER_BUSY = strawberry.enum_value(
        "PROVIDER_BUSY", description="Too many calls to this provider are under way."
    )
    UNSUPPORTED = strawberry.enum_value(
        "UNSUPPORTED", description="The provider has no such operation; nothing was sent."
    )
    BAD_USER_INPUT = strawberry.enum_value(
        "BAD_USER_INPUT", description="The document, a variable or an argument cannot be used."
    )
    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED", description="No valid credentials came with the request."
    )
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="The caller lacks a scope.")
    LIMIT_EXCEEDED = strawberry.enum_value(
        "LIMIT_EXCEEDED", description="More than a documented bound allows."
    )
    STORE_UNAVAILABLE = strawberry.enum_value(
        "STORE_UNAVAILABLE", description="The gateway's own record cannot be used."
    )
    CURSOR_EXPIRED = strawberry.enum_value(
        "CURSOR_EXPIRED", description="The cursor is older than what is still kept."
    )
    LAGGED = strawberry.enum_value(
        "LAGGED", description="A subscriber was too slow; start again from the last cursor."
    )
    SHUTTING_DOWN = strawberry.enum_value(
        "SHUTTING_DOWN", description="The server is stopping; connect again."
    )
    INTERNAL = strawberry.enum_value(
        "INTERNAL", description="A bug of the gateway; its log has the cause."
    )


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
    store.StoreFailed: "STORE_UNAVAILABLE",
    store.StoreBusy: "PROVIDER_BUSY",
    store.Unrecordable: "BAD_USER_INPUT",
    store.IdempotencyKeyReused: "BAD_USER_INPUT",
    store.FirstAttemptRunning: "PROVIDER_BUSY",
    store.OutcomeUnknown: "BAD_USER_INPUT",
    UserErrors: "BAD_USER_INPUT",
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
            "retryable": error.retryable and error.may_repeat,
            "retryAfterMs": retry_after_ms(error) if error.may_repeat else None,
            "upstreamStatus": error.status,
            "requestId": request_id,
        }
    if isinstance(error, store.StoreFailed):
        told |= {"retryable": error.retryable, "requestId": request_id}
    return told
