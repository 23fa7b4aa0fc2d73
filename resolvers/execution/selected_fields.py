"""The fields that an operation selects of objects of one type, with `@skip` and `@include`."""

from collections.abc import Iterable, Mapping, Sequence

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    is_abstract_type,
)
from graphql.execution.values import VariableValues


class UnplannableError(Exception):
    """The operation or its variables cannot be planned: graphql-core executes it."""


class SelectedFields:
    """Collects fields in their order, as graphql-core does; fields of one key are merged."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        """Collect the fields that are selected with these variables."""
        self._schema = schema
        self._fragments = fragments
        self._variables = variables

    def of(
        self, kind: GraphQLObjectType, selected: Iterable[SelectionSetNode]
    ) -> dict[str, list[FieldNode]]:
        """Return the fields that these selections have together, by key.

        Raises `UnplannableError` for directives other than `@skip` and `@include`.
        """
        fields: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for each in selected:
            self._collect(kind, each, fields, spread)
        return fields

    def _collect(
        self,
        kind: GraphQLObjectType,
        selected: SelectionSetNode,
        fields: dict[str, list[FieldNode]],
        spread: set[str],
    ) -> None:
        for node in selected.selections:
            if node.directives and not self._is_selected(node.directives):
                continue
            if isinstance(node, FieldNode):
                key = (node.alias or node.name).value
                if key in fields:
                    fields[key].append(node)
                else:
                    fields[key] = [node]
                continue
            inside: InlineFragmentNode | FragmentDefinitionNode
            if isinstance(node, InlineFragmentNode):
                inside = node
            elif isinstance(node, FragmentSpreadNode):
                if node.name.value in spread:
                    continue
                spread.add(node.name.value)
                inside = self._fragments[node.name.value]
            else:
                raise TypeError(node)
            if self._applies(inside.type_condition, kind):
                self._collect(kind, inside.selection_set, fields, spread)

    def _applies(self, condition: NamedTypeNode | None, kind: GraphQLObjectType) -> bool:
        if condition is None or condition.name.value == kind.name:
            return True
        named = self._schema.get_type(condition.name.value)
        return is_abstract_type(named) and self._schema.is_sub_type(named, kind)

    def _is_selected(self, directives: Sequence[DirectiveNode]) -> bool:
        values = {each.name.value: self._condition(each) for each in directives}
        return not values.get("skip", False) and values.get("include", True)

    def _condition(self, directive: DirectiveNode) -> bool:
        if directive.name.value not in {"skip", "include"} or len(directive.arguments or ()) != 1:
            raise UnplannableError
        value: ValueNode = directive.arguments[0].value  # type: ignore[index]  # there is one
        condition = None
        if isinstance(value, BooleanValueNode):
            condition = value.value
        elif isinstance(value, VariableNode):
            condition = self._variables.coerced.get(value.name.value)
        if not isinstance(condition, bool):
            raise UnplannableError  # graphql-core reports it
        return condition
