"""Plan an operation once: which fields of which types it selects, and how each gets its value.

A plan serves every execution of the operation with the same values in `@skip` and `@include`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    OperationType,
    Undefined,
    VariableNode,
    get_argument_values,
    get_named_type,
    get_nullable_type,
)
from graphql.execution.values import VariableValues
from graphql.utilities import coerce_input_literal

from resolvers.execution.field_arguments import (
    PLAIN,
    STRAWBERRY,
    converted,
    has_variable,
    parameters_of,
    varies,
)
from resolvers.execution.selected_fields import SelectedFields, UnplannableError
from resolvers.field_declarations import DECLARATION, Declaration, ResolverKind
from resolvers.lookahead import Lookahead

MAX_FIELDS = 1000
"""Fields of one plan: nested fragments can expand to exponentially many."""

MAX_CACHED = 4096
"""More than a schema has fields."""

READS = frozenset({ResolverKind.READ, ResolverKind.READ_ALL})


@dataclass(eq=False, slots=True)
class SelectionPlan:
    """The selection of a field, for objects of one type."""

    type: GraphQLObjectType
    fields: list["FieldPlan"] = field(default_factory=list)
    reads: list["FieldPlan"] = field(default_factory=list)
    """The fields that have to be read."""
    values: int = -1
    """The slot of the values completed with this selection, if it has reads."""
    objects: int = -1
    """The slot of the objects of these values."""
    waits: bool = False
    """Whether it, or a selection that is completed together with it, has reads."""


@dataclass(eq=False, slots=True)
class FieldPlan:
    """One field of a selection; its field nodes are merged."""

    key: str
    parent: GraphQLObjectType
    name: str
    nodes: Sequence[FieldNode]
    type: GraphQLOutputType
    path: str = ""
    """The attribute path; empty if a function computes or reads the value."""
    declaration: Declaration | None = None
    is_read: bool = False
    """True if its value has to be read."""
    selections: dict[GraphQLObjectType, SelectionPlan] = field(default_factory=dict)
    """The selection below the field, by possible object type."""
    below: Sequence[SelectionPlan] = ()
    """For a field that is read: the selections with reads that are completed together with it."""
    info_slot: int = -1
    """The slot of its `FieldInfo`; -1 if its function takes none."""
    arguments: Sequence[int] = ()
    """The slots of its arguments, in the order of the function's parameters."""
    plain: Sequence[tuple[int, str]] = ()
    """If only plain variables vary its arguments: the slots and the names of the variables."""
    complete: Any = None
    """For a field that is read: `(results, objects, slots)` adds results to the objects."""


@dataclass(eq=False, slots=True)
class Plan:
    """How to execute one operation."""

    root: SelectionPlan
    below: list[SelectionPlan]
    slots: list[Any] = field(default_factory=list)
    """The initial slots of an execution: constant arguments, None for everything else."""
    lists: list[int] = field(default_factory=list)
    """Slots that start with an empty list."""
    info_slots: list[tuple[int, Lookahead]] = field(default_factory=list)
    varying: list[tuple[FieldPlan, GraphQLField]] = field(default_factory=list)
    """Fields whose arguments contain variables."""
    is_plain: bool = True
    """Whether all of them take plain variables only."""
    kinds: int = -1
    """The slot of the selections of objects in fields of abstract type, by `id`."""
    start: Any = None
    """`(slots) -> dict` builds the root object."""


class _KnownField(NamedTuple):
    """What all plans know about a field of the schema."""

    definition: GraphQLField
    kinds: Sequence[GraphQLObjectType]
    """The types that its value may have; empty if it is a scalar or enum."""
    path: str
    declaration: Declaration | None
    is_read: bool = False


@lru_cache(maxsize=MAX_CACHED)
def _known_field(schema: GraphQLSchema, parent: GraphQLObjectType, name: str) -> _KnownField:
    """Return what is known about a field. Raises `UnplannableError`."""
    definition = schema.get_field(parent, name)
    if definition is None:
        raise UnplannableError
    named = get_named_type(definition.type)
    kinds: Sequence[GraphQLObjectType] = ()
    if isinstance(named, GraphQLObjectType):
        kinds = (named,)
    elif isinstance(named, (GraphQLInterfaceType, GraphQLUnionType)):
        kinds = tuple(schema.get_possible_types(named))
    if name == "__typename":
        return _KnownField(definition, kinds, "", None)
    strawberry_field = definition.extensions.get(STRAWBERRY)
    if strawberry_field is None or strawberry_field.extensions:
        raise UnplannableError
    declaration = strawberry_field.metadata.get(DECLARATION)
    if declaration is not None:
        is_read = declaration.kind in READS
        return _KnownField(definition, kinds, declaration.path, declaration, is_read)
    if not strawberry_field.is_basic_field:
        raise UnplannableError
    return _KnownField(definition, kinds, strawberry_field.python_name, None)


class Planner:
    """Plans one operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        """Plan for these variables; only those in `@skip` and `@include` matter."""
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._selected = SelectedFields(schema, fragments, variables)
        self._variables = variables
        self._count = 0

    def plan(self) -> Plan:
        """Return the plan. Raises `UnplannableError`."""
        query = self._schema.query_type
        if self._operation.operation is not OperationType.QUERY or query is None:
            raise UnplannableError
        self._plan = Plan(SelectionPlan(query), [])
        self._plan.kinds = self._slot()
        try:
            fields = self._selected.of(query, [self._operation.selection_set])
            self._plan.root = self._selection(query, fields, self._plan.below)
        except GraphQLError as error:
            raise UnplannableError from error
        self._plan.is_plain = all(each.plain for each, _ in self._plan.varying)
        if self._plan.below == [self._plan.root] and len(self._plan.root.reads) == 1:
            for number, selection in self._plan.info_slots:
                selection.is_alone = number == self._plan.root.reads[0].info_slot
        return self._plan

    def _slot(self, value: Any = None) -> int:
        self._plan.slots.append(value)
        return len(self._plan.slots) - 1

    def _selection(
        self,
        kind: GraphQLObjectType,
        fields: Mapping[str, Sequence[FieldNode]],
        level: list[SelectionPlan],
    ) -> SelectionPlan:
        selection = SelectionPlan(kind)
        selection.fields = [self._field(kind, key, nodes, level) for key, nodes in fields.items()]
        selection.reads = [each for each in selection.fields if each.is_read]
        selection.waits = bool(selection.reads) or any(
            below.waits for each in selection.fields for below in each.selections.values()
        )
        if selection.reads:
            selection.values, selection.objects = self._slot(), self._slot()
            self._plan.lists += [selection.values, selection.objects]
            level.append(selection)
        return selection

    def _field(
        self,
        parent: GraphQLObjectType,
        key: str,
        nodes: Sequence[FieldNode],
        level: list[SelectionPlan],
    ) -> FieldPlan:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise UnplannableError
        name = nodes[0].name.value
        known = _known_field(self._schema, parent, name)
        definition, kinds, path, declaration, is_read = known
        field_plan = FieldPlan(
            key, parent, name, nodes, definition.type, path, declaration, is_read
        )
        if declaration is not None:
            self._declare(field_plan, declaration, definition)
        if not kinds:
            return field_plan
        if is_read:
            field_plan.below = level = []
        selected = [each.selection_set for each in nodes if each.selection_set]
        for kind in kinds:
            fields = self._selected.of(kind, selected)
            field_plan.selections[kind] = self._selection(kind, fields, level)
        return field_plan

    def _declare(
        self, field_plan: FieldPlan, declaration: Declaration, definition: GraphQLField
    ) -> None:
        """Set how a function gets the value of the field."""
        if declaration.takes_info:
            field_plan.info_slot = self._slot()
            self._plan.info_slots.append(
                (field_plan.info_slot, Lookahead(field_plan.nodes, self._fragments))
            )
        if not declaration.parameters:
            return
        field_plan.arguments = [self._slot() for _ in declaration.parameters]
        if self._simple(field_plan):
            if field_plan.plain:
                self._plan.varying.append((field_plan, definition))
        elif any(has_variable(node) for node in field_plan.nodes):
            self._plan.varying.append((field_plan, definition))
            field_plan.plain = self._plain(field_plan, definition)
        else:
            fill(self._schema, field_plan, definition, VariableValues({}, {}), self._plan.slots)

    def _simple(self, field_plan: FieldPlan) -> bool:
        """Set the arguments, and `plain`, if all are absent or of plain types."""
        given = {each.name.value: each.value for each in field_plan.nodes[0].arguments or ()}
        parameters = parameters_of(self._schema, field_plan.parent, field_plan.name)
        values, plain = [], []
        for slot, parameter in zip(field_plan.arguments, parameters, strict=True):
            value = given.get(parameter.name)
            if value is None:
                values.append(parameter.default)
            elif not parameter.is_plain:
                return False
            elif isinstance(value, VariableNode):
                plain.append((slot, value.name.value))
                values.append(None)
            else:
                values.append(coerce_input_literal(value, parameter.type))
        if any(value is inspect.Parameter.empty or value is Undefined for value in values):
            return False  # `in` would find None, which equals `Undefined`
        for slot, value in zip(field_plan.arguments, values, strict=True):
            self._plan.slots[slot] = value
        field_plan.plain = plain
        return True

    def _plain(self, field_plan: FieldPlan, definition: GraphQLField) -> list[tuple[int, str]]:
        """Set the constant arguments; return the others if they are all plain variables.

        Return none, too, if these variables are not sufficient: each execution then coerces its
        own.
        """
        strawberry_field = definition.extensions[STRAWBERRY]
        name_of = self._schema.extensions[STRAWBERRY].config.name_converter.from_argument
        names = {each.python_name: name_of(each) for each in strawberry_field.arguments}
        given = {each.name.value: each.value for each in field_plan.nodes[0].arguments or ()}
        plain = []
        parameters = field_plan.declaration.parameters if field_plan.declaration else ()
        for slot, parameter in zip(field_plan.arguments, parameters, strict=True):
            value = given.get(names[parameter.name])
            if isinstance(value, VariableNode):
                if get_nullable_type(definition.args[names[parameter.name]].type) not in PLAIN:
                    return []
                plain.append((slot, value.name.value))
            elif value is not None and varies(value):
                return []
        slots = self._plan.slots.copy()
        try:
            fill(self._schema, field_plan, definition, self._variables, slots)
        except UnplannableError:
            return []
        for slot, _ in plain:
            slots[slot] = None
        self._plan.slots[:] = slots
        return plain


def fill(
    schema: GraphQLSchema,
    field_plan: FieldPlan,
    definition: GraphQLField,
    variables: VariableValues,
    slots: list[Any],
) -> None:
    """Set the slots of a field's arguments. Raises `UnplannableError` for invalid arguments."""
    for slot, name in field_plan.plain:
        slots[slot] = variables.coerced.get(name)
        if slots[slot] is None:  # null or missing: a default may apply
            break
    else:
        if field_plan.plain:
            return
    try:
        given = converted(
            schema, definition, get_argument_values(definition, field_plan.nodes[0], variables)
        )
    except GraphQLError as error:
        raise UnplannableError from error
    parameters = field_plan.declaration.parameters if field_plan.declaration else ()
    for slot, parameter in zip(field_plan.arguments, parameters, strict=True):
        slots[slot] = given.get(parameter.name, parameter.default)
        if slots[slot] is inspect.Parameter.empty:
            raise UnplannableError
