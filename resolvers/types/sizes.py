"""The type of one point in the history of a segment's size."""

from typing import Final

import strawberry

from gateway.domain.sizes import SizePoint
from resolvers.field_declarations import View, attribute, computed
from resolvers.field_permissions import Permission, requires
from resolvers.field_resolvers import segments
from resolvers.value_types import CountPrecision, DateTime

SIZE_HISTORY: Final = (
    "Its sizes as the gateway has read them, oldest first: hours and days in which nobody read a "
    "total have no point. No call is made for it. Null if the provider cannot count members."
)


@strawberry.type(description="The size of a segment in one hour or day.")
class SegmentSizePoint(View):
    """See the description."""

    requirement = requires(Permission.ASSIGNMENTS_READ)

    value: strawberry.Private[SizePoint]

    at: DateTime = attribute("at", "The start of the hour or day, in UTC.")
    count: int = attribute("count", "The last number of members that was read in it.")
    precision: CountPrecision = computed(segments.precision, "Whether the number is exact.")
    entered: int | None = attribute(
        "entered", "The number of customers who entered; null if the segment is not watched."
    )
    left: int | None = attribute(
        "left", "The number of customers who left; null if the segment is not watched."
    )
