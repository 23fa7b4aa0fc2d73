"""Plan an operation once: which fields of which types it selects, and how each gets its value.

A plan serves every execution of the operation with the same values in `@skip` and `@include`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    Node,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_argument_values,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from graphql.language import Visitor, visit
from strawberry.types.arguments import convert_arguments

from resolvers.field_declarations import DECLARATION, Declaration, ResolverKind
from resolvers.lookahead import Lookahead

STRAWBERRY = "strawberry-definition"
"""The key of Strawberry's definitions in graphql-core's `extensions`."""

MAX_FIELDS = 1000
"""Fields of one plan: nested fragments can expand to exponentially many."""

PLAIN = frozenset({GraphQLID, GraphQLString, GraphQLInt, GraphQLBoolean})
"""Argument types whose values Strawberry passes on as graphql-core coerces them."""

ONLY_DIRECTIVES = frozenset({"skip", "include"})


class UnplannableError(Exception):
    """The operation or its variables cannot be planned: graphql-core executes it."""


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
    selections: dict[GraphQLObjectType, SelectionPlan] = field(default_factory=dict)
    """The selection below the field, by possible object type."""
    below: list[SelectionPlan] = field(default_factory=list)
    """For a field that is read: the selections with reads that are completed together with it."""
    info_slot: int = -1
    """The slot of its `FieldInfo`; -1 if its function takes none."""
    arguments: list[int] = field(default_factory=list)
    """The slots of its arguments, in the order of the function's parameters."""
    plain: list[tuple[int, str]] = field(default_factory=list)
    """If only plain variables vary its arguments: the slots and the names of the variables."""
    complete: Any = None
    """For a field that is read: `(results, objects, slots)` adds results to the objects."""

    @property
    def is_read(self) -> bool:
        """True if its value has to be read."""
        return self.declaration is not None and self.declaration.kind in {
            ResolverKind.READ,
            ResolverKind.READ_ALL,
        }


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
        self._details = {name: FragmentDetails(each) for name, each in fragments.items()}
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
            collected = collect_fields(
                self._schema, self._details, self._variables, query, self._operation
            )
            self._plan.root = self._selection(query, collected, self._plan.below)
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
        self, kind: GraphQLObjectType, collected: CollectedFields, level: list[SelectionPlan]
    ) -> SelectionPlan:
        if collected.new_defer_usages:
            raise UnplannableError
        selection = SelectionPlan(kind)
        selection.fields = [
            self._field(kind, key, details, level)
            for key, details in collected.grouped_field_set.items()
        ]
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
        details: FieldDetailsList,
        level: list[SelectionPlan],
    ) -> FieldPlan:
        self._count += 1
        nodes = [each.node for each in details]
        directives = {d.name.value for node in nodes for d in node.directives or ()}
        definition = self._schema.get_field(parent, nodes[0].name.value)
        if self._count > MAX_FIELDS or directives - ONLY_DIRECTIVES or definition is None:
            raise UnplannableError
        name = nodes[0].name.value
        field_plan = FieldPlan(key, parent, name, nodes, definition.type)
        if name == "__typename":
            return field_plan
        self._declare(field_plan, definition)
        named = get_named_type(definition.type)
        if isinstance(named, GraphQLObjectType):
            kinds: Sequence[GraphQLObjectType] = (named,)
        elif isinstance(named, (GraphQLInterfaceType, GraphQLUnionType)):
            kinds = self._schema.get_possible_types(named)
        elif is_leaf_type(named):
            kinds = ()
        else:
            raise UnplannableError
        for kind in kinds:
            collected = collect_subfields(
                self._schema, self._details, self._variables, self._operation, kind, details
            )
            field_plan.selections[kind] = self._selection(
                kind, collected, field_plan.below if field_plan.is_read else level
            )
        return field_plan

    def _declare(self, field_plan: FieldPlan, definition: GraphQLField) -> None:
        """Set how the field gets its value."""
        strawberry_field = definition.extensions.get(STRAWBERRY)
        if strawberry_field is None or strawberry_field.extensions:
            raise UnplannableError
        declaration = strawberry_field.metadata.get(DECLARATION)
        if declaration is None:
            if not strawberry_field.is_basic_field:
                raise UnplannableError
            field_plan.path = strawberry_field.python_name
            return
        field_plan.declaration = declaration
        field_plan.path = declaration.path
        if declaration.takes_info:
            field_plan.info_slot = self._slot()
            self._plan.info_slots.append(
                (field_plan.info_slot, Lookahead(field_plan.nodes, self._fragments))
            )
        field_plan.arguments = [self._slot() for _ in declaration.parameters]
        if any(_has_variable(node) for node in field_plan.nodes):
            self._plan.varying.append((field_plan, definition))
            field_plan.plain = self._plain(field_plan, definition)
        elif field_plan.arguments:
            fill(self._schema, field_plan, definition, VariableValues({}, {}), self._plan.slots)

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
            elif value is not None and _varies(value):
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
    strawberry_schema = schema.extensions[STRAWBERRY]
    try:
        given = convert_arguments(
            get_argument_values(definition, field_plan.nodes[0], variables),
            definition.extensions[STRAWBERRY].arguments,
            scalar_registry=strawberry_schema.schema_converter.scalar_registry,
            config=strawberry_schema.config,
        )
    except GraphQLError as error:
        raise UnplannableError from error
    parameters = field_plan.declaration.parameters if field_plan.declaration else ()
    for slot, parameter in zip(field_plan.arguments, parameters, strict=True):
        slots[slot] = given.get(parameter.name, parameter.default)
        if slots[slot] is inspect.Parameter.empty:
            raise UnplannableError


class _Variables(Visitor):
    """Collects the names of variables."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        super().__init__()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def _has_variable(node: FieldNode) -> bool:
    return any(_varies(argument) for argument in node.arguments or ())


def _varies(node: Node) -> bool:
    variables = _Variables()
    visit(node, variables)
    return bool(variables.names)
