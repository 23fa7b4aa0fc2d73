"""What one operation asks, worked out once: which fields of which types, and how each is got.

A plan is good for every run of its operation with the same values in `@skip` and `@include`.
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
"""Where Strawberry keeps its own of each part of the schema."""

MOST_FIELDS = 1000
"""Fields of a plan: fragments within fragments can stand for exponentially many."""

PLAIN = frozenset({GraphQLID, GraphQLString, GraphQLInt, GraphQLBoolean})
"""The types of arguments that Strawberry hands on as graphql-core has coerced them."""

ONLY_DIRECTIVES = frozenset({"skip", "include"})


class UnplannableError(Exception):
    """There is no plan for the operation, or not for these variables: graphql-core runs it."""


@dataclass(eq=False, slots=True)
class SelectionPlan:
    """What is selected of objects of one type, wherever its field stands."""

    type: GraphQLObjectType
    fields: list["FieldPlan"] = field(default_factory=list)
    reads: list["FieldPlan"] = field(default_factory=list)
    """Those of the fields that wait for something."""
    values: int = -1
    """The slot of the values that were completed with this selection, if it has reads."""
    made: int = -1
    """The slot of the objects that were made of them."""
    waits: bool = False
    """It has reads, or something that is made together with its objects has."""


@dataclass(eq=False, slots=True)
class FieldPlan:
    """One field of a selection; all its mentions are merged."""

    key: str
    parent: GraphQLObjectType
    name: str
    nodes: Sequence[FieldNode]
    type: GraphQLOutputType
    path: str = ""
    """The attribute of the value that it is; empty where a function computes or reads it."""
    declaration: Declaration | None = None
    selections: dict[GraphQLObjectType, SelectionPlan] = field(default_factory=dict)
    """What is selected below it, for each type that may stand there."""
    below: list[SelectionPlan] = field(default_factory=list)
    """Of a field that is read: the selections with reads that are made in one go with it."""
    info_slot: int = -1
    """The slot of what its function may use."""
    arguments: list[int] = field(default_factory=list)
    """The slots of its arguments, in the function's order."""
    plain: list[tuple[int, str]] = field(default_factory=list)
    """Where its arguments vary by plain variables alone: their slots, and the variables' names."""
    complete: Any = None
    """Of a field that is read: `(answers, objects, slots) -> None` puts the answers into them."""

    @property
    def is_read(self) -> bool:
        """True when its value is waited for."""
        return self.declaration is not None and self.declaration.kind in {
            ResolverKind.READ,
            ResolverKind.READ_ALL,
        }


@dataclass(eq=False, slots=True)
class Plan:
    """How to run one operation."""

    root: SelectionPlan
    below: list[SelectionPlan]
    slots: list[Any] = field(default_factory=list)
    """What a run starts from: its constant arguments, with None where the rest goes."""
    lists: list[int] = field(default_factory=list)
    """Slots that a run fills with a list each."""
    info_slots: list[tuple[int, Lookahead]] = field(default_factory=list)
    varying: list[tuple[FieldPlan, GraphQLField]] = field(default_factory=list)
    """Fields whose arguments hold variables."""
    is_plain: bool = True
    """Whether all these take them as they are."""
    kinds: int = -1
    """The slot of the selection of each object that stands where several types may."""
    start: Any = None
    """`(slots) -> dict` makes the root object."""


class Planner:
    """Makes the plan of one operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        """Plan for these variables as far as they decide what is skipped."""
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
            found = collect_fields(
                self._schema, self._details, self._variables, query, self._operation
            )
            self._plan.root = self._selection(query, found, self._plan.below)
        except GraphQLError as error:
            raise UnplannableError from error
        self._plan.is_plain = all(made.plain for made, _ in self._plan.varying)
        if self._plan.below == [self._plan.root] and len(self._plan.root.reads) == 1:
            for number, selection in self._plan.info_slots:
                selection.is_alone = number == self._plan.root.reads[0].info_slot
        return self._plan

    def _slot(self, value: Any = None) -> int:
        self._plan.slots.append(value)
        return len(self._plan.slots) - 1

    def _selection(
        self, kind: GraphQLObjectType, found: CollectedFields, wave: list[SelectionPlan]
    ) -> SelectionPlan:
        if found.new_defer_usages:
            raise UnplannableError
        made = SelectionPlan(kind)
        made.fields = [
            self._field(kind, key, details, wave)
            for key, details in found.grouped_field_set.items()
        ]
        made.reads = [each for each in made.fields if each.is_read]
        made.waits = bool(made.reads) or any(
            below.waits for each in made.fields for below in each.selections.values()
        )
        if made.reads:
            made.values, made.made = self._slot(), self._slot()
            self._plan.lists += [made.values, made.made]
            wave.append(made)
        return made

    def _field(
        self,
        parent: GraphQLObjectType,
        key: str,
        details: FieldDetailsList,
        wave: list[SelectionPlan],
    ) -> FieldPlan:
        self._count += 1
        nodes = [each.node for each in details]
        known = {d.name.value for node in nodes for d in node.directives or ()} <= ONLY_DIRECTIVES
        definition = self._schema.get_field(parent, nodes[0].name.value)
        if self._count > MOST_FIELDS or not known or definition is None:
            raise UnplannableError
        name = nodes[0].name.value
        made = FieldPlan(key, parent, name, nodes, definition.type)
        if name == "__typename":
            return made
        self._get(made, definition)
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
            found = collect_subfields(
                self._schema, self._details, self._variables, self._operation, kind, details
            )
            made.selections[kind] = self._selection(
                kind, found, made.below if made.is_read else wave
            )
        return made

    def _get(self, made: FieldPlan, definition: GraphQLField) -> None:
        """Find out how the field gets its value."""
        strawberry_field = definition.extensions.get(STRAWBERRY)
        if strawberry_field is None or strawberry_field.extensions:
            raise UnplannableError
        declaration = strawberry_field.metadata.get(DECLARATION)
        if declaration is None:
            if not strawberry_field.is_basic_field:
                raise UnplannableError
            made.path = strawberry_field.python_name
            return
        made.declaration = declaration
        made.path = declaration.path
        if declaration.takes_info:
            made.info_slot = self._slot()
            self._plan.info_slots.append((made.info_slot, Lookahead(made.nodes, self._fragments)))
        made.arguments = [self._slot() for _ in declaration.parameters]
        if any(_has_variable(node) for node in made.nodes):
            self._plan.varying.append((made, definition))
            made.plain = self._plain(made, definition)
        elif made.arguments:
            fill(self._schema, made, definition, VariableValues({}, {}), self._plan.slots)

    def _plain(self, made: FieldPlan, definition: GraphQLField) -> list[tuple[int, str]]:
        """Fill in the constant arguments; return the others if all are variables as they are.

        None are, also, where these variables do not suffice: each run looks then for itself.
        """
        strawberry_field = definition.extensions[STRAWBERRY]
        name_of = self._schema.extensions[STRAWBERRY].config.name_converter.from_argument
        names = {each.python_name: name_of(each) for each in strawberry_field.arguments}
        given = {each.name.value: each.value for each in made.nodes[0].arguments or ()}
        found = []
        parameters = made.declaration.parameters if made.declaration else ()
        for slot, parameter in zip(made.arguments, parameters, strict=True):
            value = given.get(names[parameter.name])
            if isinstance(value, VariableNode):
                if get_nullable_type(definition.args[names[parameter.name]].type) not in PLAIN:
                    return []
                found.append((slot, value.name.value))
            elif value is not None and _varies(value):
                return []
        slots = self._plan.slots.copy()
        try:
            fill(self._schema, made, definition, self._variables, slots)
        except UnplannableError:
            return []
        for slot, _ in found:
            slots[slot] = None
        self._plan.slots[:] = slots
        return found


def fill(
    schema: GraphQLSchema,
    made: FieldPlan,
    definition: GraphQLField,
    variables: VariableValues,
    slots: list[Any],
) -> None:
    """Put a field's arguments into their slots. Raises `UnplannableError` for bad ones."""
    for slot, name in made.plain:
        slots[slot] = variables.coerced.get(name)
        if slots[slot] is None:  # null, or missing: defaults are to be weighed
            break
    else:
        if made.plain:
            return
    strawberry_schema = schema.extensions[STRAWBERRY]
    try:
        given = convert_arguments(
            get_argument_values(definition, made.nodes[0], variables),
            definition.extensions[STRAWBERRY].arguments,
            scalar_registry=strawberry_schema.schema_converter.scalar_registry,
            config=strawberry_schema.config,
        )
    except GraphQLError as error:
        raise UnplannableError from error
    parameters = made.declaration.parameters if made.declaration else ()
    for slot, parameter in zip(made.arguments, parameters, strict=True):
        slots[slot] = given.get(parameter.name, parameter.default)
        if slots[slot] is inspect.Parameter.empty:
            raise UnplannableError


class _Variables(Visitor):
    """Notes the variables that it comes by."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        super().__init__()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def _has_variable(node: FieldNode) -> bool:
    return any(_varies(argument) for argument in node.arguments or ())


def _varies(node: Node) -> bool:
    found = _Variables()
    visit(node, found)
    return bool(found.names)
