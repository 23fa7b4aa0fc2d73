"""One document: its operations with their plans, costs and requirements, each made once."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import astuple, dataclass
from time import perf_counter
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLID,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    OperationType,
    Source,
    SourceLocation,
    VariableDefinitionNode,
    VariableNode,
    get_location,
    get_nullable_type,
    get_variable_values,
    parse,
)
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValues, VariableValueSource

from gateway.context import PhaseRecord
from resolvers.execution.cost_analysis import CostAnalysis
from resolvers.execution.plan_compiler import compile_plan
from resolvers.execution.planner import Plan, Planner
from resolvers.execution.required_permissions import (
    NOTHING,
    OperationRequirements,
    required_permissions,
)
from resolvers.execution.selected_fields import UnplannableError
from resolvers.execution.text_shapes import OwnParts
from resolvers.execution.tool_operations import ToolOperation, tool_operation
from resolvers.lookahead import Lookahead

PLAN = "plan"

MAX_PLANS = 16
"""Plans of one document: one per operation and per set of skipped fields."""

NO_VARIABLES = VariableValues({}, {})
PLAIN_TYPES: Mapping[Any, type] = {GraphQLID: str, GraphQLString: str, GraphQLInt: int}

INTS = range(-(2**31), 2**31)
"""What GraphQL's Int can represent."""


class PlainVariable(NamedTuple):
    """A variable whose values are not changed: a string or an integer."""

    signature: GraphQLVariableSignature
    kind: type
    """The Python type of its values."""


@dataclass(slots=True)
class CacheUses:
    """How often documents and plans were taken from their cache, or had to be made."""

    document_hits: int = 0
    document_misses: int = 0
    plan_hits: int = 0
    plan_misses: int = 0

    def plus(self, other: "CacheUses") -> "CacheUses":
        """Return the sums."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return CacheUses(*(one + another for one, another in pairs))


class Document:
    """A document that may be executed, or its errors."""

    def __init__(
        self,
        schema: GraphQLSchema,
        node: DocumentNode | None,
        errors: Sequence[GraphQLError] = (),
        *,
        explores: bool = True,
        uses: CacheUses | None = None,
    ) -> None:
        """Take a parsed document, or None with errors; `explores`: errors may suggest names.

        The uses of its plans are added to `uses`.
        """
        self._uses = uses or CacheUses()
        self.is_trusted = False
        """It is in the manifest."""
        self._labels: dict[str | None, tuple[str, str]] = {}
        self._node = node
        self.parts: OwnParts | None = None
        """Those of its own text, if it stands for others as well."""
        self.template_parts: OwnParts | None = None
        """Those of the text that it was made of, if this is another one."""
        self.own_keys: Mapping[str, str] | None = None
        """The keys of its response by those of its plans, if they differ."""
        self._exact: DocumentNode | None = None
        """The syntax tree of its own text, if that was necessary."""
        self.errors = errors
        self.explores = explores
        self.is_cached = False
        self.size = 0
        """Characters of its text."""
        self.phases: Sequence[PhaseRecord] = ()
        """When it was parsed and validated, and when its newest plan was made."""
        self.on_growth: Callable[[], None] | None = None
        """Called when the document takes more memory."""
        self._schema = schema
        self._plans: dict[Any, Plan | None] = {}
        self._cost_analyses: dict[str | None, CostAnalysis] = {}
        self._requirements: dict[str | None, OperationRequirements] = {}
        self._plain_variables: dict[str | None, Mapping[str, PlainVariable]] = {}
        definitions = () if node is None else node.definitions
        operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
        self._operations = {d.name.value: d for d in operations if d.name is not None}
        self._tree_names: Mapping[str, str] | None = None
        """The names in the syntax tree by those in its own text, if they differ.

        What is computed once has the names in the tree: it is shared.
        """
        self._only = operations[0] if len(operations) == 1 else None
        self._fragments = {
            d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._directive_variables = _directive_variables(definitions)

    @property
    def is_good(self) -> bool:
        """True if it may be executed."""
        return self._node is not None

    @property
    def node(self) -> DocumentNode | None:
        """The syntax tree of its text; None if it is invalid."""
        if self._exact is None and self.template_parts is not None and self.parts is not None:
            self._exact = parse(self.parts.text)
        return self._exact or self._node

    @property
    def weight(self) -> int:
        """Its characters, counted once more for each of its own plans."""
        return self.size if self.template_parts else self.size * (1 + len(self._plans))

    def may_be_named(self, name: str | None) -> bool:
        """Return whether the first operation may have this name in a text of the same shape."""
        return (
            name is None
            or self.parts is None
            or name == self.parts.name
            or (name not in self._operations)
        )

    def with_parts(self, parts: OwnParts) -> "Document":
        """Return the document of another text of its shape; it shares all that is computed."""
        document = copy(self)
        document.parts, document.template_parts = parts, self.parts
        document.size, document.phases = len(parts.text), ()
        if self.parts is not None and self.parts.aliases != parts.aliases:
            document.own_keys = dict(zip(self.parts.aliases, parts.aliases, strict=True))
        if self.parts is not None and self.parts.name != parts.name:
            document._tree_names = {  # noqa: SLF001  # its own class
                parts.name if name == self.parts.name and parts.name else name: name
                for name in self._operations
            }
        return document

    def variables(self, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return the variables of a request, and those that stand for literals."""
        if self.parts is None:
            return given or {}
        return {**given, **self.parts.values} if given else self.parts.values

    def locations(self, error: GraphQLError) -> Sequence[SourceLocation]:
        """Return the locations of an error in the text of this document."""
        template, parts, source = self.template_parts, self.parts, error.source
        is_moved = template is not None and source is not None and source.body == template.text
        if template is None or parts is None or not is_moved:
            return error.locations or ()
        source = Source(parts.text)
        return [get_location(source, parts.position(at, template)) for at in error.positions or ()]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of this name, or without a name the only one; else None."""
        if self._tree_names is not None:
            name = self._in_tree(name)
        return self._only if name is None else self._operations.get(name)

    def _in_tree(self, name: str | None) -> str | None:
        """Return the name in the syntax tree; empty if there is no such operation."""
        return name if name is None or not self._tree_names else self._tree_names.get(name, "")

    def labels(self, name: str | None) -> tuple[str, str]:
        """Return the type of the operation, and its name if the document is trusted.

        Both are empty if there is no such operation.
        """
        key = name if self._tree_names is None else self._in_tree(name)
        labels = self._labels.get(key)
        if labels is None:
            operation = self.operation(name)
            if operation is None:
                return "", ""
            of = operation.name.value if self.is_trusted and operation.name else ""
            labels = self._labels[key] = operation.operation.value, of
        return labels

    def name(self, name: str | None) -> str:
        """Return the name of the operation; empty if there is none."""
        operation = self.operation(name)
        in_tree = operation.name.value if operation is not None and operation.name else ""
        names = self._tree_names or {}
        return next((own for own, each in names.items() if each == in_tree), in_tree)

    def is_query(self, name: str | None) -> bool:
        """Return whether the operation is a query; also true if it does not exist."""
        operation = self.operation(name)
        return operation is None or operation.operation is OperationType.QUERY

    def is_subscription(self, name: str | None) -> bool:
        """Return whether the operation is a subscription."""
        operation = self.operation(name)
        return operation is not None and operation.operation is OperationType.SUBSCRIPTION

    def mutations(self, name: str | None) -> Sequence[str]:
        """Return the names of the mutations in the operation."""
        operation = self.operation(name)
        if operation is None or operation.operation is not OperationType.MUTATION:
            return ()
        names = Lookahead([operation], self._fragments).names()
        return sorted(each for each in names if not each.startswith("__"))

    def as_tool(self) -> ToolOperation:
        """Return its only operation as a tool. Raises `BadInput` if it cannot be one."""
        if self.node is None:
            raise TypeError(self)
        return tool_operation(self._schema, self.node)

    def requirements(self, name: str | None) -> OperationRequirements:
        """Return the permissions that the operation requires; computed once."""
        key = name if self._tree_names is None else self._in_tree(name)
        requirements = self._requirements.get(key)
        if requirements is None:
            operation = self.operation(name)
            if operation is None:
                return NOTHING
            requirements = required_permissions(self._schema, operation, self._fragments)
            self._requirements[key] = requirements
        return requirements

    def cost_analysis(self, name: str | None) -> CostAnalysis | None:
        """Return the cost analysis of an operation, created once; None if it does not exist."""
        key = name if self._tree_names is None else self._in_tree(name)
        analysis = self._cost_analyses.get(key)
        if analysis is None:
            operation = self.operation(name)
            if operation is None:
                return None
            analysis = CostAnalysis(self._schema, operation, self._fragments)
            self._cost_analyses[key] = analysis
        return analysis

    def plan(
        self, name: str | None, given: Mapping[str, Any] | None
    ) -> tuple[Plan, VariableValues] | None:
        """Return the plan of an operation and its variables; None if graphql-core has to run it.

        It also runs operations with invalid variables, and reports what is wrong with them.
        """
        operation = self.operation(name) if self.is_cached else None
        if operation is None or operation.operation is not OperationType.QUERY:
            return None
        variables = self._values(operation, self.variables(given))
        if variables is None:
            return None
        key: Any = name if self._tree_names is None else self._in_tree(name)
        if self._directive_variables:
            key = (key, *(variables.coerced.get(each) for each in self._directive_variables))
        if key in self._plans:
            self._uses.plan_hits += 1
        else:
            self._uses.plan_misses += 1
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            started = perf_counter()
            self._plans[key] = self._create_plan(operation, variables)
            made = PhaseRecord(PLAN, started, perf_counter() - started)
            self.phases = [*(each for each in self.phases if each.name != PLAN), made]
            if self.on_growth is not None:
                self.on_growth()
        plan = self._plans[key]
        if plan is None:
            return None
        if not (plan.is_plain or variables.sources):
            coerced = variables.coerced
            sources = {
                name: VariableValueSource(each.signature, coerced[name])
                for name, each in self._plain_of(operation).items()
            }
            variables = VariableValues(sources, coerced)
        return plan, variables

    def _values(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues | None:
        """Return the coerced variables of an operation; None if they are invalid.

        If all are plain, their sources are left out: few plans need them.
        """
        definitions = operation.variable_definitions
        if not definitions:
            return NO_VARIABLES
        coerced: dict[str, Any] = {}
        for name, variable in self._plain_of(operation).items():
            value = given.get(name)
            if type(value) is not variable.kind or (type(value) is int and value not in INTS):
                break
            coerced[name] = value
        else:
            if coerced:  # the same result as graphql-core's, in a fraction of its time
                return VariableValues({}, coerced)
        read = get_variable_values(self._schema, definitions, dict(given), max_errors=1)
        return read if isinstance(read, VariableValues) else None

    def _plain_of(self, operation: OperationDefinitionNode) -> Mapping[str, PlainVariable]:
        """Return the variables of an operation if all are plain; else an empty mapping."""
        key = None if operation.name is None else operation.name.value
        variables = self._plain_variables.get(key)
        if variables is None:
            definitions = operation.variable_definitions or ()
            variables = self._plain_variables[key] = _plain(self._schema, definitions)
        return variables

    def _create_plan(
        self, operation: OperationDefinitionNode, given: VariableValues
    ) -> Plan | None:
        try:
            plan = Planner(self._schema, operation, self._fragments, given).plan()
            compile_plan(plan)
        except UnplannableError:
            return None
        return plan


def _plain(
    schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]
) -> Mapping[str, PlainVariable]:
    """Return the variables if all are plain; else an empty mapping."""
    variables: dict[str, PlainVariable] = {}
    for each in definitions:
        signature = get_variable_signature(schema, each)
        if isinstance(signature, GraphQLError):
            return {}
        kind = PLAIN_TYPES.get(get_nullable_type(signature.type))
        if kind is None:
            return {}
        variables[signature.name] = PlainVariable(signature, kind)
    return variables


def _directive_variables(definitions: Sequence[Any]) -> Sequence[str]:
    """Return the variables of directives: their values decide what is selected."""
    names: dict[str, None] = {}
    pending = [*definitions]
    for node in pending:  # grows
        for directive in node.directives or ():
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    names[argument.value.name.value] = None
        selected = getattr(node, "selection_set", None)
        if selected is not None:
            pending += selected.selections
    return tuple(names)
