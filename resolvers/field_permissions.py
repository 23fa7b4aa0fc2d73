"""Permissions of fields: declared beside a field, or on its type for all fields without their own.

A type declares them in its attribute `requirement`. `resolvers.execution.required_permissions`
combines the requirements of all fields of an operation.
"""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLField, GraphQLInterfaceType, GraphQLObjectType

from gateway.auth.permissions import OPEN, UNDECLARED, Permission, Requirement

__all__ = [
    "OPEN",
    "Permission",
    "Requirement",
    "permission_metadata",
    "requirement_of",
    "requires",
]

REQUIREMENT = "resolvers.field_permissions"
"""The key of a requirement in a Strawberry field's metadata."""

STRAWBERRY = "strawberry-definition"


def requires(*permissions: Permission, own: bool = False) -> Requirement:
    """Require all these permissions; with `own`, `own:read` suffices for the caller's own data."""
    return Requirement(frozenset(permissions), own)


def permission_metadata(requirement: Requirement | None) -> Mapping[str, Any]:
    """Return the Strawberry metadata of a requirement; None: use the requirement of the type."""
    return {} if requirement is None else {REQUIREMENT: requirement}


def requirement_of(
    parent: GraphQLObjectType | GraphQLInterfaceType, field: GraphQLField
) -> Requirement:
    """Return the requirement of a field of a type; `UNDECLARED` if neither declares one."""
    requirement: Requirement | None = None
    if (strawberry_field := field.extensions.get(STRAWBERRY)) is not None:
        requirement = strawberry_field.metadata.get(REQUIREMENT)
    if requirement is None and (definition := parent.extensions.get(STRAWBERRY)) is not None:
        requirement = getattr(definition.origin, "requirement", None)
    return requirement or UNDECLARED
