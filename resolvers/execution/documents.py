"""Parse, validate and plan each document once; keep the newest, bounded by number and by size."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_variable_values,
    parse,
    validate,
)
from graphql.execution.values import VariableValues
from graphql.language import DirectiveNode, Visitor, visit

from resolvers.execution.code import Writer
from resolvers.execution.plan import Plan, Planner, UnplannableError

MOST_TOKENS = 4000
"""Tokens of a document; GraphiQL's introspection has some 350."""

MOST_KEPT = 500
LONGEST_KEPT = 20_000
"""Characters: a longer document is not worth its place."""

MOST_PLANS = 16
"""Plans of one document: for its operations, and for what their variables skip."""

NO_VARIABLES = VariableValues({}, {})


class Document:
    """A document that may run, or the errors why not."""

    def __init__(
        self, schema: GraphQLSchema, node: DocumentNode | None, errors: Sequence[GraphQLError]
    ) -> None:
        """Keep a parsed document, or None with errors."""
        self.node = node
        self.errors = errors
        self.is_kept = False
        self._schema = schema
        self._plans: dict[Any, Plan | None] = {}
        definitions = () if node is None else node.definitions
        operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
        self._operations = {d.name.value: d for d in operations if d.name is not None}
        self._only = operations[0] if len(operations) == 1 else None
        self._fragments = {
            d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._deciding = _deciding(node) if node is not None else ()

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of this name; without a name the only one; else None."""
        return self._only if name is None else self._operations.get(name)

    def is_query(self, name: str | None) -> bool:
        """Tell whether the operation only reads; so does one that cannot be found."""
        operation = self.operation(name)
        return operation is None or operation.operation is OperationType.QUERY

    def plan(
        self, name: str | None, given: Mapping[str, Any] | None
    ) -> tuple[Plan, VariableValues] | None:
        """Return how to run an operation with these variables; None: only graphql-core can.

        That is so too for variables that are wrong: it says what is.
        """
        operation = self.operation(name) if self.is_kept else None
        if operation is None:
            return None
        variables = NO_VARIABLES
        if operation.variable_definitions:
            read = get_variable_values(
                self._schema, operation.variable_definitions, dict(given or {}), max_errors=1
            )
            if not isinstance(read, VariableValues):
                return None
            variables = read
        key = (name, *(variables.coerced.get(each) for each in self._deciding))
        if key not in self._plans:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[key] = self._planned(operation, variables)
        plan = self._plans[key]
        return None if plan is None else (plan, variables)

    def _planned(self, operation: OperationDefinitionNode, given: VariableValues) -> Plan | None:
        try:
            plan = Planner(self._schema, operation, self._fragments, given).plan()
            Writer(plan).write()
        except UnplannableError:
            return None
        return plan


class Documents:
    """The documents of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """Start with none."""
        self._schema = schema
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def read(self, text: str) -> Document:
        """Return the document of this text, parsed and validated."""
        found = self._kept.get(text)
        if found is not None:
            self._kept.move_to_end(text)
            return found
        found = self._checked(text)
        if len(text) <= LONGEST_KEPT:
            found.is_kept = True
            self._kept[text] = found
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _checked(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=MOST_TOKENS)
        except GraphQLError as error:
            return Document(self._schema, None, (error,))
        except RecursionError:
            deep = GraphQLError("The document is nested too deeply.")
            return Document(self._schema, None, (deep,))
        errors = validate(self._schema, node, max_errors=20)
        return Document(self._schema, None if errors else node, errors)


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
