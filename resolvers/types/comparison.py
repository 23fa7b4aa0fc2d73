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
    count: int = attribute(
        "size",
        "The number of its members, each counted once; with segments of several providers, of "
        "persons.",
    )
    unlinked: int = attribute(
        "unlinked",
        "With segments of several providers: the number of its members whose person has no other "
        "customer, so that they cannot be found in the other segments. 0 within one provider.",
    )
    as_of: DateTime = attribute("members.as_of", "When its members were read.")


@strawberry.type(
    description="Who is in exactly these segments and in no other segment of the comparison: "
    "customers, or with segments of several providers persons."
)
class ComparisonRegion(View):
    """See the description."""

    requirement = COMPARES

    value: strawberry.Private[context.Region]

    segment_ids: list[strawberry.ID] = computed(
        comparisons.region_segment_ids, "Global ids of the segments, in the order given."
    )
    count: int = attribute("size", "The number of customers, or of persons.")
    customers: Connection[Customer] | None = read(
        comparisons.region_customers,
        "The members among them. Null, with an error, if their only provider fails; one of "
        "several is reported in `sources`.",
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
    total: int = attribute("total", "The number of customers, or of persons, in any segment.")
    as_of: DateTime = attribute("as_of", "When the oldest of the members were read.")
