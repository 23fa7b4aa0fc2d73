"""What the fields of the schema need of their caller: said beside a field, else on its type.

A type says it by an attribute `needs`, for all its fields that do not say it themselves. What an
operation needs with all of its fields is worked out in `resolvers.execution.required_permissions`.
"""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLField, GraphQLInterfaceType, GraphQLObjectType

from gateway.auth.permissions import OPEN, UNDECLARED, Permission, Requirement

__all__ = ["OPEN", "Permission", "Requirement", "declared", "requirement_of", "requires"]

REQUIREMENT = "resolvers.field_permissions"
"""The key of a declaration in a Strawberry field's metadata."""

STRAWBERRY = "strawberry-definition"


def requires(*rights: Permission, own: bool = False) -> Requirement:
    """Declare that all these rights are needed; `own`: or `own:read`, for the caller's own."""
    return Requirement(frozenset(rights), own)


def declared(needs: Requirement | None) -> Mapping[str, Any]:
    """Return a declaration as metadata of a Strawberry field; None: its type says it."""
    return {} if needs is None else {REQUIREMENT: needs}


def requirement_of(
    parent: GraphQLObjectType | GraphQLInterfaceType, field: GraphQLField
) -> Requirement:
    """Return what a field of a type needs; `UNDECLARED` where nobody says."""
    found: Requirement | None = None
    if (ours := field.extensions.get(STRAWBERRY)) is not None:
        found = ours.metadata.get(REQUIREMENT)
    if found is None and (kind := parent.extensions.get(STRAWBERRY)) is not None:
        found = getattr(kind.origin, "needs", None)
    return found or UNDECLARED
