"""Make objects one field at a time, keeping each error with its place: what generated code cannot.

The same rules as graphql-core's `complete_value`: a null where none may be is an error, and takes
everything up to the next place that may be null with it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from graphql import GraphQLList, GraphQLNonNull, GraphQLOutputType, is_leaf_type, is_object_type
from graphql.pyutils import is_iterable

from resolvers.execution.codegen import selector
from resolvers.execution.codegen_runtime import leaf
from resolvers.execution.planner import FieldPlan, SelectionPlan

Place = tuple[str | int, ...]
"""Keys and indices, from an object of the answer down."""


class Failure(NamedTuple):
    """A field that failed: where, counted from an object that was made, and with what."""

    within: dict[str, Any] | None
    """None: the whole answer."""
    place: Place
    field: FieldPlan
    error: Exception
    takes_object: bool
    """The field may not be null: the object it stands in must go."""


class _Fell(Exception):
    """A field failed that may not be null."""

    def __init__(self, place: Place, field: FieldPlan, error: Exception) -> None:
        super().__init__()
        self.place = place
        self.field = field
        self.error = error


class SlowPathCompletion:
    """Makes the objects of one wave."""

    def __init__(self, slots: list[Any], kinds: int, failures: list[Failure]) -> None:
        """Fill the slots as generated code does; add to the failures."""
        self._slots = slots
        self._kinds = kinds
        self._failures = failures
        self._made: list[tuple[SelectionPlan, Any, dict[str, Any]]] = []
        self._within: dict[str, Any] | None = None

    def start(self, root: SelectionPlan) -> dict[str, Any] | None:
        """Return the root object, or None when it fell."""
        made: dict[str, Any] | None = None
        try:
            made = self._object(root, None, ())
        except _Fell as fell:
            self._fail(fell, takes_object=True)
        self._publish()
        return made

    def complete(
        self, field: FieldPlan, answers: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> None:
        """Put the answers of a field that was read into its objects."""
        for answer, made in zip(answers, objects, strict=True):
            self._within = made
            with self._nullable(field.type):
                made[field.key] = self._value(field.type, answer, field, (field.key,))
        self._publish()

    @contextmanager
    def _nullable(self, kind: GraphQLOutputType) -> Iterator[None]:
        """Catch what falls, at the top of a wave; the place keeps its null."""
        known = len(self._made)
        try:
            yield
        except _Fell as fell:
            del self._made[known:]
            self._fail(fell, takes_object=isinstance(kind, GraphQLNonNull))

    def _fail(self, fell: _Fell, *, takes_object: bool = False) -> None:
        self._failures.append(
            Failure(self._within, fell.place, fell.field, fell.error, takes_object)
        )

    def _publish(self) -> None:
        for selection, value, made in self._made:
            self._slots[selection.values].append(value)
            self._slots[selection.made].append(made)

    def _checked(
        self, kind: GraphQLOutputType, field: FieldPlan, place: Place, get: Callable[[], Any]
    ) -> Any:
        """Return a value, or null where it fails and may be null."""
        known = len(self._made)
        try:
            try:
                value = get()
            except _Fell:
                raise
            except Exception as error:
                raise _Fell(place, field, error) from error
            return self._value(kind, value, field, place)
        except _Fell as fell:
            if isinstance(kind, GraphQLNonNull):
                raise
            del self._made[known:]
            self._fail(fell)
            return None

    def _value(self, kind: Any, value: Any, field: FieldPlan, place: Place) -> Any:
        if isinstance(value, Exception):
            raise _Fell(place, field, value)
        if isinstance(kind, GraphQLNonNull):
            made = self._value(kind.of_type, value, field, place)
            if made is None:
                text = f"Cannot return null for non-nullable field {field.parent}.{field.name}."
                raise _Fell(place, field, TypeError(text))
            return made
        if value is None:
            return None
        if isinstance(kind, GraphQLList):
            return self._list(kind, value, field, place)
        try:
            if is_leaf_type(kind):
                return leaf(kind)(value)
            selection = field.selections.get(kind) or selector(field)(value)
        except Exception as error:
            raise _Fell(place, field, error) from error
        made = self._object(selection, value, place)
        if not is_object_type(kind):
            self._slots[self._kinds][id(made)] = selection
        return made

    def _list(
        self, kind: GraphQLList[Any], value: Any, field: FieldPlan, place: Place
    ) -> list[Any]:
        if not is_iterable(value):
            text = f"Expected Iterable, but did not find one for '{field.parent}.{field.name}'."
            raise _Fell(place, field, TypeError(text))
        return [
            self._checked(kind.of_type, field, (*place, index), partial(_same, item))
            for index, item in enumerate(value)
        ]

    def _object(self, selection: SelectionPlan, value: Any, place: Place) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for field in selection.fields:
            if field.name == "__typename":
                made[field.key] = selection.type.name
            elif field.is_read:
                made[field.key] = None
            else:
                made[field.key] = self._checked(
                    field.type,
                    field,
                    (*place, field.key),
                    partial(self._got, field, value),
                )
        if selection.reads:
            self._made.append((selection, value, made))
        return made

    def _got(self, field: FieldPlan, value: Any) -> Any:
        if field.declaration is None:
            return getattr(value, field.path)
        info = (self._slots[field.info_slot],) if field.info_slot >= 0 else ()
        arguments = (self._slots[number] for number in field.arguments)
        return field.declaration.function(value, *info, *arguments)


def _same(value: Any) -> Any:
    return value
