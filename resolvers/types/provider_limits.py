"""The type of a limit that a provider documents."""

import strawberry

from resolvers.field_declarations import View, attribute, read
from resolvers.field_permissions import Permission, requires
from resolvers.field_resolvers import providers


@strawberry.type(description="A limit that a provider documents.")
class ProviderLimit(View):
    """See the description."""

    requirement = requires(Permission.SEGMENTS_READ)

    value: strawberry.Private[providers.LimitOf]

    name: str = attribute("name", "For example `STATIC_SEGMENT_CUSTOMERS`.")
    maximum: int | None = attribute("maximum", "The maximum.")
    current: int | None = read(
        providers.limit_used,
        "Current usage. Costs a call to the provider; null if the provider does not report it.",
    )
