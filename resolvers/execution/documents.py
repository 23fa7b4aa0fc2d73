"""Check the limits of each document once, then parse, validate, plan and cost it once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from time import perf_counter
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLID,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    OperationType,
    VariableDefinitionNode,
    VariableNode,
    get_nullable_type,
    get_variable_values,
    parse,
    validate,
)
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.language import DirectiveNode, Visitor, visit

from gateway.context import PhaseRecord
from gateway.errors import Forbidden, GatewayError
from gateway.limits.settings import LimitSettings
from resolvers.execution.codegen import CodeGenerator
from resolvers.execution.cost_analysis import CostAnalysis
from resolvers.execution.document_limits import DocumentSize, parsed
from resolvers.execution.planner import Plan, Planner, UnplannableError
from resolvers.execution.required_permissions import (
    NOTHING,
    OperationRequirements,
    required_permissions,
)
from resolvers.execution.slru_cache import SegmentedLruCache
from resolvers.execution.tool_operations import ToolOperation, tool_operation
from resolvers.lookahead import Lookahead

MAX_CACHED_CHARACTERS = 20_000
"""A longer document is not cached."""

PARSE, VALIDATE, PLAN = "parse", "validate", "plan"

MAX_PLANS = 16
"""Plans of one document: one per operation and per set of skipped fields."""

MAX_ERRORS = 3
"""Validation errors per document in a response: some messages quote whole inputs."""

NO_VARIABLES = VariableValues({}, {})

StringVariables = Mapping[str, GraphQLVariableSignature]
"""The signatures of an operation whose variables are all strings."""


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
        self.node = node
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
        self._string_variables: dict[str | None, StringVariables] = {}
        definitions = () if node is None else node.definitions
        operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
        self._operations = {d.name.value: d for d in operations if d.name is not None}
        self._only = operations[0] if len(operations) == 1 else None
        self._fragments = {
            d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._directive_variables = _directive_variables(node) if node is not None else ()

    @property
    def is_good(self) -> bool:
        """True if it may be executed."""
        return self.node is not None

    @property
    def weight(self) -> int:
        """Its characters, counted once more for each of its plans."""
        return self.size * (1 + len(self._plans))

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of this name, or without a name the only one; else None."""
        return self._only if name is None else self._operations.get(name)

    def labels(self, name: str | None) -> tuple[str, str]:
        """Return the type of the operation, and its name if the document is trusted.

        Both are empty if there is no such operation.
        """
        labels = self._labels.get(name)
        if labels is None:
            operation = self.operation(name)
            if operation is None:
                return "", ""
            of = operation.name.value if self.is_trusted and operation.name else ""
            labels = self._labels[name] = operation.operation.value, of
        return labels

    def name(self, name: str | None) -> str:
        """Return the name of the operation; empty if there is none."""
        operation = self.operation(name)
        return operation.name.value if operation is not None and operation.name else ""

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
        requirements = self._requirements.get(name)
        if requirements is None:
            operation = self.operation(name)
            if operation is None:
                return NOTHING
            requirements = required_permissions(self._schema, operation, self._fragments)
            self._requirements[name] = requirements
        return requirements

    def cost_analysis(self, name: str | None) -> CostAnalysis | None:
        """Return the cost analysis of an operation, created once; None if it does not exist."""
        analysis = self._cost_analyses.get(name)
        if analysis is None:
            operation = self.operation(name)
            if operation is None:
                return None
            analysis = CostAnalysis(self._schema, operation, self._fragments)
            self._cost_analyses[name] = analysis
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
        variables = self._values(operation, given or {})
        if variables is None:
            return None
        key: Any = name
        if self._directive_variables:
            key = (name, *(variables.coerced.get(each) for each in self._directive_variables))
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
            strings, coerced = self._strings_of(operation), variables.coerced
            sources = {each: VariableValueSource(strings[each], coerced[each]) for each in strings}
            variables = VariableValues(sources, coerced)
        return plan, variables

    def _values(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues | None:
        """Return the coerced variables of an operation; None if they are invalid.

        If all are strings, their sources are left out: few plans need them.
        """
        definitions = operation.variable_definitions
        if not definitions:
            return NO_VARIABLES
        coerced: dict[str, Any] = {}
        for name in self._strings_of(operation):
            value = given.get(name)
            if type(value) is not str:
                break
            coerced[name] = value
        else:
            if coerced:  # the same result as graphql-core's, in a fraction of its time
                return VariableValues({}, coerced)
        read = get_variable_values(self._schema, definitions, dict(given), max_errors=1)
        return read if isinstance(read, VariableValues) else None

    def _strings_of(self, operation: OperationDefinitionNode) -> StringVariables:
        key = None if operation.name is None else operation.name.value
        signatures = self._string_variables.get(key)
        if signatures is None:
            definitions = operation.variable_definitions or ()
            signatures = self._string_variables[key] = _strings(self._schema, definitions)
        return signatures

    def _create_plan(
        self, operation: OperationDefinitionNode, given: VariableValues
    ) -> Plan | None:
        try:
            plan = Planner(self._schema, operation, self._fragments, given).plan()
            CodeGenerator(plan).write()
        except UnplannableError:
            return None
        return plan


class Documents:
    """The documents of one schema."""

    def __init__(
        self, schema: GraphQLSchema, limits: LimitSettings | None = None, *, explores: bool = True
    ) -> None:
        """Start empty. `explores`: documents may introspect, and errors may suggest names."""
        self._schema = schema
        self._limits = limits or LimitSettings()
        self._explores = explores
        self._cache: SegmentedLruCache[Document] = SegmentedLruCache()
        self._trusted: dict[str, Document] = {}
        self.uses = CacheUses()

    def read(self, text: str) -> Document:
        """Return the document of this text, within its limits, parsed and validated."""
        document = self._cache.get(text) or self._trusted.get(text)
        if document is not None:
            self.uses.document_hits += 1
            return document
        self.uses.document_misses += 1
        times = [perf_counter()]
        try:
            node = parsed(text, self._limits)
            times.append(perf_counter())
            size = DocumentSize(node, self._limits)
            if size.introspects and not self._explores:
                document = self._invalid(
                    Forbidden("Introspection is not allowed: __schema and __type.")
                )
            else:
                document = self._validated(node)
        except (GatewayError, GraphQLError, RecursionError) as error:
            document = self._invalid(error)
        times.append(perf_counter())
        document.phases = [
            PhaseRecord(name, start, end - start)
            for name, start, end in zip((PARSE, VALIDATE), times, times[1:], strict=False)
        ]
        if len(text) <= MAX_CACHED_CHARACTERS:
            document.is_cached, document.size = True, len(text)
            document.on_growth = self._cache.trim
            self._cache.put(text, document)
        return document

    def trust(self, text: str) -> Document:
        """Cache a document forever, without limits, unless it is invalid."""
        try:
            document = self._validated(parse(text))
        except (GraphQLError, RecursionError) as error:
            return self._invalid(error)
        if document.is_good:
            document.is_cached = document.is_trusted = True
            self._trusted[text] = document
        return document

    def _validated(self, node: DocumentNode) -> Document:
        errors = validate(
            self._schema, node, max_errors=MAX_ERRORS, hide_suggestions=not self._explores
        )
        if errors:
            return self._invalid(*errors)
        return Document(self._schema, node, explores=self._explores, uses=self.uses)

    def _invalid(self, *errors: Exception) -> Document:
        graphql_errors = []
        for error in errors:
            if isinstance(error, GraphQLError):
                graphql_errors.append(error)
            elif isinstance(error, GatewayError):
                graphql_errors.append(GraphQLError(str(error), original_error=error))
            else:
                graphql_errors.append(GraphQLError("The document is nested too deeply."))
        return Document(self._schema, None, graphql_errors, explores=self._explores)


def _strings(
    schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]
) -> StringVariables:
    """Return the signatures of the variables if all are strings; else an empty mapping."""
    signatures: dict[str, GraphQLVariableSignature] = {}
    for each in definitions:
        signature = get_variable_signature(schema, each)
        if isinstance(signature, GraphQLError):
            return {}
        if get_nullable_type(signature.type) not in {GraphQLID, GraphQLString}:
            return {}
        signatures[signature.name] = signature
    return signatures


class _DirectiveVariables(Visitor):
    """Collects the variables of directives: their values decide what is selected."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        super().__init__()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names[argument.value.name.value] = None


def _directive_variables(node: DocumentNode) -> Sequence[str]:
    variables = _DirectiveVariables()
    visit(node, variables)
    return tuple(variables.names)
