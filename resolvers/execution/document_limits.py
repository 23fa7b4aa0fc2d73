"""Check the size of a document and its variables before anything else reads them.

Sizes are those of the document with its fragments expanded. Each fragment is counted once, and its
size is added wherever it is spread: 40 fragments that each spread the next one twice stand for
2^40 fields and are counted in 40 steps. All of this is linear in the length of the text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
)
from graphql.language import TokenKind
from graphql.language.parser import Parser

from gateway.errors import BadInput, LimitExceeded
from gateway.limits.settings import LimitSettings
from resolvers.execution.quick_parser import quick_parsed
from resolvers.lookahead import fields_of

INTROSPECTION = frozenset({"__schema", "__type"})

NESTED = frozenset({dict, list})

OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


def exceeded(limit: str, actual: int | str, maximum: int, of: str = "") -> LimitExceeded:
    """Return the error for an exceeded limit, by the name of its setting."""
    return LimitExceeded(
        f"{limit}{of} is {actual}; at most {maximum} are allowed (limits.{limit})."
    )


class _BoundedParser(Parser):
    """Stops at the first token, or the first nested bracket, beyond the limit.

    The parser recurses for each bracket: without a limit, it would exhaust the stack.
    """

    def __init__(self, text: str, limits: LimitSettings) -> None:
        super().__init__(text)
        self._limits = limits
        self._tokens = self._nested = 0

    def advance_lexer(self) -> None:
        """Read the next token."""
        super().advance_lexer()
        kind = self._lexer.token.kind
        self._tokens += 1
        if self._tokens > self._limits.tokens and kind is not TokenKind.EOF:
            raise exceeded("tokens", f"{self._tokens} or more", self._limits.tokens)
        if kind in OPENING:
            self._nested += 1
            if self._nested > self._limits.nesting:
                raise exceeded("nesting", f"{self._nested} or more", self._limits.nesting)
        elif kind in CLOSING:
            self._nested -= 1


_AT_MOST_TOKENS = re.compile(r"\w+|[^\w\s,]")
"""Finds each token at least once, and also what is in strings and comments."""


def parsed(text: str, limits: LimitSettings, *, quickly: bool = True) -> DocumentNode:
    """Parse a document. Raises `LimitExceeded`, or `GraphQLError` for a syntax error.

    Without `quickly`, graphql-core parses every document.
    """
    if len(text) > limits.characters:
        raise exceeded("characters", len(text), limits.characters)
    if quickly and (
        len(text) <= limits.tokens or len(_AT_MOST_TOKENS.findall(text)) <= limits.tokens
    ):
        document = quick_parsed(text, limits.nesting)
        if document is not None:
            return document
    return _BoundedParser(text, limits).parse_document()


class SelectionSize(NamedTuple):
    """The size of a selection with its fragments expanded."""

    depth: int = 0
    """The depth of its fields, except those of introspection."""
    introspection_depth: int = 0
    root_fields: int = 0
    """Fields on the first level."""
    fields: int = 0
    aliases: int = 0
    directives: int = 0

    def beside(self, other: "SelectionSize") -> "SelectionSize":
        """Combine two selections of one object."""
        depth, introspection_depth, *counts = other
        sums = (a + b for a, b in zip(self[2:], counts, strict=True))
        return SelectionSize(
            max(self.depth, depth), max(self.introspection_depth, introspection_depth), *sums
        )


NOTHING = SelectionSize()


class DocumentSize:
    """The size of a document, within all limits."""

    def __init__(self, document: DocumentNode, limits: LimitSettings) -> None:
        """Count. Raises `LimitExceeded`, or `BadInput` for fragments that spread themselves."""
        self._limits = limits
        self._sizes: dict[str, SelectionSize] = {}
        self._spread: set[str] = set()
        definitions = document.definitions
        operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
        fragments = [d for d in definitions if isinstance(d, FragmentDefinitionNode)]
        self._check("operations", len(operations))
        self._check("fragments", len(fragments))
        self._fragments = {each.name.value: each for each in fragments}
        for name in self._fragments:
            self._fragment(name, ())
        self.total = SelectionSize(
            directives=sum(len(each.directives or ()) for each in (*operations, *fragments))
        )
        for operation in operations:
            self._add(operation)
        # Validation rejects unused fragments later, but traverses them first.
        unused = [self._fragments[name] for name in self._fragments if name not in self._spread]
        for fragment in unused:
            self.total = self.total.beside(self._sizes[fragment.name.value])
        for name in ("depth", "introspection_depth", "fields", "aliases", "directives"):
            self._check(name, getattr(self.total, name))
        if self.total.fields > limits.repeated_fields:
            for each in (*operations, *unused):
                self._check_repeated([each.selection_set])

    @property
    def introspects(self) -> bool:
        """True if the document uses introspection; `__typename` does not count."""
        return self.total.introspection_depth > 0

    def _add(self, operation: OperationDefinitionNode) -> None:
        for variable in operation.variable_definitions or ():
            self._literal(variable.default_value)
        size = self._selection(operation.selection_set)
        self._check("root_fields", size.root_fields)
        self.total = self.total.beside(size)

    def _check(self, limit: str, actual: int, of: str = "") -> None:
        maximum: int = getattr(self._limits, limit)
        if actual > maximum:
            raise exceeded(limit, actual, maximum, of)

    def _fragment(self, name: str, above: Sequence[str]) -> SelectionSize:
        """Return the size of a fragment; the fragments that it spreads are counted first.

        This keeps the recursion as deep as the fragments or as the brackets of one, not as both.
        """
        size = self._sizes.get(name)
        if size is None:
            fragment = self._fragments.get(name)
            if fragment is None:
                return NOTHING  # validation reports it
            if name in above:
                cycle = " spreads ".join((*above[above.index(name) :], name))
                raise BadInput(f"Fragments form a cycle: {cycle}.")
            for spread in _spreads(fragment.selection_set):
                self._spread.add(spread)
                self._fragment(spread, (*above, name))
            size = self._sizes[name] = self._selection(fragment.selection_set)
        return size

    def _selection(self, selected: SelectionSetNode) -> SelectionSize:
        depth = introspection_depth = root_fields = fields = aliases = directives = 0
        for node in selected.selections:
            below = NOTHING
            if node.directives:
                directives += len(node.directives)
            if isinstance(node, FieldNode):
                for argument in node.arguments or ():
                    self._literal(argument.value)
                if node.selection_set:
                    below = self._selection(node.selection_set)
                root_fields += 1
                fields += 1
                if node.alias is not None:
                    aliases += 1
                if node.name.value in INTROSPECTION:
                    depth = max(depth, 1)
                    introspection_depth = max(introspection_depth, 1 + below.depth)
                else:
                    depth = max(depth, 1 + below.depth)
                    introspection_depth = max(introspection_depth, below.introspection_depth)
            else:
                below = self._fragments_size(node)
                root_fields += below.root_fields
                depth = max(depth, below.depth)
                introspection_depth = max(introspection_depth, below.introspection_depth)
            fields += below.fields
            aliases += below.aliases
            directives += below.directives
        return SelectionSize(depth, introspection_depth, root_fields, fields, aliases, directives)

    def _fragments_size(self, node: SelectionNode) -> SelectionSize:
        """Return the size of what a spread or an inline fragment selects."""
        if isinstance(node, FragmentSpreadNode):
            self._spread.add(node.name.value)
            return self._fragment(node.name.value, ())
        if isinstance(node, InlineFragmentNode):
            return self._selection(node.selection_set)
        raise TypeError(node)

    def _literal(self, value: ValueNode | None) -> None:
        """Check the lists in a literal."""
        if isinstance(value, ListValueNode):
            self._check("list_items", len(value.values))
            for each in value.values:
                self._literal(each)
        elif isinstance(value, ObjectValueNode):
            for field in value.fields:
                self._literal(field.value)

    def _check_repeated(self, selected: Iterable[SelectionSetNode]) -> None:
        """Check how often one response name occurs in selections that are merged.

        Validation compares all pairs of them. This visits every field of the expanded document
        once, and their number is within its limit by now.
        """
        counts: dict[str, int] = {}
        below: dict[str, list[SelectionSetNode]] = {}
        for node in fields_of(selected, self._fragments):
            name = (node.alias or node.name).value
            counts[name] = counts.get(name, 0) + 1
            if node.selection_set:
                below.setdefault(name, []).append(node.selection_set)
        for name, count in counts.items():
            self._check("repeated_fields", count, f" of {name}")
        for each in below.values():
            self._check_repeated(each)


def _spreads(selected: SelectionSetNode) -> Iterator[str]:
    for node in selected.selections:
        if isinstance(node, FragmentSpreadNode):
            yield node.name.value
        elif isinstance(node, (FieldNode, InlineFragmentNode)) and node.selection_set:
            yield from _spreads(node.selection_set)


def check_variables(given: Mapping[str, Any] | None, limits: LimitSettings) -> None:
    """Check the number and depth of the variables' values, and the length of each list.

    Values are JSON; the size of the request's body limits their strings. Raises `LimitExceeded`.
    """
    if not given:
        return
    if len(given) <= limits.variable_values and NESTED.isdisjoint(map(type, given.values())):
        return
    count, depth = 0, 0
    level: Sequence[Any] = (given,)
    while level:
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                if len(value) > limits.list_items:
                    raise exceeded("list_items", len(value), limits.list_items)
                below.extend(value)
        count += len(below)
        if count > limits.variable_values:
            raise exceeded("variable_values", f"{count} or more", limits.variable_values)
        level = [value for value in below if isinstance(value, (dict, list))]
        depth += bool(below)
        if depth > limits.variable_depth:
            raise exceeded("variable_depth", f"{depth} or more", limits.variable_depth)
