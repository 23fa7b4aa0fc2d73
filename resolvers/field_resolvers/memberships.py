"""Fields of one row of a membership test."""

from collections.abc import Sequence

from gateway import context
from gateway.domain import entities
from gateway.errors import GatewayError, Unsupported
from resolvers import global_ids
from resolvers.global_ids import Kind
from resolvers.lookahead import FieldInfo


def customer_id(row: context.Membership) -> str:
    """Return the customer's global id."""
    return global_ids.of_ref(Kind.CUSTOMER, row.customer)


def segment_id(row: context.Membership) -> str:
    """Return the segment's global id."""
    return global_ids.of_ref(Kind.SEGMENT, row.segment)


async def customers(
    rows: Sequence[context.Membership], info: FieldInfo
) -> Sequence[entities.Customer | GatewayError | None]:
    """Return the customer of each row."""
    return await info.context.loaders.customer.load_results([row.customer for row in rows])


async def segments(
    rows: Sequence[context.Membership], info: FieldInfo
) -> Sequence[entities.Segment | GatewayError | None]:
    """Return the segment of each row."""
    return await info.context.loaders.segment.load_results([row.segment for row in rows])


def is_member(row: context.Membership) -> bool | None:
    """Return whether the customer is in the segment. Raises the error of the provider."""
    if isinstance(row.error, Unsupported):
        return None
    if row.error is not None:
        raise row.error
    return row.is_member


def origin(row: context.Membership) -> entities.Origin | None:
    """Return where the membership comes from."""
    return row.origin
