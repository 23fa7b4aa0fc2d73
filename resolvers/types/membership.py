"""The type of one row of a membership test."""

import strawberry

from gateway import context
from resolvers.field_declarations import View, computed, read_all
from resolvers.field_permissions import Permission, requires
from resolvers.field_resolvers import memberships
from resolvers.types.nodes import ASSIGNMENTS, Customer, Segment
from resolvers.value_types import DataOrigin


@strawberry.type(description="Whether a customer is in a segment.")
class SegmentMembership(View):
    """See the description."""

    requirement = ASSIGNMENTS

    value: strawberry.Private[context.Membership]

    customer_id: strawberry.ID = computed(
        memberships.customer_id, "The customer's global id, as given."
    )
    segment_id: strawberry.ID = computed(
        memberships.segment_id, "The segment's global id, as given."
    )
    customer: Customer | None = read_all(
        memberships.customers,
        "The customer; null if it does not exist.",
        requirement=requires(Permission.ASSIGNMENTS_READ, Permission.CUSTOMERS_READ),
    )
    segment: Segment | None = read_all(
        memberships.segments,
        "The segment; null if it does not exist.",
        requirement=requires(Permission.ASSIGNMENTS_READ, Permission.SEGMENTS_READ),
    )
    is_member: bool | None = computed(
        memberships.is_member,
        "Whether the customer is in the segment. Null if that is unknown: the two belong to "
        "different providers, the provider cannot tell or (with an error) it fails. Customers are "
        "not looked up: for an unknown customer and a segment with a rule, Voucherify may return "
        "the result of a customer without any activity.",
    )
    origin: DataOrigin | None = computed(
        memberships.origin, "Where this data comes from; null if `isMember` is unknown."
    )
