"""Compute the cost of an operation from its document and variables, before it runs.

`cost = 10 x calls + objects`. Calls are the most upstream calls that its fields may cause, as far
as that is known in advance: see `field_costs`. An object of the response counts 1, and 1 more for
every ten fields beyond the first; connections and lists multiply what is below them. Fields that
`@skip` and `@include` leave out count as selected.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    NamedTypeNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
    is_object_type,
)
from graphql.utilities import value_from_ast_untyped

from resolvers.execution import field_costs
from resolvers.execution.field_arguments import STRAWBERRY
from resolvers.execution.field_costs import (
    ASSUMED_LENGTH,
    COST_ARGUMENTS,
    COSTS,
    SHARED_CALLS,
    FieldCost,
    Rule,
)
from resolvers.field_declarations import DECLARATION, ResolverKind

CALL_COST = 10
"""The cost of an upstream call."""

FIELDS_PER_OBJECT = 10
"""Fields that the cost of an object covers."""

FIELDS_PER_DOCUMENT = 10
"""A provider document of any size counts as this many fields."""

INTROSPECTION_COST = 20
"""The cost of an introspection object: graphql-core builds it in about 50 us."""

MAX_CACHED_COSTS = 64
"""Cached costs of one operation, by the variables they depend on."""

MAX_CACHED_FIELDS = 4096
"""More than a schema has fields."""

TEXTS = frozenset({str})
"""For lists of these types, only the length matters."""


class Cost(NamedTuple):
    """The highest cost of an operation."""

    requested: int
    calls: int


@dataclass(eq=False, slots=True)
class _Selected:
    """The selection of one type: the cost of an object, and the fields that add to it."""

    objects: int
    steps: list["_Step"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Step:
    """One field; its field nodes are merged."""

    rule: Rule
    given: dict[str, Any]
    """Its arguments without variables."""
    varying: dict[str, ValueNode]
    """Its arguments with variables."""
    below: Sequence[_Selected]
    """The selection of each possible type."""
    size_of: str = ""
    """The attribute of its parent's cost that is its size; empty if its own cost has the size."""
    is_free: bool = False
    """Whether the calls of a sibling field cover it, too."""


class CostAnalysis:
    """The cost of one operation, for any variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        """Analyse everything that depends neither on variables nor on the caller."""
        reader = _Reader(schema, fragments)
        root = schema.get_root_type(operation.operation)
        self._root = (
            _Selected(1) if root is None else reader.selected(root, [operation.selection_set])
        )
        self._variables = reader.variables
        self._defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
        }
        self._cache: dict[Any, Cost] = {}
        # Callers without restrictions see the same collection of providers each time.
        self._latest: tuple[Collection[str], Cost] = ((), Cost(0, 0))

    def cost(
        self,
        given: Mapping[str, Any] | None,
        visible: Collection[str],
        most_calls: Mapping[str, int] | None,
    ) -> Cost:
        """Return the cost with these uncoerced variables, for a caller who sees these providers.

        `most_calls`: the calls that each provider allows per operation, by key; None: unlimited.
        """
        if visible is self._latest[0]:
            return self._latest[1]
        providers = tuple(visible)
        if not self._variables:
            cost = self._cache.get(providers)
            if cost is None:
                cost = self._cache[providers] = self._compute(providers, {}, most_calls)
            self._latest = visible, cost
            return cost
        values = {
            name: self._value(name, given or {})
            if matters
            else bool(self._value(name, given or {}))
            for name, matters in self._variables.items()
        }
        key: tuple[Any, ...] = (providers,)
        for value in values.values():
            if isinstance(value, list) and TEXTS.issuperset(map(type, value)):
                key += ((len(value),),)
            elif isinstance(value, (list, dict)):
                return self._compute(providers, values, most_calls)
            else:
                key += (type(value), value)  # in Python 1, 1.0 and true are equal
        cost = self._cache.get(key)
        if cost is None:
            if len(self._cache) >= MAX_CACHED_COSTS:
                self._cache.clear()
            cost = self._cache[key] = self._compute(providers, values, most_calls)
        return cost

    def _value(self, name: str, given: Mapping[str, Any]) -> Any:
        return given[name] if name in given else self._defaults.get(name)

    def _compute(
        self,
        providers: tuple[str, ...],
        values: Mapping[str, Any],
        most_calls: Mapping[str, int] | None,
    ) -> Cost:
        calls, objects = _sum(self._root, FieldCost(), len(providers), values)
        if most_calls is not None:
            calls = min(calls, sum(most_calls[key] for key in providers))
        return Cost(CALL_COST * calls + objects, calls)


def _sum(
    selected: _Selected, above: FieldCost, providers: int, values: Mapping[str, Any]
) -> tuple[int, int]:
    """Return the calls and objects of one object, including everything below it."""
    calls, objects = 0, selected.objects
    for step in selected.steps:
        given = step.given
        if step.varying:
            given = given | {name: _plain(v, values) for name, v in step.varying.items()}
        cost = step.rule(given, providers)
        size = getattr(above, step.size_of) if step.size_of else cost.size
        sums = [_sum(each, cost, providers, values) for each in step.below]
        highest = max(sums, key=lambda each: CALL_COST * each[0] + each[1], default=(0, 0))
        calls += (0 if step.is_free else cost.calls) + size * highest[0]
        objects += cost.objects + size * highest[1]
    return calls, objects


class _Reader:
    """Reads the selections of an operation."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self.variables: dict[str, bool] = {}
        """The variables that affect the cost; False: it only matters whether they are given."""

    def selected(
        self, kind: GraphQLObjectType, selections: Iterable[SelectionSetNode]
    ) -> _Selected:
        grouped: dict[str, list[FieldNode]] = {}
        for node in self._fields(kind, selections, set()):
            grouped.setdefault((node.alias or node.name).value, []).append(node)
        selected = _Selected(0)
        count = 0
        together: set[str] = set()
        for nodes in grouped.values():
            known = _known_field(self._schema, kind, nodes[0].name.value)
            if known is None:
                continue
            count += known.fields
            if known.rule is None and not known.kinds:
                continue  # it only shows a value
            step = self._step(known, nodes)
            selected.steps.append(step)
            if known.group is not None:
                step.is_free = known.group in together
                together.add(known.group)
        selected.objects = 1 + max(count - 1, 0) // FIELDS_PER_OBJECT
        if kind.name.startswith("__"):
            selected.objects *= INTROSPECTION_COST
        return selected

    def _fields(
        self, kind: GraphQLObjectType, selections: Iterable[SelectionSetNode], spread: set[str]
    ) -> Iterator[FieldNode]:
        for selected in selections:
            for node in selected.selections:
                if isinstance(node, FieldNode):
                    yield node
                    continue
                inside: InlineFragmentNode | FragmentDefinitionNode
                if isinstance(node, FragmentSpreadNode):
                    if node.name.value in spread:
                        continue
                    spread.add(node.name.value)
                    inside = self._fragments[node.name.value]
                elif isinstance(node, InlineFragmentNode):
                    inside = node
                else:
                    raise TypeError(node)
                if self._applies(inside.type_condition, kind):
                    yield from self._fields(kind, [inside.selection_set], spread)

    def _applies(self, condition: NamedTypeNode | None, kind: GraphQLObjectType) -> bool:
        if condition is None or condition.name.value == kind.name:
            return True
        named = self._schema.get_type(condition.name.value)
        return is_abstract_type(named) and self._schema.is_sub_type(named, kind)

    def _step(self, known: "_KnownField", nodes: Sequence[FieldNode]) -> _Step:
        """Return the cost of a field."""
        step = _Step(known.rule or _one, {}, {}, (), known.size_of)
        for argument in nodes[0].arguments or ():
            if argument.name.value in COST_ARGUMENTS:
                self._argument(step, argument.name.value, argument.value)
        selections = [node.selection_set for node in nodes if node.selection_set]
        if selections:
            step.below = [self.selected(kind, selections) for kind in known.kinds]
        if nodes[0].name.value == "ofType":
            for each in step.below:
                each.objects = 1  # few types have one, and nesting is shallow
        return step

    def _argument(self, step: _Step, name: str, value: ValueNode) -> None:
        variables = [*_variables(value)]
        if variables:
            for each in variables:
                self.variables[each] = self.variables.get(each, False) or name != "after"
            step.varying[name] = value
        else:
            step.given[name] = value_from_ast_untyped(value)


class _KnownField(NamedTuple):
    """What all operations know about a field of the schema."""

    fields: int
    """As how many fields it counts."""
    rule: Rule | None
    """None if it makes no calls and is no list."""
    kinds: Sequence[GraphQLObjectType]
    """The types that its value may have; empty if it is a scalar or enum."""
    size_of: str
    """As in `_Step`."""
    group: str | None
    """The fields that share one call."""


@lru_cache(maxsize=MAX_CACHED_FIELDS)
def _known_field(
    schema: GraphQLSchema, parent: GraphQLObjectType, name: str
) -> _KnownField | None:
    """Return what is known about a field; None if there is none of this name."""
    definition = schema.get_field(parent, name)
    if definition is None:
        return None
    named = get_named_type(definition.type)
    kinds: Sequence[GraphQLObjectType] = ()
    if is_object_type(named):
        kinds = (named,)
    elif is_abstract_type(named):
        kinds = tuple(schema.get_possible_types(named))
    return _KnownField(
        FIELDS_PER_DOCUMENT if named.name == "JSON" else 1,
        _rule(schema, parent, name, definition, named),
        kinds,
        _size_of(parent.name, name) if is_list_type(get_nullable_type(definition.type)) else "",
        SHARED_CALLS.get(f"{parent.name}.{name}"),
    )


def _rule(
    schema: GraphQLSchema,
    parent: GraphQLObjectType,
    name: str,
    definition: GraphQLField,
    named: GraphQLNamedType,
) -> Rule | None:
    """Return the cost rule of a field; None if it makes no calls and is no list."""
    rule = COSTS.get(f"{parent.name}.{name}")
    if rule is not None:
        return rule
    if parent is schema.mutation_type:
        return field_costs.mutation
    strawberry_field = definition.extensions.get(STRAWBERRY)
    declaration = strawberry_field and strawberry_field.metadata.get(DECLARATION)
    if declaration and declaration.kind in {ResolverKind.READ, ResolverKind.READ_ALL}:
        return field_costs.connection if named.name.endswith("Connection") else _call
    if not is_list_type(get_nullable_type(definition.type)):
        return None
    if parent.name.startswith("__"):
        length = field_costs.introspected(schema).get(f"{parent.name}.{name}", 1)
        cost = FieldCost(size=length)
        return lambda *_: cost
    return _few


def _size_of(parent: str, name: str) -> str:
    """Return the attribute of the parent's cost that is the size of a list."""
    if parent.endswith("Connection"):
        return "sources" if name == "sources" else "rows"
    return "rows" if parent.endswith("Payload") else ""


def _one(*_: Any) -> FieldCost:
    return FieldCost()


def _call(*_: Any) -> FieldCost:
    return FieldCost(calls=1)


def _few(*_: Any) -> FieldCost:
    return FieldCost(size=ASSUMED_LENGTH)


def _variables(value: ValueNode) -> Iterator[str]:
    if isinstance(value, VariableNode):
        yield value.name.value
    elif isinstance(value, ListValueNode):
        for each in value.values:
            yield from _variables(each)
    elif isinstance(value, ObjectValueNode):
        for part in value.fields:
            yield from _variables(part.value)


def _plain(value: ValueNode, values: Mapping[str, Any]) -> Any:
    """Return a literal with the values of its variables."""
    if isinstance(value, VariableNode):
        return values[value.name.value]
    if isinstance(value, ListValueNode):
        return [_plain(each, values) for each in value.values]
    if isinstance(value, ObjectValueNode):
        return {each.name.value: _plain(each.value, values) for each in value.fields}
    return value_from_ast_untyped(value)
