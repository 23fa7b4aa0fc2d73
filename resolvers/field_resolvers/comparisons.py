"""Fields of comparisons of segments."""

import strawberry

from gateway import context
from gateway.domain import entities
from gateway.domain.pages import DEFAULT_PAGE_SIZE
from resolvers import global_ids
from resolvers.global_ids import Kind
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import FieldInfo


def region_segment_ids(region: context.Region) -> list[str]:
    """Return the global ids of the segments of a region."""
    return [global_ids.of_ref(Kind.SEGMENT, ref) for ref in region.segments]


async def region_customers(
    region: context.Region,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Customer]:
    """List the customers of a region."""
    return await info.context.reads.region_customers(region, paging(info, first, after))
