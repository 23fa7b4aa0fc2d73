"""The webhooks of a provider, as the schema shows them."""

from enum import Enum

import strawberry

from resolvers.field_permissions import OPEN
from resolvers.value_types import DateTime


@strawberry.enum(description="How a provider's webhooks arrive.")
class WebhookState(Enum):
    """See the description."""

    UNCONFIGURED = strawberry.enum_value(
        "UNCONFIGURED", description="The gateway accepts no webhooks of this provider."
    )
    HEALTHY = strawberry.enum_value("HEALTHY", description="Nothing is known to be wrong.")
    QUIET = strawberry.enum_value(
        "QUIET",
        description="A comparison found a change that no webhook reported within a minute.",
    )
    FAILING = strawberry.enum_value(
        "FAILING", description="The newest three or more webhooks were refused."
    )


@strawberry.type(description="The webhooks that a provider sends to this gateway.")
class ProviderWebhooks:
    """See the description."""

    requirement = OPEN

    state: WebhookState = strawberry.field(description="How they arrive.")
    last_received_at: DateTime | None = strawberry.field(
        description="When one was accepted last, repeats included."
    )
    last_rejected_at: DateTime | None = strawberry.field(
        description="When one was refused last. Of several within a second, only the first counts."
    )
    last_rejection: str | None = strawberry.field(description="Why it was refused.")
    received_last24h: int = strawberry.field(
        name="receivedLast24h",
        description="How many were accepted in the last 24 hours, without repeats.",
    )
