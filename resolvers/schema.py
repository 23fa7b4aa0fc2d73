"""Assembles the schema."""

import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from resolvers.json_scalar import JSON_SCALAR
from resolvers.leaves import DATE_TIME, DateTime
from resolvers.mutations import Mutation
from resolvers.queries import Query
from resolvers.types import Assignment, Customer, Provider, Segment

SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    types=[Provider, Segment, Customer, Assignment],
    config=StrawberryConfig(scalar_map={DateTime: DATE_TIME, JSON: JSON_SCALAR}),
)


def sdl() -> str:
    """Return the schema as `schema.graphql` has it."""
    return SCHEMA.as_str().rstrip() + "\n"
