"""Parse and validate each document once; keep the newest, bounded by number and by size."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

MOST_TOKENS = 4000
"""Tokens of a document; GraphiQL's introspection has some 350."""

MOST_KEPT = 500
LONGEST_KEPT = 20_000
"""Characters: a longer document is not worth its place."""


class Document(NamedTuple):
    """A document that may run, or the errors why not."""

    node: DocumentNode | None
    errors: Sequence[GraphQLError]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of this name; without a name the only one; else None."""
        if self.node is None:
            return None
        found = [
            each
            for each in self.node.definitions
            if isinstance(each, OperationDefinitionNode)
            and (name is None or (each.name is not None and each.name.value == name))
        ]
        return found[0] if len(found) == 1 else None

    def is_query(self, name: str | None) -> bool:
        """Tell whether the operation only reads; so does one that cannot be found."""
        operation = self.operation(name)
        return operation is None or operation.operation is OperationType.QUERY


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
            self._kept[text] = found
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _checked(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=MOST_TOKENS)
        except GraphQLError as error:
            return Document(None, (error,))
        except RecursionError:
            return Document(None, (GraphQLError("The document is nested too deeply."),))
        errors = validate(self._schema, node, max_errors=20)
        return Document(None if errors else node, errors)
