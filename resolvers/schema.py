"""Assembles the schema."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers.leaves import DATE_TIME, DateTime
from resolvers.mutations import Mutation
from resolvers.queries import Query
from resolvers.types import Assignment, Customer, Provider, Segment

SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    types=[Provider, Segment, Customer, Assignment],
    config=StrawberryConfig(scalar_map={DateTime: DATE_TIME}),
)


def sdl() -> str:
    """Return the schema as `schema.graphql` has it."""
    return SCHEMA.as_str().rstrip() + "\n"
