"""How large a document and its variables may be: counted before anything else looks at them.

The figures are of the document with its fragments spread out. Each fragment is counted once, and
its figures are added wherever it is spread: 40 fragments that each spread the next one twice stand
for 2^40 fields, and are counted in 40 steps. Nothing here is larger than linear in the text.
"""

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
from resolvers.lookahead import fields_of

INTROSPECTION = frozenset({"__schema", "__type"})

NESTED = frozenset({dict, list})

OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


def exceeded(bound: str, found: int | str, most: int, of: str = "") -> LimitExceeded:
    """Return the error that names a bound as the settings do, and the figure that was found."""
    return LimitExceeded(f"{bound}{of} is {found}; at most {most} are allowed (limits.{bound}).")


class _BoundedParser(Parser):
    """Stops at the first token, and at the first bracket within brackets, that is too much.

    The parser calls itself for each bracket: unbounded, they would exhaust the stack.
    """

    def __init__(self, text: str, limits: LimitSettings) -> None:
        super().__init__(text)
        self._limits = limits
        self._tokens = self._nested = 0

    def advance_lexer(self) -> None:
        """Take the next token."""
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


def parsed(text: str, limits: LimitSettings) -> DocumentNode:
    """Parse a document. Raises `LimitExceeded`, or `GraphQLError` for what is no GraphQL."""
    if len(text) > limits.characters:
        raise exceeded("characters", len(text), limits.characters)
    return _BoundedParser(text, limits).parse_document()


class SelectionSize(NamedTuple):
    """What a selection holds, with its fragments spread out."""

    depth: int = 0
    """Of its fields; what is below `__schema` and `__type` counts apart."""
    introspection_depth: int = 0
    root_fields: int = 0
    """On its first level."""
    fields: int = 0
    aliases: int = 0
    directives: int = 0

    def beside(self, other: "SelectionSize") -> "SelectionSize":
        """Join two selections of one object."""
        depth, introspection_depth, *counts = other
        sums = (a + b for a, b in zip(self[2:], counts, strict=True))
        return SelectionSize(
            max(self.depth, depth), max(self.introspection_depth, introspection_depth), *sums
        )


NOTHING = SelectionSize()


class DocumentSize:
    """A document's figures, each within its bound."""

    def __init__(self, document: DocumentNode, limits: LimitSettings) -> None:
        """Count. Raises `LimitExceeded` for the first bound that is broken.

        Fragments that spread themselves raise `BadInput`.
        """
        self._limits = limits
        self._known: dict[str, SelectionSize] = {}
        self._spread: set[str] = set()
        definitions = document.definitions
        operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
        fragments = [d for d in definitions if isinstance(d, FragmentDefinitionNode)]
        self._within("operations", len(operations))
        self._within("fragments", len(fragments))
        self._fragments = {each.name.value: each for each in fragments}
        for name in self._fragments:
            self._fragment(name, ())
        self.figures = SelectionSize(
            directives=sum(len(each.directives or ()) for each in (*operations, *fragments))
        )
        for operation in operations:
            self._add(operation)
        # What no operation spreads is refused later, but looked through until then.
        rest = [self._fragments[name] for name in self._fragments if name not in self._spread]
        for fragment in rest:
            self.figures = self.figures.beside(self._known[fragment.name.value])
        for name in ("depth", "introspection_depth", "fields", "aliases", "directives"):
            self._within(name, getattr(self.figures, name))
        for each in (*operations, *rest):
            self._merged([each.selection_set])

    @property
    def introspects(self) -> bool:
        """True when the schema is asked of itself; `__typename` is not that."""
        return self.figures.introspection_depth > 0

    def _add(self, operation: OperationDefinitionNode) -> None:
        for variable in operation.variable_definitions or ():
            self._literal(variable.default_value)
        figures = self._selection(operation.selection_set)
        self._within("root_fields", figures.root_fields)
        self.figures = self.figures.beside(figures)

    def _within(self, bound: str, found: int, of: str = "") -> None:
        most: int = getattr(self._limits, bound)
        if found > most:
            raise exceeded(bound, found, most, of)

    def _fragment(self, name: str, above: Sequence[str]) -> SelectionSize:
        """Return a fragment's figures; those that it spreads are counted before it.

        So the depth of calls is that of the fragments, or of the brackets in one: not both.
        """
        known = self._known.get(name)
        if known is None:
            fragment = self._fragments.get(name)
            if fragment is None:
                return NOTHING  # validation says so
            if name in above:
                circle = " spreads ".join((*above[above.index(name) :], name))
                raise BadInput(f"Fragments go round in a circle: {circle}.")
            for spread in _spreads(fragment.selection_set):
                self._spread.add(spread)
                self._fragment(spread, (*above, name))
            known = self._known[name] = self._selection(fragment.selection_set)
        return known

    def _selection(self, selected: SelectionSetNode) -> SelectionSize:
        found = NOTHING
        for node in selected.selections:
            found = found.beside(self._one(node))
        return found

    def _one(self, node: SelectionNode) -> SelectionSize:
        directives = len(node.directives or ())
        if isinstance(node, FragmentSpreadNode):
            self._spread.add(node.name.value)
            found = self._fragment(node.name.value, ())
            return found._replace(directives=found.directives + directives)
        if isinstance(node, InlineFragmentNode):
            found = self._selection(node.selection_set)
            return found._replace(directives=found.directives + directives)
        if not isinstance(node, FieldNode):
            raise TypeError(node)
        for argument in node.arguments or ():
            self._literal(argument.value)
        below = self._selection(node.selection_set) if node.selection_set else NOTHING
        is_introspection = node.name.value in INTROSPECTION
        return SelectionSize(
            1 if is_introspection else 1 + below.depth,
            1 + below.depth if is_introspection else below.introspection_depth,
            1,
            1 + below.fields,
            (node.alias is not None) + below.aliases,
            directives + below.directives,
        )

    def _literal(self, value: ValueNode | None) -> None:
        """Bound the lists in a value that is written out."""
        if isinstance(value, ListValueNode):
            self._within("list_items", len(value.values))
            for each in value.values:
                self._literal(each)
        elif isinstance(value, ObjectValueNode):
            for field in value.fields:
                self._literal(field.value)

    def _merged(self, selected: Iterable[SelectionSetNode]) -> None:
        """Bound how often one response name stands in selections that become one.

        Validation compares each mention with each. Every field of the document with its fragments
        spread out is met once, and their number is bounded by now.
        """
        mentions: dict[str, int] = {}
        below: dict[str, list[SelectionSetNode]] = {}
        for node in fields_of(selected, self._fragments):
            name = (node.alias or node.name).value
            mentions[name] = mentions.get(name, 0) + 1
            if node.selection_set:
                below.setdefault(name, []).append(node.selection_set)
        for name, count in mentions.items():
            self._within("repeated_fields", count, f" of {name}")
        for each in below.values():
            self._merged(each)


def _spreads(selected: SelectionSetNode) -> Iterator[str]:
    for node in selected.selections:
        if isinstance(node, FragmentSpreadNode):
            yield node.name.value
        elif isinstance(node, (FieldNode, InlineFragmentNode)) and node.selection_set:
            yield from _spreads(node.selection_set)


def check_variables(given: Mapping[str, Any] | None, limits: LimitSettings) -> None:
    """Bound the values of the variables: how many, how deep, and each list. JSON only.

    Their texts are bounded by the request's body. Raises `LimitExceeded`.
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
