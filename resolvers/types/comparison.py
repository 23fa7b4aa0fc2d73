"""The types of a comparison of segments."""

import strawberry

from gateway import context
from resolvers.field_declarations import View, attribute, computed, read
from resolvers.field_permissions import Permission, requires
from resolvers.field_resolvers import comparisons
from resolvers.types.nodes import Connection, Customer, Segment
from resolvers.value_types import DateTime

COMPARES = requires(Permission.ASSIGNMENTS_READ, Permission.CUSTOMERS_READ)


@strawberry.type(description="One segment of a comparison.")
class ComparedSegment(View):
    """See the description."""

    requirement = COMPARES

    value: strawberry.Private[context.ComparedSegment]

    segment: Segment = attribute(
        "segment",
        "The segment.",
        requirement=requires(
            Permission.ASSIGNMENTS_READ, Permission.CUSTOMERS_READ, Permission.SEGMENTS_READ
        ),
    )
    count: int = computed(
        comparisons.member_count, "The number of its members; each customer counts once."
    )
    unlinked: int = computed(
        comparisons.unlinked,
        "The number of its members that are linked to nobody at the other providers; 0 within one "
        "provider.",
    )
    as_of: DateTime = attribute("members.as_of", "When its members were read.")


@strawberry.type(
    description="The customers who are in exactly these segments and in no other segment of the "
    "comparison."
)
class ComparisonRegion(View):
    """See the description."""

    requirement = COMPARES

    value: strawberry.Private[context.Region]

    segment_ids: list[strawberry.ID] = computed(
        comparisons.region_segment_ids, "Global ids of the segments, in the order given."
    )
    count: int = computed(comparisons.region_count, "The number of customers.")
    customers: Connection[Customer] | None = read(
        comparisons.region_customers,
        "The customers. Null, with an error, if the provider fails.",
    )


@strawberry.type(description="How the members of several segments overlap.")
class SegmentsComparison(View):
    """See the description."""

    requirement = COMPARES

    value: strawberry.Private[context.Comparison]

    sets: list[ComparedSegment] = attribute("sets", "The segments, in the order given.")
    regions: list[ComparisonRegion] = attribute(
        "regions",
        "The regions that contain customers: the largest first, then in the order of the segments "
        "given.",
    )
    total: int = attribute("total", "The number of customers in any of the segments.")
    as_of: DateTime = attribute("as_of", "When the oldest of the members were read.")
