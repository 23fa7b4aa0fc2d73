"""User errors: the caller's mistakes, as payloads show them."""

from typing import Any

import strawberry

from gateway.domain.mutations import Reason as UserErrorCode
from resolvers.field_permissions import OPEN
from resolvers.value_types import describe

describe(
    UserErrorCode,
    "UserErrorCode",
    "Why something was not written.",
    {
        "UNSUPPORTED": "The provider does not support this operation or field.",
        "REQUIRED": "A required value is missing.",
        "INVALID": "A value is invalid.",
        "TAKEN": "The id or name is already in use.",
        "NOT_FOUND": "The object does not exist.",
        "LIMIT_EXCEEDED": "A limit that the provider documents is exceeded.",
        "VERSION_CONFLICT": "The version of the object differs from the expected one.",
        "SEGMENT_IN_USE": "Customers or items are assigned to the segment; use `force`.",
        "IDEMPOTENCY_KEY_REUSED": "The idempotency key was used with a different input.",
        "PROVIDER_REFUSED": "The provider rejects it.",
        "PROVIDER_FAILED": "The provider failed: not written, or the outcome is unknown.",
        "STORE_UNAVAILABLE": "The gateway's own store is unavailable; repeat the request later.",
    },
)


@strawberry.type(description="A mistake in the input that the caller can correct.")
class UserError:
    """See the description."""

    requirement = OPEN

    field: list[str] | None = strawberry.field(
        description="The path of the invalid value, starting in the input object."
    )
    message: str = strawberry.field(description="A human-readable message.")
    code: UserErrorCode = strawberry.field(description="A machine-readable code.")
    provider: str | None = strawberry.field(description="The provider's key.")
    request_id: str | None = strawberry.field(
        description="The id to search for in the server's log; null if no provider was called."
    )


def user_errors(value: Any) -> list[UserError]:
    """Return the user errors of a receipt, or of one of its rows."""
    return [
        UserError(
            field=None if each.field is None else list(each.field),
            message=each.message,
            code=each.reason,
            provider=each.provider,
            request_id=each.request_id,
        )
        for each in value.errors
    ]
