"""The schema."""

import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from resolvers.json_scalar import JSON_SCALAR
from resolvers.mutation import Mutation
from resolvers.query import Query
from resolvers.subscription import Subscription
from resolvers.types.changes import AssignmentChange, SegmentChange
from resolvers.types.nodes import Assignment, Customer, Provider, Segment
from resolvers.types.persons import IdentityLink, Person
from resolvers.value_types import DATE_TIME, DateTime

SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[
        Provider,
        Segment,
        Customer,
        Assignment,
        AssignmentChange,
        SegmentChange,
        Person,
        IdentityLink,
    ],
    config=StrawberryConfig(scalar_map={DateTime: DATE_TIME, JSON: JSON_SCALAR}),
)


def sdl() -> str:
    """Return the schema in the schema definition language, as in `schema.graphql`."""
    return SCHEMA.as_str().rstrip() + "\n"
