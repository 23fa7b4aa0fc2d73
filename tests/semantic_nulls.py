"""What `@semanticNonNull` promises, compared with responses: a null there has an error."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

from resolvers.execution.document import Document
from resolvers.execution.executor import OperationResult
from resolvers.schema_directives import NULL_ONLY_ON_ERROR

Path = tuple[str | int, ...]


class Observation(NamedTuple):
    """A position of a field with the directive."""

    coordinate: str
    path: Path
    is_null: bool
    has_error: bool

    @property
    def breaks_the_promise(self) -> bool:
        """Whether it is null without an error."""
        return self.is_null and not self.has_error


Positions = Mapping[str, "Position"]
"""By the keys of a selection."""


@dataclass(frozen=True)
class Position:
    """A key of a selection: its field, if that has the directive, and the keys below."""

    coordinate: str | None = None
    below: Positions = field(default_factory=dict)


def has_directive(definition: GraphQLField) -> bool:
    """Return whether a field of the schema has the directive."""
    strawberry_field = definition.extensions.get("strawberry-definition")
    return strawberry_field is not None and NULL_ONLY_ON_ERROR in strawberry_field.directives


def annotated(schema: GraphQLSchema) -> set[str]:
    """Return the coordinates of all fields with the directive."""
    return {
        f"{name}.{key}"
        for name, kind in schema.type_map.items()
        if is_object_type(kind) or is_interface_type(kind)
        for key, definition in kind.fields.items()
        if has_directive(definition)
    }


def positions(schema: GraphQLSchema, document: DocumentNode, name: str | None) -> Positions:
    """Return the keys of an operation's response that lead to fields with the directive.

    Where fragments on different types select different fields by one key, all of them must have
    the directive: the type of an object is not always in the response.
    """
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }
    [operation] = [
        each
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode)
        and name in {None, each.name and each.name.value}
    ]

    def fields(kind: Any, selected: SelectionSetNode) -> Iterator[tuple[Any, FieldNode]]:
        for each in selected.selections:
            if isinstance(each, FieldNode):
                if not each.name.value.startswith("__"):
                    yield kind, each
                continue
            inner: Any = (
                fragments[each.name.value] if isinstance(each, FragmentSpreadNode) else each
            )
            condition = inner.type_condition
            inner_kind = schema.type_map[condition.name.value] if condition else kind
            yield from fields(inner_kind, inner.selection_set)

    def keys(selections: Sequence[tuple[Any, SelectionSetNode]]) -> Positions:
        by_key: dict[str, list[tuple[Any, FieldNode]]] = {}
        for kind, selected in selections:
            for parent, node in fields(kind, selected):
                key = node.alias.value if node.alias else node.name.value
                by_key.setdefault(key, []).append((parent, node))
        result = {}
        for key, nodes in by_key.items():
            shown = [(parent, parent.fields[node.name.value], node) for parent, node in nodes]
            below = keys(
                [
                    (get_named_type(definition.type), node.selection_set)
                    for _, definition, node in shown
                    if node.selection_set
                ]
            )
            is_annotated = all(has_directive(definition) for _, definition, _ in shown)
            coordinate = f"{shown[0][0].name}.{shown[0][2].name.value}" if is_annotated else None
            if coordinate or below:
                result[key] = Position(coordinate, below)
        return result

    root = schema.get_root_type(operation.operation)
    return keys([(root, operation.selection_set)])


def observe(
    keys: Positions, data: Any, errors: Sequence[Mapping[str, Any]], path: Path = ()
) -> Iterator[Observation]:
    """Yield each position in a response whose field has the directive."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from observe(keys, item, errors, (*path, index))
        return
    for key, position in keys.items() if data is not None else ():
        if key not in data:  # the fragment is on another type
            continue
        value, here = data[key], (*path, key)
        if position.coordinate:
            # Where a non-null field in it failed, the error's path is longer.
            has_error = any(tuple(each.get("path", ()))[: len(here)] == here for each in errors)
            yield Observation(position.coordinate, here, value is None, has_error)
        yield from observe(position.below, value, errors, here)


_POSITIONS: WeakKeyDictionary[Document, dict[str | None, Positions]] = WeakKeyDictionary()


def observations(
    schema: GraphQLSchema, document: Document, name: str | None, result: OperationResult
) -> Iterator[Observation]:
    """Yield the observations of a response that has data."""
    if document.node is None or result.body.get("data") is None:
        return
    by_name = _POSITIONS.setdefault(document, {})
    if name not in by_name:
        by_name[name] = positions(schema, document.node, name)
    if by_name[name]:
        data = msgspec.to_builtins(result.body["data"])  # plans make structs of some objects
        yield from observe(by_name[name], data, result.body.get("errors", ()))


def observing(method: Callable[..., Any], see: Callable[[Observation], None]) -> Any:
    """Return a method of the executor that returns a result, or will; `see` is called for each."""

    def seen(executor: Any, document: Document, name: str | None, result: Any) -> Any:
        if isinstance(result, OperationResult):
            for each in observations(executor._schema, document, name, result):  # noqa: SLF001  # executors have one each
                see(each)
        return result

    def observed(
        self: Any, document: Document, variables: Any, name: str | None, *rest: Any
    ) -> Any:
        result = method(self, document, variables, name, *rest)
        if result is None or isinstance(result, OperationResult):
            return seen(self, document, name, result)

        async def waited() -> Any:
            return seen(self, document, name, await result)

        return waited()

    return observed
