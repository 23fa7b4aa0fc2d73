"""Documents that differ only in aliases, literals and the name of their operation share one plan.

Clients that write values into each document, or name each operation or field anew, send one that
was never seen each time. The shape of a document is its text with placeholders for these
(`text_shapes`). When a shape comes for the second time, its first document becomes a template: the
same with a variable for each literal. All further documents of the shape are that template with
other values; none of them is parsed. Their responses get their own keys (`response_keys`).

A template is only made of a valid query, and only used for literals that are valid in their
places. Its places are found by graphql-core's own syntax tree, not by the text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
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
    is_interface_type,
    is_leaf_type,
    is_object_type,
    parse_type,
    visit,
)
from graphql.utilities import coerce_input_literal, coerce_input_value, validate_input_literal

from resolvers.execution.document import Document
from resolvers.execution.document_limits import INTROSPECTION
from resolvers.execution.quick_validation import MAX_INT, MIN_INT, is_surely_valid
from resolvers.execution.slru_cache import SegmentedLruCache
from resolvers.execution.text_shapes import PREFIX, OwnParts, shape_of

CACHE_SHARE = 1 / 2
"""The cache of shapes is so large, compared with that of documents."""


class _UnsuitableError(Exception):
    """The document cannot be a template."""


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
        self._field_names = _field_names(schema)

    def shape_of(self, text: str) -> tuple[str, OwnParts] | None:
        """Return the shape of a text, and its own parts, as `text_shapes` does.

        Aliases that are names of fields belong to the shape: fields without an alias have these
        keys, and other aliases may equal none of them.
        """
        return shape_of(text, self._field_names)

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
        if parts.values or parts.aliases:
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
        names = {parts.spans[int(each.removeprefix(PREFIX))][0]: each for each in parts.values}
        substitution = _Substitution(TypeInfo(self._schema), names, self._field_names)
        changed: DocumentNode = visit(node, TypeInfoVisitor(substitution.types, substitution))
        spans = parts.spans if parts.name is None else parts.spans[1:]
        if substitution.found != {start for start, _ in spans}:
            raise _UnsuitableError
        if not names:
            return node, ()
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


def _field_names(schema: GraphQLSchema) -> frozenset[str]:
    """Return the names of all fields that can be selected."""
    kinds = schema.type_map.values()
    names = (kind.fields for kind in kinds if is_object_type(kind) or is_interface_type(kind))
    return frozenset({"__typename", *INTROSPECTION}).union(*names)


class _Substitution(Visitor):
    """Replaces literals by variables, and finds aliases."""

    def __init__(self, types: TypeInfo, names: Mapping[int, str], kept: frozenset[str]) -> None:
        self.types = types
        self.found: set[int] = set()
        """Where literals and aliases start, without those to keep."""
        self._names = names
        self._kept = kept
        self.kinds: dict[str, Any] = {}
        super().__init__()

    def enter_variable_definition(self, *_: Any) -> Any:
        return SKIP

    def enter_directive(self, *_: Any) -> Any:
        return SKIP

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        alias = node.alias
        if alias is not None and alias.loc is not None and alias.value not in self._kept:
            self.found.add(alias.loc.start)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> Any:
        return self._variable(node)

    def enter_string_value(self, node: StringValueNode, *_: Any) -> Any:
        return self._variable(node)

    def _variable(self, node: IntValueNode | StringValueNode) -> VariableNode | None:
        name = self._names.get(node.loc.start) if node.loc else None
        if node.loc is None or name is None:
            return None
        kind = self.types.get_input_type()
        if kind is None or not is_leaf_type(get_nullable_type(kind)):
            raise _UnsuitableError
        self.kinds[name] = kind
        self.found.add(node.loc.start)
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
