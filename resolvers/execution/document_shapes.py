"""Documents that differ only in their literals and the name of their operation share one plan.

Clients that write values into each document, or name each operation anew, send one that was never
seen each time. The shape of a document is its text with placeholders for its strings, its integers
and the name of its first operation. When a shape comes for the second time, its first document
becomes a template: the same with a variable for each literal. All further documents of the shape
are that template with other values; none of them is parsed.

A template is only made of a valid query, and only used for literals that are valid in their
places. Its places are found by graphql-core's own syntax tree, not by the text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from graphql import (
    SKIP,
    DocumentNode,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_nullable_type,
    is_leaf_type,
    parse_type,
    visit,
)
from graphql.utilities import coerce_input_literal, coerce_input_value, validate_input_literal

from resolvers.execution.document import Document, OwnParts
from resolvers.execution.quick_validation import MAX_INT, MIN_INT, is_surely_valid
from resolvers.execution.slru_cache import SegmentedLruCache

PREFIX = "__literal"
"""The start of the names of variables that stand for literals."""

MAX_LITERALS = 100
"""With more, coercing variables would take as long as parsing."""

CACHE_SHARE = 1 / 2
"""The cache of shapes is so large, compared with that of documents."""

# It starts with a set of characters, which `re` looks for without trying the rest.
_LITERAL = re.compile(
    r'[#"0-9-](?:(?<=#)[^\n\r]*+|(?<=")(?:([^"\\\n\r\ud800-\udfff]*+)"|())|(?<![\w.$-].)'
    r"(?:(?<=-)[1-9][0-9]{0,9}|(?<=0)|(?<=[1-9])[0-9]{0,9})(?![\w.])())",
    re.ASCII,
)
"""A comment, a string without escapes, any other string, or an integer."""

_STRING, _OTHER_STRING = 1, 2

_NAME = re.compile(
    r"(?:[\s,\ufeff]++|#[^\n\r]*+)*+query(?:[\s,\ufeff]++|#[^\n\r]*+)++([A-Za-z_]\w*+)", re.ASCII
)
"""The start of a text up to the name of its first operation, if that is a query with a name."""


class _UnsuitableError(Exception):
    """The document cannot be a template."""


def shape_of(text: str) -> tuple[str, OwnParts] | None:
    """Return the shape of a text, and its own parts; None if it has none, many or unusual ones."""
    if '"""' in text or PREFIX in text or "\0" in text:
        return None
    parts: list[str] = []
    values: dict[str, Any] = {}
    spans = []
    end = 0
    named = _NAME.match(text)
    if named is not None:
        start, end = named.span(1)
        parts += text[:start], "\0n"
        spans.append((start, end))
    for match in _LITERAL.finditer(text, end):
        kind = match.lastindex
        if kind is None:
            continue
        if kind == _OTHER_STRING:
            return None
        start = match.start()
        parts.append(text[end:start])
        parts.append("\0s" if kind == _STRING else "\0i")
        end = match.end()
        spans.append((start, end))
        values[f"{PREFIX}{len(values)}"] = match[1] if kind == _STRING else int(match[0])
    if not spans or len(values) > MAX_LITERALS:
        return None
    parts.append(text[end:])
    return "".join(parts), OwnParts(text, None if named is None else named[1], values, spans)


class _Template(NamedTuple):
    """A document with variables for the literals of its text."""

    document: Document
    checks: Sequence[Callable[[Any], bool] | None]
    """Return whether another literal is valid in the place of each; None: it always is."""


class _Shape:
    """The documents of one shape."""

    def __init__(self, first: Document, parts: OwnParts) -> None:
        self.first = first
        self.parts = parts
        self.template: _Template | None = None
        self.is_suitable = True
        """False if no template can be made."""

    @property
    def is_good(self) -> bool:
        """True if further documents have a use for it."""
        return self.is_suitable

    @property
    def weight(self) -> int:
        """That of its first document, and of its template."""
        return self.first.size + (self.template.document.weight if self.template else 0)


class Shapes:
    """The shapes of the documents of one schema."""

    def __init__(self, schema: GraphQLSchema, create: Callable[[DocumentNode], Document]) -> None:
        """Start empty; `create` returns the document of a valid syntax tree."""
        self._schema = schema
        self._create = create
        self._cache: SegmentedLruCache[_Shape] = SegmentedLruCache(CACHE_SHARE)

    def add(self, shape: str, parts: OwnParts, document: Document) -> None:
        """Remember the first document of a shape."""
        if document.is_good and document.is_query(None):
            self._cache.put(shape, _Shape(document, parts))

    def document(self, shape: str, parts: OwnParts) -> Document | None:
        """Return a document of a known shape; None if it has to be parsed."""
        known = self._cache.get(shape)
        if known is None or not known.is_suitable:
            return None
        if known.template is None:
            try:
                known.template = self._template(known, shape)
            except _UnsuitableError:
                known.is_suitable = False
                return None
            self._cache.grown(shape)
        template, checks = known.template
        for check, value in zip(checks, parts.values.values(), strict=True):
            if check is not None and not check(value):
                return None
        return template.with_parts(parts) if template.may_be_named(parts.name) else None

    def _template(self, known: _Shape, shape: str) -> _Template:
        node, parts = known.first.node, known.parts
        if node is None:
            raise _UnsuitableError
        checks: Sequence[Callable[[Any], bool] | None] = ()
        if parts.values:
            node, checks = self._substituted(node, parts)
        if not all(map(_is_query, node.definitions)):
            raise _UnsuitableError
        document = self._create(node)
        document.is_cached, document.size, document.parts = True, known.first.size, parts
        document.on_growth = lambda: self._cache.grown(shape)
        return _Template(document, checks)

    def _substituted(
        self, node: DocumentNode, parts: OwnParts
    ) -> tuple[DocumentNode, Sequence[Callable[[Any], bool] | None]]:
        """Return a document with variables for its literals, and what checks their values."""
        spans = parts.spans[len(parts.spans) - len(parts.values) :]
        names = {start: name for name, (start, _) in zip(parts.values, spans, strict=True)}
        substitution = _Substitution(TypeInfo(self._schema), names)
        changed: DocumentNode = visit(node, TypeInfoVisitor(substitution.types, substitution))
        if len(substitution.kinds) != len(names):
            raise _UnsuitableError
        definitions = [
            VariableDefinitionNode(
                variable=VariableNode(name=NameNode(value=name)), type=parse_type(str(kind))
            )
            for name, kind in substitution.kinds.items()
        ]
        changed = replace(
            changed,
            definitions=tuple(_declared(each, definitions) for each in changed.definitions),
        )
        if not is_surely_valid(self._schema, changed):
            raise _UnsuitableError
        kinds = (get_nullable_type(substitution.kinds[each]) for each in names.values())
        return changed, [*map(_check, kinds)]


def _is_query(node: Any) -> bool:
    """Return whether a definition is a query or a fragment."""
    return not isinstance(node, OperationDefinitionNode) or node.operation is OperationType.QUERY


def _declared(node: Any, more: Sequence[VariableDefinitionNode]) -> Any:
    """Return a definition; an operation with more variables."""
    if not isinstance(node, OperationDefinitionNode):
        return node
    return replace(node, variable_definitions=(*(node.variable_definitions or ()), *more))


class _Substitution(Visitor):
    """Replaces literals by variables."""

    def __init__(self, types: TypeInfo, names: Mapping[int, str]) -> None:
        self.types = types
        self._names = names
        self.kinds: dict[str, Any] = {}
        super().__init__()

    def enter_variable_definition(self, *_: Any) -> Any:
        return SKIP

    def enter_directive(self, *_: Any) -> Any:
        return SKIP

    def enter_int_value(self, node: IntValueNode, *_: Any) -> Any:
        return self._variable(node)

    def enter_string_value(self, node: StringValueNode, *_: Any) -> Any:
        return self._variable(node)

    def _variable(self, node: IntValueNode | StringValueNode) -> VariableNode | None:
        name = self._names.get(node.loc.start) if node.loc else None
        if name is None:
            return None
        kind = self.types.get_input_type()
        if kind is None or not is_leaf_type(get_nullable_type(kind)):
            raise _UnsuitableError
        self.kinds[name] = kind
        return VariableNode(name=NameNode(value=name), loc=node.loc)


def _check(kind: Any) -> Callable[[Any], bool] | None:
    if kind in {GraphQLString, GraphQLID, GraphQLFloat}:
        return None
    if kind is GraphQLInt:
        return lambda value: MIN_INT <= value <= MAX_INT

    def is_valid(value: Any) -> bool:
        """Return whether it is valid as a literal, and the same as a variable."""
        literal: Any = (
            StringValueNode(value=value)
            if isinstance(value, str)
            else IntValueNode(value=str(value))
        )
        errors: list[Any] = []
        validate_input_literal(literal, kind, lambda *error: errors.append(error))
        return not errors and bool(
            coerce_input_literal(literal, kind) == coerce_input_value(value, kind)
        )

    return is_valid
