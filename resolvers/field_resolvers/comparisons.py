"""Fields of comparisons of segments."""

import strawberry

from gateway import context
from gateway.domain import entities
from gateway.domain.pages import DEFAULT_PAGE_SIZE
from resolvers import global_ids
from resolvers.global_ids import Kind
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import FieldInfo


def member_count(compared: context.ComparedSegment) -> int:
    """Return the number of customers in a segment."""
    return len(compared.members.keys)


def unlinked(_: context.ComparedSegment) -> int:
    """Return 0: within one provider every member is the same customer in each segment."""
    return 0


def region_segment_ids(region: context.Region) -> list[str]:
    """Return the global ids of the segments of a region."""
    return [global_ids.of_ref(Kind.SEGMENT, ref) for ref in region.segments]


def region_count(region: context.Region) -> int:
    """Return the number of customers in a region."""
    return len(region.keys)


async def region_customers(
    region: context.Region,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Customer]:
    """List the customers of a region."""
    return await info.context.reads.region_customers(region, paging(info, first, after))
