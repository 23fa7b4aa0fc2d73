"""What an operation needs of its caller: all that its fields need, known before anything runs.

Whatever `@skip` and `@include` say counts as selected, and so does what stands in fragments for
types that may never come. Each field and each fragment is looked at once.
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
from gateway.errors import Forbidden
from resolvers.field_permissions import requirement_of


class FieldSite(NamedTuple):
    """A field that needs a right."""

    path: str
    """Its name behind those of the fields, or the fragment's type, that it stands in."""
    node: FieldNode
    own: bool


class OperationRequirements(NamedTuple):
    """What one operation needs, and why."""

    requirement: Requirement
    sites: Mapping[Permission, FieldSite]
    """For each right a field that needs it: the first that `own:read` does not open, if any."""

    def refusals(self, caller: Caller) -> Sequence[GraphQLError]:
        """Say what a caller lacks who is not admitted: one error for each right held nowhere."""
        lacking = {right: at for right, at in self.sites.items() if not caller.holds(right)}
        if not lacking:
            held = ", ".join(sorted(self.sites))
            return [_refusal(f"At no provider you hold all that this needs: {held}.", ())]
        return [
            _refusal(f"{at.path} needs the scope {right}.", [at.node])
            for right, at in lacking.items()
        ]


NOTHING = OperationRequirements(OPEN, {})
"""Of no operation."""


def _refusal(message: str, nodes: Sequence[FieldNode]) -> GraphQLError:
    return GraphQLError(message, nodes, original_error=Forbidden(message))


def required_permissions(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> OperationRequirements:
    """Return what an operation of a valid document needs."""
    found = _RequirementVisitor(TypeInfo(schema))
    found.look_at(operation)
    seen = 0
    while seen < len(found.spread):
        fragment = fragments[found.spread[seen]]
        found.look_at(fragment, fragment.type_condition.name.value)
        seen += 1
    return OperationRequirements(Requirement(frozenset(found.sites), found.own), found.sites)


class _RequirementVisitor(Visitor):
    """Notes what fields need, and the fragments that they come by."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self._path: list[str] = []
        self.sites: dict[Permission, FieldSite] = {}
        self.own = True
        self.spread: list[str] = []

    def look_at(
        self, definition: OperationDefinitionNode | FragmentDefinitionNode, *within: str
    ) -> None:
        self._path = [*within]
        visit(definition, TypeInfoVisitor(self._types, self))

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self._path.append(node.name.value)
        parent, field = self._types.get_parent_type(), self._types.get_field_def()
        # Introspection is no data: whether it is shown is not a question of rights.
        if parent is None or field is None or "__" in {node.name.value[:2], parent.name[:2]}:
            return
        required = requirement_of(parent, field)  # type: ignore[arg-type]  # a union has no fields of ours
        self.own = self.own and required.own
        for right in sorted(required.permissions):
            known = self.sites.get(right)
            if known is None or (known.own and not required.own):
                self.sites[right] = FieldSite(".".join(self._path), node, required.own)

    def leave_field(self, *_: Any) -> None:
        self._path.pop()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        if node.name.value not in self.spread:
            self.spread.append(node.name.value)
