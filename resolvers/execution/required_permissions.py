"""The permissions that an operation requires: those of all its fields, before anything runs.

Fields that `@skip` and `@include` leave out count as selected, and so do fields in fragments on
types that may never occur. Each field and each fragment is visited once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from gateway.auth.permissions import OPEN, Caller, Permission, Requirement
from gateway.context import CHANGES_REQUIRE
from gateway.errors import Forbidden
from resolvers.field_permissions import requirement_of

CHANGES: Mapping[str, Sequence[str]] = {
    **{name: (name,) for name in CHANGES_REQUIRE},
    "Change": tuple(CHANGES_REQUIRE),
}
"""The types of change whose fields a type has."""


class FieldSite(NamedTuple):
    """A field that requires a permission."""

    path: str
    """The names of the fields that lead to it, starting at the operation or a fragment's type."""
    node: FieldNode
    own: bool


class OperationRequirements(NamedTuple):
    """The requirement of one operation, and the fields it comes from."""

    requirement: Requirement
    sites: Mapping[Permission, FieldSite]
    """For each permission, a field that requires it: the first one that `own:read` does not
    replace, if any."""
    changes: Mapping[str, Requirement]
    """For each type of change that is selected, what it requires at its own provider, with all
    that is selected below it. It narrows nothing else."""

    def refusals(self, caller: Caller) -> Sequence[GraphQLError]:
        """Return the errors of a refused caller: one per permission held at no provider."""
        missing = {
            permission: site
            for permission, site in self.sites.items()
            if not caller.holds(permission)
        }
        if not missing:
            names = ", ".join(sorted(self.sites))
            return [_refusal(f"No provider grants you all of {names}.", ())]
        return [
            _refusal(f"{site.path} needs the scope {permission}.", [site.node])
            for permission, site in missing.items()
        ]


NOTHING = OperationRequirements(OPEN, {}, {})
"""The requirements of an operation that does not exist."""


def _refusal(message: str, nodes: Sequence[FieldNode]) -> GraphQLError:
    return GraphQLError(message, nodes, original_error=Forbidden(message))


def required_permissions(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> OperationRequirements:
    """Return the requirements of an operation of a valid document."""
    collector = _Requirements(schema)
    root = schema.get_root_type(operation.operation)
    collector.visit(root, operation.selection_set, (), ())
    for name, changes in collector.spread:  # grows while fragments are visited
        fragment = fragments[name]
        condition = fragment.type_condition.name.value
        collector.visit(schema.get_type(condition), fragment.selection_set, (condition,), changes)
    requirement = Requirement(frozenset(collector.sites), collector.own)
    return OperationRequirements(requirement, collector.sites, collector.changes)


class _Requirements:
    """Collects the requirements of fields, and the fragments to visit."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.sites: dict[Permission, FieldSite] = {}
        self.own = True
        self.spread: list[tuple[str, Sequence[str]]] = []
        """Fragments, each with the types of change that it is selected of."""
        self.changes: dict[str, Requirement] = {}

    def visit(
        self,
        parent: Any,
        selected: SelectionSetNode,
        path: tuple[str, ...],
        changes: Sequence[str],
    ) -> None:
        """Visit the selection of a type; the fields of `path` belong to these types of change."""
        for node in selected.selections:
            if isinstance(node, FieldNode):
                self._field(parent, node, (*path, node.name.value), changes)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inside = (
                    parent if condition is None else self._schema.get_type(condition.name.value)
                )
                self.visit(inside, node.selection_set, path, changes)
            elif isinstance(node, FragmentSpreadNode):
                spread = (node.name.value, changes)
                if spread not in self.spread:
                    self.spread.append(spread)

    def _field(
        self, parent: Any, node: FieldNode, path: tuple[str, ...], changes: Sequence[str]
    ) -> None:
        field = self._schema.get_field(parent, node.name.value)
        if field is None:
            raise TypeError(node)  # the document is not valid
        changes = changes or CHANGES.get(parent.name, ())
        # Introspection is not subject to permissions of fields.
        if "__" not in {node.name.value[:2], parent.name[:2]}:
            self._require(requirement_of(parent, field), path, node, changes)
        if node.selection_set is not None:
            self.visit(get_named_type(field.type), node.selection_set, path, changes)

    def _require(
        self,
        requirement: Requirement,
        path: tuple[str, ...],
        node: FieldNode,
        changes: Sequence[str],
    ) -> None:
        for name in changes:
            known = self.changes.get(name, CHANGES_REQUIRE[name])
            self.changes[name] = Requirement(
                known.permissions | requirement.permissions, known.own and requirement.own
            )
        if changes:
            return
        self.own = self.own and requirement.own
        for permission in sorted(requirement.permissions):
            site = self.sites.get(permission)
            if site is None or (site.own and not requirement.own):
                self.sites[permission] = FieldSite(".".join(path), node, requirement.own)
