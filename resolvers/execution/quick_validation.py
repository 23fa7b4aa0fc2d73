"""Recognise most valid documents in one walk, in a tenth of the time that graphql-core takes.

graphql-core shows every node to 32 rules. What is valid here is valid for all of them; the reverse
does not hold. Whatever is wrong or unusual (subscriptions, introspection, directives other than
`@skip` and `@include`, fields with arguments that occur twice) is left to graphql-core, which also
writes all errors. `tests/differential/test_validation.py` compares both.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NamedTypeNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    is_input_type,
    is_leaf_type,
    type_from_ast,
)
from graphql.utilities import do_types_overlap, is_type_sub_type_of, validate_input_literal

MAX_SELECTIONS = 2000
"""Selections with fragments expanded: graphql-core visits the fragments of larger ones once."""

MAX_DEPTH = 100
"""Nested selection sets: half of graphql-core's `MAX_NESTING_DEPTH`."""

MIN_INT, MAX_INT = -(2**31), 2**31 - 1

MAX_REPEATED = 50
"""Fields whose key occurs before; graphql-core gives up at some hundreds."""

MAX_DIGITS = 11
"""Of a 32-bit integer, with its sign."""

LITERALS: Mapping[Any, tuple[type[ValueNode], ...]] = {
    GraphQLString: (StringValueNode,),
    GraphQLID: (StringValueNode, IntValueNode),
    GraphQLBoolean: (BooleanValueNode,),
}
"""Literals that are valid whatever they contain."""

CONDITIONS = frozenset({"skip", "include"})


class _UnsureError(Exception):
    """The document may be invalid."""


def is_surely_valid(schema: GraphQLSchema, document: DocumentNode) -> bool:
    """Return True only if graphql-core finds no error in the document."""
    try:
        _Walk(schema, document).check()
    except (_UnsureError, RecursionError):
        return False
    return True


def _require(condition: object) -> None:
    if not condition:
        raise _UnsureError


class _Merged(NamedTuple):
    """Selections of one object."""

    fields: dict[str, tuple[FieldNode, Any]]
    """The first field of each key, and its type."""
    below: dict[str, list[SelectionSetNode]]
    """For keys that occur again: the selections below all of them."""
    spread: set[str]
    """The fragments that are part of them."""


class _Walk:
    """One walk through a document; each method raises `_UnsureError`."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._operations: list[OperationDefinitionNode] = []
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        for each in document.definitions:
            if isinstance(each, OperationDefinitionNode):
                self._operations.append(each)
            else:
                _require(isinstance(each, FragmentDefinitionNode))
                name = each.name.value  # type: ignore[attr-defined]  # it is a fragment
                _require(name not in self._fragments)
                self._fragments[name] = each  # type: ignore[assignment]  # likewise
        self._conditions: dict[str, Any] = {}
        """The types of fragments, by name."""
        self._spread: set[str] = set()
        """The fragments that are spread anywhere."""
        self._within: list[str] = []
        """The fragments whose own selections are being collected."""
        self._variables: dict[str, tuple[Any, bool]] = {}
        """The variables of the operation: their types, and whether a default replaces null."""
        self._used: set[str] = set()
        self._count = self._repeated = 0

    def check(self) -> None:
        """Check all operations, with the fragments that they spread."""
        names = {each.name.value for each in self._operations if each.name}
        _require(len(names) == len(self._operations) or len(self._operations) == 1)
        for name, fragment in self._fragments.items():
            _require(not (fragment.directives or fragment.variable_definitions))
            self._conditions[name] = self._condition(fragment.type_condition)
        for operation in self._operations:
            self._operation(operation)
        _require(len(self._spread) == len(self._fragments))

    def _operation(self, operation: OperationDefinitionNode) -> None:
        root = self._schema.get_root_type(operation.operation)
        _require(root is not None and operation.operation is not OperationType.SUBSCRIPTION)
        _require(not operation.directives)
        self._variables, self._used = {}, set()
        for each in operation.variable_definitions or ():
            name = each.variable.name.value
            kind = type_from_ast(self._schema, each.type)
            _require(name not in self._variables and not each.directives and is_input_type(kind))
            if each.default_value is not None:
                self._value(each.default_value, kind)
            has_default = each.default_value is not None and not isinstance(
                each.default_value, NullValueNode
            )
            self._variables[name] = kind, has_default
        self._selection(root, [operation.selection_set], 0)
        _require(len(self._used) == len(self._variables))

    def _condition(self, node: NamedTypeNode) -> Any:
        kind = self._schema.get_type(node.name.value)
        _require(is_composite_type(kind))
        return kind

    # Selections.

    def _selection(self, parent: Any, selected: Iterable[SelectionSetNode], depth: int) -> None:
        """Check selections that are merged, with all that is below them."""
        merged = _Merged({}, {}, set())
        deepest = max([self._collect(parent, each, merged, depth) for each in selected])
        for key, (node, kind) in merged.fields.items():
            if node.selection_set is not None:
                below = merged.below.get(key) or (node.selection_set,)
                self._selection(get_named_type(kind), below, deepest + 1)

    def _collect(
        self, parent: Any, selected: SelectionSetNode, merged: "_Merged", depth: int
    ) -> int:
        """Check and add the fields of a selection set; return the depth of its fragments."""
        self._count += len(selected.selections)
        _require(selected.selections and depth < MAX_DEPTH and self._count <= MAX_SELECTIONS)
        deepest = depth
        for node in selected.selections:
            if node.directives:
                self._directives(node.directives)
            if isinstance(node, FieldNode):
                self._add(merged, node, self._field(parent, node))
            elif isinstance(node, InlineFragmentNode):
                inside = parent
                if node.type_condition is not None:
                    inside = self._narrowed(parent, self._condition(node.type_condition))
                inner = self._collect(inside, node.selection_set, merged, depth + 1)
                deepest = max(deepest, inner)
            elif isinstance(node, FragmentSpreadNode):
                deepest = max(deepest, self._fragment(parent, node, merged, depth + 1))
        return deepest

    def _fragment(
        self, parent: Any, node: FragmentSpreadNode, merged: "_Merged", depth: int
    ) -> int:
        name = node.name.value
        _require(name in self._fragments and name not in self._within and not node.arguments)
        inside = self._narrowed(parent, self._conditions[name])
        self._spread.add(name)
        if name in merged.spread:
            return depth
        merged.spread.add(name)
        self._within.append(name)
        depth = self._collect(inside, self._fragments[name].selection_set, merged, depth)
        self._within.pop()
        return depth

    def _add(self, merged: "_Merged", node: FieldNode, kind: Any) -> None:
        """Add a field; another one of its key must be the same, whatever their objects' types."""
        key = (node.alias or node.name).value
        if key not in merged.fields:
            merged.fields[key] = node, kind
            return
        self._repeated += 1
        _require(self._repeated <= MAX_REPEATED)
        first, first_kind = merged.fields[key]
        _require(first.name.value == node.name.value and str(first_kind) == str(kind))
        _require(not (first.arguments or node.arguments))
        if first.selection_set is not None and node.selection_set is not None:
            merged.below.setdefault(key, [first.selection_set]).append(node.selection_set)

    def _narrowed(self, parent: Any, condition: Any) -> Any:
        _require(condition is parent or do_types_overlap(self._schema, condition, parent))
        return condition

    def _field(self, parent: Any, node: FieldNode) -> Any:
        """Check a field without what is below it; return its type."""
        name = node.name.value
        if name == "__typename":
            _require(node.selection_set is None and not node.arguments)
            return GraphQLString
        field = getattr(parent, "fields", {}).get(name)
        if field is None or _is_leaf(field.type) is not (node.selection_set is None):
            raise _UnsureError
        if field.args:
            self._arguments(node, field.args)
        elif node.arguments:
            raise _UnsureError
        return field.type

    def _arguments(self, node: FieldNode, known: Mapping[str, GraphQLArgument]) -> None:
        given = {each.name.value: each.value for each in node.arguments or ()}
        _require(len(given) == len(node.arguments or ()))
        self._inputs(given, known)

    def _directives(self, directives: Iterable[DirectiveNode]) -> None:
        names = set()
        for each in directives:
            name = each.name.value
            _require(name in CONDITIONS and name not in names and len(each.arguments or ()) == 1)
            names.add(name)
            for argument in each.arguments or ():
                _require(argument.name.value == "if")
                self._value(argument.value, BOOLEAN)

    # Values.

    def _inputs(
        self,
        given: Mapping[str, ValueNode],
        known: Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField],
    ) -> None:
        """Check arguments, or the fields of an input object."""
        for name, each in known.items():
            value = given.get(name)
            if value is not None:
                self._value(value, each.type)
            elif isinstance(each.type, GraphQLNonNull):
                _require(each.default is not None or each.default_value is not Undefined)
        _require(given.keys() <= known.keys())

    def _value(self, value: ValueNode, kind: Any) -> None:
        if isinstance(value, VariableNode):
            self._variable(value, kind)
            return
        if isinstance(kind, GraphQLNonNull):
            _require(not isinstance(value, NullValueNode))
            kind = kind.of_type
        elif isinstance(value, NullValueNode):
            return
        if isinstance(kind, GraphQLList):
            for each in value.values if isinstance(value, ListValueNode) else (value,):
                self._value(each, kind.of_type)
        elif isinstance(kind, GraphQLInputObjectType):
            _require(isinstance(value, ObjectValueNode) and not kind.is_one_of)
            parts = value.fields  # type: ignore[attr-defined]  # it is an object
            given = {each.name.value: each.value for each in parts}
            _require(len(given) == len(parts))
            self._inputs(given, kind.fields)
        else:
            self._literal(value, kind)

    def _literal(self, value: ValueNode, kind: Any) -> None:
        if isinstance(value, LITERALS.get(kind, ())):
            return
        if kind is GraphQLInt:
            _require(isinstance(value, IntValueNode) and len(value.value) <= MAX_DIGITS)
            _require(MIN_INT <= int(value.value) <= MAX_INT)  # type: ignore[attr-defined]  # it is one
        elif isinstance(kind, GraphQLEnumType):
            _require(isinstance(value, EnumValueNode) and value.value in kind.values)
        else:
            # A literal of a scalar of ours may have any form, but no variable is looked for in it.
            _require(not isinstance(value, (ListValueNode, ObjectValueNode)))
            errors: list[Any] = []
            validate_input_literal(value, kind, lambda *error: errors.append(error))
            _require(not errors)

    def _variable(self, node: VariableNode, expected: Any) -> None:
        name = node.name.value
        _require(name in self._variables)
        self._used.add(name)
        kind, has_default = self._variables[name]
        if kind is expected:
            return
        if (
            has_default
            and isinstance(expected, GraphQLNonNull)
            and not isinstance(kind, GraphQLNonNull)
        ):
            expected = expected.of_type
        _require(is_type_sub_type_of(self._schema, kind, expected))


@lru_cache(maxsize=4096)  # more than a schema has fields
def _is_leaf(kind: Any) -> bool:
    return is_leaf_type(get_named_type(kind))


BOOLEAN = GraphQLNonNull(GraphQLBoolean)
