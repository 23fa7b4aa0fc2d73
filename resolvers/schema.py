"""The schema."""

from collections.abc import Mapping
from typing import Any

import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from resolvers.json_scalar import JSON_SCALAR
from resolvers.mutation import Mutation
from resolvers.query import Query
from resolvers.subscription import Subscription
from resolvers.types.changes import AssignmentChange, SegmentChange
from resolvers.types.nodes import Assignment, Customer, Node, Provider, Segment
from resolvers.types.persons import IdentityLink, Person
from resolvers.value_types import DATE_TIME, DateTime

ENTITIES: tuple[type[Node], ...] = (
    Provider,
    Segment,
    Customer,
    Assignment,
    AssignmentChange,
    SegmentChange,
    Person,
    IdentityLink,
)
"""The object types with a global id."""


def schema_of(query: type, scalars: Mapping[Any, Any] | None = None) -> strawberry.Schema:
    """Return the schema with this query type, and these scalars besides our own."""
    return strawberry.Schema(
        query=query,
        mutation=Mutation,
        subscription=Subscription,
        types=ENTITIES,
        config=StrawberryConfig(
            scalar_map={DateTime: DATE_TIME, JSON: JSON_SCALAR, **(scalars or {})}
        ),
    )


SCHEMA = schema_of(Query)


def sdl() -> str:
    """Return the schema in the schema definition language, as in `schema.graphql`."""
    return SCHEMA.as_str().rstrip() + "\n"
