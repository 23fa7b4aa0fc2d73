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
        memberships.customer_id, "The customer's global id, as asked."
    )
    segment_id: strawberry.ID = computed(
        memberships.segment_id, "The segment's global id, as asked."
    )
    customer: Customer | None = read_all(
        memberships.customers,
        "The customer; null when there is none.",
        requirement=requires(Permission.ASSIGNMENTS_READ, Permission.CUSTOMERS_READ),
    )
    segment: Segment | None = read_all(
        memberships.segments,
        "The segment; null when there is none.",
        requirement=requires(Permission.ASSIGNMENTS_READ, Permission.SEGMENTS_READ),
    )
    is_member: bool | None = computed(
        memberships.is_member,
        "True: in it. False: not. Null: cannot be told, since they are of different providers, "
        "the provider has no way to tell or, with an error, since it fails. Customers are not "
        "looked up: of one whom Voucherify does not know, it may answer for a rule segment as for "
        "one who has done nothing yet.",
    )
    origin: DataOrigin | None = computed(
        memberships.origin, "Where this comes from; null when it cannot be told."
    )
