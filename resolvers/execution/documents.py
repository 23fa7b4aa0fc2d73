"""Bound, parse, validate, plan and price each document once."""

from collections.abc import Callable, Mapping, Sequence
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
from resolvers.lookahead import Lookahead

LONGEST_KEPT = 20_000
"""Characters: a longer document is not worth its place."""

MOST_PLANS = 16
"""Plans of one document: for its operations, and for what their variables skip."""

MOST_ERRORS = 3
"""What is wrong with a document that is told: some messages cite whole inputs."""

NO_VARIABLES = VariableValues({}, {})

Texts = Mapping[str, GraphQLVariableSignature]
"""The variables of an operation that has none but texts."""


class Document:
    """A document that may run, or the errors why not."""

    def __init__(
        self,
        schema: GraphQLSchema,
        node: DocumentNode | None,
        errors: Sequence[GraphQLError] = (),
        *,
        explores: bool = True,
    ) -> None:
        """Keep a parsed document, or None with errors; `explores`: errors may suggest names."""
        self.node = node
        self.errors = errors
        self.explores = explores
        self.is_kept = False
        self.size = 0
        """Characters of its text."""
        self.grows: Callable[[], None] | None = None
        """Told when there is more of this to keep."""
        self._schema = schema
        self._plans: dict[Any, Plan | None] = {}
        self._prices: dict[str | None, CostAnalysis] = {}
        self._requirements: dict[str | None, OperationRequirements] = {}
        self._texts: dict[str | None, Texts] = {}
        definitions = () if node is None else node.definitions
        operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
        self._operations = {d.name.value: d for d in operations if d.name is not None}
        self._only = operations[0] if len(operations) == 1 else None
        self._fragments = {
            d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._deciding = _deciding(node) if node is not None else ()

    @property
    def is_good(self) -> bool:
        """True when it may run."""
        return self.node is not None

    @property
    def weight(self) -> int:
        """Its characters, and those of its plans."""
        return self.size * (1 + len(self._plans))

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of this name; without a name the only one; else None."""
        return self._only if name is None else self._operations.get(name)

    def is_query(self, name: str | None) -> bool:
        """Tell whether the operation only reads; so does one that cannot be found."""
        operation = self.operation(name)
        return operation is None or operation.operation is OperationType.QUERY

    def mutations(self, name: str | None) -> Sequence[str]:
        """Return the names of the fields that the operation writes by."""
        operation = self.operation(name)
        if operation is None or operation.operation is not OperationType.MUTATION:
            return ()
        names = Lookahead([operation], self._fragments).names()
        return sorted(each for each in names if not each.startswith("__"))

    def requirements(self, name: str | None) -> OperationRequirements:
        """Return what the operation needs of its caller: worked out once; of none nothing."""
        found = self._requirements.get(name)
        if found is None:
            operation = self.operation(name)
            if operation is None:
                return NOTHING
            found = required_permissions(self._schema, operation, self._fragments)
            self._requirements[name] = found
        return found

    def pricing(self, name: str | None) -> CostAnalysis | None:
        """Return what the operation costs: worked out once; None when it cannot be found."""
        found = self._prices.get(name)
        if found is None:
            operation = self.operation(name)
            if operation is None:
                return None
            found = self._prices[name] = CostAnalysis(self._schema, operation, self._fragments)
        return found

    def plan(
        self, name: str | None, given: Mapping[str, Any] | None
    ) -> tuple[Plan, VariableValues] | None:
        """Return how to run an operation with these variables; None: only graphql-core can.

        That is so too for variables that are wrong: it says what is.
        """
        operation = self.operation(name) if self.is_kept else None
        if operation is None or operation.operation is not OperationType.QUERY:
            return None
        variables = self._values(operation, given or {})
        if variables is None:
            return None
        key: Any = name
        if self._deciding:
            key = (name, *(variables.coerced.get(each) for each in self._deciding))
        if key not in self._plans:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[key] = self._planned(operation, variables)
            if self.grows is not None:
                self.grows()
        plan = self._plans[key]
        if plan is None:
            return None
        if not (plan.is_plain or variables.sources):
            texts, coerced = self._texts_of(operation), variables.coerced
            sources = {each: VariableValueSource(texts[each], coerced[each]) for each in texts}
            variables = VariableValues(sources, coerced)
        return plan, variables

    def _values(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues | None:
        """Return the values of an operation's variables; None for wrong ones.

        Without their sources, where there are only texts: few plans need them.
        """
        definitions = operation.variable_definitions
        if not definitions:
            return NO_VARIABLES
        coerced: dict[str, Any] = {}
        for name in self._texts_of(operation):
            value = given.get(name)
            if type(value) is not str:
                break
            coerced[name] = value
        else:
            if coerced:  # what graphql-core would make of them, in a small part of its time
                return VariableValues({}, coerced)
        read = get_variable_values(self._schema, definitions, dict(given), max_errors=1)
        return read if isinstance(read, VariableValues) else None

    def _texts_of(self, operation: OperationDefinitionNode) -> Texts:
        key = None if operation.name is None else operation.name.value
        found = self._texts.get(key)
        if found is None:
            definitions = operation.variable_definitions or ()
            found = self._texts[key] = _texts(self._schema, definitions)
        return found

    def _planned(self, operation: OperationDefinitionNode, given: VariableValues) -> Plan | None:
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
        """Start with none. `explores`: they may introspect, and errors suggest names."""
        self._schema = schema
        self._limits = limits or LimitSettings()
        self._explores = explores
        self._kept: SegmentedLruCache[Document] = SegmentedLruCache()
        self._trusted: dict[str, Document] = {}

    def read(self, text: str) -> Document:
        """Return the document of this text, bounded, parsed and validated."""
        found = self._kept.get(text) or self._trusted.get(text)
        if found is not None:
            return found
        try:
            node = parsed(text, self._limits)
            counted = DocumentSize(node, self._limits)
            if counted.introspects and not self._explores:
                closed = Forbidden("Introspection is not open to you: __schema and __type.")
                found = self._refused(closed)
            else:
                found = self._validated(node)
        except (GatewayError, GraphQLError, RecursionError) as error:
            found = self._refused(error)
        if len(text) <= LONGEST_KEPT:
            found.is_kept, found.size, found.grows = True, len(text), self._kept.trim
            self._kept.put(text, found)
        return found

    def trust(self, text: str) -> Document:
        """Keep a document for ever, past the bounds, unless something is wrong with it."""
        try:
            found = self._validated(parse(text))
        except (GraphQLError, RecursionError) as error:
            return self._refused(error)
        if found.is_good:
            found.is_kept = True
            self._trusted[text] = found
        return found

    def _validated(self, node: DocumentNode) -> Document:
        errors = validate(
            self._schema, node, max_errors=MOST_ERRORS, hide_suggestions=not self._explores
        )
        if errors:
            return self._refused(*errors)
        return Document(self._schema, node, explores=self._explores)

    def _refused(self, *errors: Exception) -> Document:
        told = []
        for error in errors:
            if isinstance(error, GraphQLError):
                told.append(error)
            elif isinstance(error, GatewayError):
                told.append(GraphQLError(str(error), original_error=error))
            else:
                told.append(GraphQLError("The document is nested too deeply."))
        return Document(self._schema, None, told, explores=self._explores)


def _texts(schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> Texts:
    """Return the signatures of variables that are all texts; else none."""
    found: dict[str, GraphQLVariableSignature] = {}
    for each in definitions:
        signature = get_variable_signature(schema, each)
        if isinstance(signature, GraphQLError):
            return {}
        if get_nullable_type(signature.type) not in {GraphQLID, GraphQLString}:
            return {}
        found[signature.name] = signature
    return found


class _Deciding(Visitor):
    """Notes the variables of directives: what they are decides what is selected."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        super().__init__()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names[argument.value.name.value] = None


def _deciding(node: DocumentNode) -> Sequence[str]:
    found = _Deciding()
    visit(node, found)
    return tuple(found.names)
