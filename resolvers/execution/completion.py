"""Complete objects one field at a time and note the path of each error: the slow path.

The rules are those of graphql-core's `complete_value`: null for a non-null type is an error, which
makes the nearest nullable parent null.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from graphql import GraphQLList, GraphQLNonNull, GraphQLOutputType, is_leaf_type, is_object_type
from graphql.pyutils import is_iterable

from resolvers.execution.columns import selector, serializer
from resolvers.execution.planner import FieldPlan, SelectionPlan

Path = tuple[str | int, ...]
"""Keys and indices, starting from an object of the response."""


class Failure(NamedTuple):
    """A field that failed: its path from a completed object, and its error."""

    within: dict[str, Any] | None
    """None: the whole response."""
    path: Path
    field: FieldPlan
    error: Exception
    nulls_object: bool
    """The field is non-null: the object that contains it becomes null."""


class _FieldError(Exception):
    """The error of a field on its way up to the nearest nullable parent."""

    def __init__(self, path: Path, field: FieldPlan, error: Exception) -> None:
        super().__init__()
        self.path = path
        self.field = field
        self.error = error


class SlowPathCompletion:
    """Completes the objects of one level."""

    def __init__(self, slots: list[Any], kinds: int, failures: list[Failure]) -> None:
        """Fill the slots like a compiled plan, and append to the failures."""
        self._slots = slots
        self._kinds = kinds
        self._failures = failures
        self._completed: list[tuple[SelectionPlan, Any, dict[str, Any]]] = []
        self._within: dict[str, Any] | None = None

    def start(self, root: SelectionPlan) -> dict[str, Any] | None:
        """Return the root object, or None if a non-null field of it failed."""
        root_object: dict[str, Any] | None = None
        try:
            root_object = self._object(root, None, ())
        except _FieldError as failed:
            self._fail(failed, nulls_object=True)
        self._publish()
        return root_object

    def complete(
        self, field: FieldPlan, results: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> None:
        """Add the results of a field that was read to its objects."""
        for result, parent in zip(results, objects, strict=True):
            self._within = parent
            with self._nullable(field.type):
                parent[field.key] = self._value(field.type, result, field, (field.key,))
        self._publish()

    @contextmanager
    def _nullable(self, kind: GraphQLOutputType) -> Iterator[None]:
        """Catch an error at the top of a level; the field stays null."""
        count = len(self._completed)
        try:
            yield
        except _FieldError as failed:
            del self._completed[count:]
            self._fail(failed, nulls_object=isinstance(kind, GraphQLNonNull))

    def _fail(self, failed: _FieldError, *, nulls_object: bool = False) -> None:
        self._failures.append(
            Failure(self._within, failed.path, failed.field, failed.error, nulls_object)
        )

    def _publish(self) -> None:
        for selection, value, result in self._completed:
            self._slots[selection.values].append(value)
            self._slots[selection.objects].append(result)

    def _field(
        self, kind: GraphQLOutputType, field: FieldPlan, path: Path, get: Callable[[], Any]
    ) -> Any:
        """Return the completed value of a field; null if it fails and is nullable."""
        count = len(self._completed)
        try:
            try:
                value = get()
            except _FieldError:
                raise
            except Exception as error:
                raise _FieldError(path, field, error) from error
            return self._value(kind, value, field, path)
        except _FieldError as failed:
            if isinstance(kind, GraphQLNonNull):
                raise
            del self._completed[count:]
            self._fail(failed)
            return None

    def _value(self, kind: Any, value: Any, field: FieldPlan, path: Path) -> Any:
        if isinstance(value, Exception):
            raise _FieldError(path, field, value)
        if isinstance(kind, GraphQLNonNull):
            result = self._value(kind.of_type, value, field, path)
            if result is None:
                text = f"Cannot return null for non-nullable field {field.parent}.{field.name}."
                raise _FieldError(path, field, TypeError(text))
            return result
        if value is None:
            return None
        if isinstance(kind, GraphQLList):
            return self._list(kind, value, field, path)
        try:
            if is_leaf_type(kind):
                return serializer(kind)(value)
            selection = field.selections.get(kind) or selector(field)(value)
        except Exception as error:
            raise _FieldError(path, field, error) from error
        result = self._object(selection, value, path)
        if not is_object_type(kind):
            self._slots[self._kinds][id(result)] = selection
        return result

    def _list(self, kind: GraphQLList[Any], value: Any, field: FieldPlan, path: Path) -> list[Any]:
        if not is_iterable(value):
            text = f"Expected Iterable, but did not find one for '{field.parent}.{field.name}'."
            raise _FieldError(path, field, TypeError(text))
        return [
            self._field(kind.of_type, field, (*path, index), partial(_same, item))
            for index, item in enumerate(value)
        ]

    def _object(self, selection: SelectionPlan, value: Any, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for field in selection.fields:
            if field.name == "__typename":
                result[field.key] = selection.type.name
            elif field.is_read:
                result[field.key] = None
            else:
                result[field.key] = self._field(
                    field.type,
                    field,
                    (*path, field.key),
                    partial(self._resolve, field, value),
                )
        if selection.reads:
            self._completed.append((selection, value, result))
        return result

    def _resolve(self, field: FieldPlan, value: Any) -> Any:
        if field.declaration is None:
            return getattr(value, field.path)
        info = (self._slots[field.info_slot],) if field.info_slot >= 0 else ()
        arguments = (self._slots[number] for number in field.arguments)
        return field.declaration.function(value, *info, *arguments)


def _same(value: Any) -> Any:
    return value
