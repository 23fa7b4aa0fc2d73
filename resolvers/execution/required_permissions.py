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
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    visit,
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
    visitor = _RequirementVisitor(TypeInfo(schema))
    visitor.visit_definition(operation)
    for name, changes in visitor.spread:  # grows while fragments are visited
        fragment = fragments[name]
        visitor.visit_definition(fragment, fragment.type_condition.name.value, changes=changes)
    requirement = Requirement(frozenset(visitor.sites), visitor.own)
    return OperationRequirements(requirement, visitor.sites, visitor.changes)


class _RequirementVisitor(Visitor):
    """Collects the requirements of fields, and the fragments to visit."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self._path: list[str] = []
        self.sites: dict[Permission, FieldSite] = {}
        self.own = True
        self.spread: list[tuple[str, Sequence[str]]] = []
        """Fragments, each with the types of change that it is selected of."""
        self.changes: dict[str, Requirement] = {}
        self._changes: list[Sequence[str]] = []
        """The types of change that each field of the path belongs to; none for other fields."""

    def visit_definition(
        self,
        definition: OperationDefinitionNode | FragmentDefinitionNode,
        *within: str,
        changes: Sequence[str] = (),
    ) -> None:
        self._path, self._changes = [*within], [changes]
        visit(definition, TypeInfoVisitor(self._types, self))

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self._path.append(node.name.value)
        parent, field = self._types.get_parent_type(), self._types.get_field_def()
        changes = self._changes[-1] or CHANGES.get(parent.name if parent else "", ())
        self._changes.append(changes)
        # Introspection is not subject to permissions of fields.
        if parent is None or field is None or "__" in {node.name.value[:2], parent.name[:2]}:
            return
        requirement = requirement_of(parent, field)  # type: ignore[arg-type]  # a union has no fields of ours
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
                self.sites[permission] = FieldSite(".".join(self._path), node, requirement.own)

    def leave_field(self, *_: Any) -> None:
        self._path.pop()
        self._changes.pop()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        spread = (node.name.value, self._changes[-1])
        if spread not in self.spread:
            self.spread.append(spread)
