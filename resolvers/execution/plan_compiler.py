"""Compile a plan to closures: they read attributes and build the response.

A single object is built field by field. The rows of lists, and all objects of one level, are built
by column: one field for all objects at once, mostly by one call into C.

Compiling a document makes no source code, which would take longer than a page of rows: what is
generated reads one declared attribute, or makes dicts of so many keys, and serves all documents
(`columns`).

Closures check every value and raise on the first that does not match the schema, without its path.
The caller then builds the same objects again by `SlowPathCompletion`, which is slower and knows
the path of each error.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_leaf_type,
)

from gateway.domain.lazy_rows import extended
from resolvers.execution.columns import (
    UnexpectedNullError,
    attribute_column,
    check_objects,
    dict_rows,
    in_batches,
    is_shared,
    leaf,
    leaf_attribute_column,
    leaf_column,
    non_null,
    row_of,
    scatter,
    selector,
    split,
)
from resolvers.execution.computed_fields import Many, One, Slots, computed_column, computed_value
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan
from resolvers.execution.selected_fields import UnplannableError
from resolvers.field_declarations import Shortcut

flat = chain.from_iterable

MIN_STRUCTS = 40
"""Making a class takes as long as it saves for so many rows."""

MANY_ROWS = 500
"""Rows for which a class is made although the plan may never run again.

Classes are cyclic garbage: many of them make the collector look at all cached documents.
"""


def compile_plan(plan: Plan) -> None:
    """Set the functions of a plan and its fields. Raises `UnplannableError`."""
    compiler = _PlanCompiler(plan)
    try:
        start = compiler.root_object(plan.root)
        plan.start = lambda slots: start(None, slots)
        compiler.read_fields(plan.below)
    except RecursionError as error:
        raise UnplannableError from error


class _PlanCompiler:
    """Compiles all functions of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._root = plan.root
        self._kinds = plan.kinds

    def root_object(self, root: SelectionPlan) -> One:
        """Return the function that builds the root object."""
        return self._object(root)

    def read_fields(self, below: Iterable[SelectionPlan]) -> None:
        """Set the functions of the fields that are read, level by level."""
        for selection in below:
            for field in selection.reads:
                if selection is self._root:
                    field.complete = _put_each(field.key, self._value(field.type, field))
                else:
                    field.complete = _put_column(field.key, self._column(field.type, field))
                self.read_fields(field.below)

    # One value.

    def _value(self, kind: GraphQLOutputType, field: FieldPlan) -> One:
        """Return the function that completes a value as this type."""
        is_nullable, inner = _parts(kind)
        complete: One
        if is_leaf_type(inner):
            serialize = leaf(inner, is_nullable=is_nullable)
            return lambda x, _: serialize(x)
        if isinstance(inner, GraphQLList):
            complete = _one_list(self._lists(inner, field))
        elif isinstance(inner, GraphQLObjectType):
            complete = self._checked_object(field.selections[inner])
        else:
            complete = self._abstract(field)

        def present(x: Any, slots: Slots) -> Any:
            if x is not None:
                return complete(x, slots)
            if is_nullable:
                return None
            raise UnexpectedNullError

        return present

    def _abstract(self, field: FieldPlan) -> One:
        kinds = self._kinds
        select = selector(field)
        build = {id(each): self._checked_object(each) for each in field.selections.values()}

        def complete(x: Any, slots: Slots) -> Any:
            selection = select(x)
            result = build[id(selection)](x, slots)
            slots[kinds][id(result)] = selection
            return result

        return complete

    def _checked_object(self, selection: SelectionPlan) -> One:
        build = self._object(selection)
        if not _has_no_attributes(selection):
            return build  # reading an attribute of an error raises

        def checked(x: Any, slots: Slots) -> Any:
            if isinstance(x, Exception):
                raise x
            return build(x, slots)

        return checked

    def _object(self, selection: SelectionPlan) -> One:
        entries = [(field.key, self._entry(selection, field)) for field in selection.fields]
        if not selection.reads:
            return lambda x, slots: {key: get(x, slots) for key, get in entries}
        values, objects = selection.values, selection.objects

        def build(x: Any, slots: Slots) -> Any:
            result = {key: get(x, slots) for key, get in entries}
            slots[values].append(x)
            slots[objects].append(result)
            return result

        return build

    def _entry(self, selection: SelectionPlan, field: FieldPlan) -> One:
        """Return the function that gets and completes a field of one object."""
        if field.name == "__typename":
            return _constant(selection.type.name)
        if field.is_read:
            return _constant(None)
        is_nullable, inner = _parts(field.type)
        if is_leaf_type(inner):
            serialize = leaf(inner, is_nullable=is_nullable)
            if field.path:
                get = attrgetter(field.path)
                return lambda x, _: serialize(get(x))
            call = computed_value(field)
            return lambda x, slots: serialize(call(x, slots))
        complete = self._value(field.type, field)
        if field.path:
            get = attrgetter(field.path)
            return lambda x, slots: complete(get(x), slots)
        call = computed_value(field)
        return lambda x, slots: complete(call(x, slots), slots)

    # Columns.

    def _column(self, kind: GraphQLOutputType, field: FieldPlan) -> Many:
        """Return the function that completes values as this type."""
        is_nullable, inner = _parts(kind)
        if is_leaf_type(inner):
            serialize = leaf_column(inner, is_nullable=is_nullable)
            return lambda xs, _: serialize(xs)
        complete: Many
        if isinstance(inner, GraphQLList):
            complete = partial(in_batches, self._lists(inner, field))
        elif isinstance(inner, GraphQLObjectType):
            complete = self._objects(field.selections[inner])
        else:
            complete = _each(self._abstract(field), is_nullable=is_nullable)
        return _nullable(complete) if is_nullable else complete

    def _lists(
        self, kind: GraphQLList[Any], field: FieldPlan
    ) -> Callable[[list[Sequence[Any]], Slots], list[Any]]:
        """Return the function that completes several lists at once."""
        column = self._column(kind.of_type, field)

        def complete(lists: list[Sequence[Any]], slots: Slots) -> list[Any]:
            xs = lists[0] if len(lists) == 1 else [*flat(lists)]
            return split(column(xs, slots), lists)

        return complete

    def _objects(self, selection: SelectionPlan) -> Many:
        """Return the function that builds objects; equal ones once, where rows may share them."""
        build = self._rows(selection)
        if selection.waits or not is_shared(selection.type):
            return build

        def distinct(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
            values = dict.fromkeys(xs)
            rows = dict(zip(values, build([*values], slots), strict=True))
            if len(rows) == 1:
                return [*rows.values()] * len(xs)
            return [*map(rows.__getitem__, xs)]

        return distinct

    def _rows(self, selection: SelectionPlan) -> Many:
        columns = {each: self._field_column(selection, each) for each in selection.fields}
        build = _zipped(selection, columns, is_whole=not selection.waits)
        if _has_no_attributes(selection):
            build = _checked(build)
        if not selection.reads:
            return build
        values, objects = selection.values, selection.objects

        def read_later(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
            slots[values] = extended(slots[values], xs)
            rows = build(xs, slots)
            slots[objects].extend(rows)
            return rows

        return self._with_shortcuts(selection, columns, read_later)

    def _with_shortcuts(
        self, selection: SelectionPlan, columns: Mapping[FieldPlan, Many], read_later: Many
    ) -> Many:
        """Return the function that builds rows by shortcuts where these apply."""
        shortcuts = _shortcuts(selection)
        if not shortcuts:
            return read_later
        known = {
            field: self._shortcut_column(selection, field, each)
            for field, each in shortcuts.items()
        }
        below_waits = any(
            below.waits for field in selection.fields for below in field.selections.values()
        )
        build = _zipped(selection, {**columns, **known}, is_whole=not below_waits)
        tests = [*dict.fromkeys(each.of_all for each in shortcuts.values())]

        def rows(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
            suffice = all(test(xs) for test in tests)
            return build(xs, slots) if suffice else read_later(xs, slots)

        return rows

    def _field_column(self, selection: SelectionPlan, field: FieldPlan) -> Many:
        """Return the function that gets and completes one field of many objects."""
        if field.name == "__typename":
            return _repeated(selection.type.name)
        if field.is_read:
            return _repeated(None)
        is_nullable, inner = _parts(field.type)
        if field.path:
            if is_leaf_type(inner):
                show = leaf_attribute_column(
                    selection.type, field.path, inner, is_nullable=is_nullable
                )
                return lambda xs, _: show(xs)
            read = attribute_column(selection.type, field.path)
            complete = self._column(field.type, field)
            return lambda xs, slots: complete(read(xs), slots)
        compute = computed_column(field)
        complete = self._column(field.type, field)
        return lambda xs, slots: complete(compute(xs, slots), slots)

    def _shortcut_column(
        self, selection: SelectionPlan, field: FieldPlan, shortcut: Shortcut
    ) -> Many:
        complete = self._column(field.type, field)
        if shortcut.path:
            read = attribute_column(selection.type, shortcut.path)
            return lambda xs, slots: complete(read(xs), slots)
        function = shortcut.function
        return lambda xs, slots: complete([*map(function, xs)], slots)


def _one_list(complete: Callable[[list[Sequence[Any]], Slots], list[Any]]) -> One:
    return lambda x, slots: in_batches(complete, (x,), slots)[0]


def _put_each(key: str, complete: One) -> Callable[..., None]:
    def put(results: Sequence[Any], objects: Sequence[dict[str, Any]], slots: Slots) -> None:
        for x, parent in zip(results, objects, strict=True):
            parent[key] = complete(x, slots)

    return put


def _put_column(key: str, complete: Many) -> Callable[..., None]:
    def put(results: Sequence[Any], objects: Sequence[dict[str, Any]], slots: Slots) -> None:
        for x, parent in zip(complete(results, slots), objects, strict=True):
            parent[key] = x

    return put


def _constant(value: Any) -> One:
    return lambda *_: value


def _repeated(value: Any) -> Many:
    return lambda xs, _: repeat(value, len(xs))  # type: ignore[return-value]  # rows only iterate


def _each(complete: One, *, is_nullable: bool) -> Many:
    def column(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
        if not is_nullable and None in xs:
            raise UnexpectedNullError
        return [complete(x, slots) for x in xs]

    return column


def _nullable(complete: Many) -> Many:
    def column(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
        present = non_null(xs)
        completed = complete(present, slots)
        return completed if present is xs else scatter(completed, xs)

    return column


def _checked(build: Many) -> Many:
    def rows(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
        check_objects(xs)
        return build(xs, slots)

    return rows


def _zipped(
    selection: SelectionPlan, columns: Mapping[FieldPlan, Many], *, is_whole: bool
) -> Many:
    """Return the function that builds rows: structs, unless fields are added to them later."""
    keys = tuple(field.key for field in selection.fields)
    gets = [columns[field] for field in selection.fields]
    if not keys:
        return lambda xs, _: [{} for _ in xs]
    dicts = dict_rows(keys)
    if is_whole:
        return _structs(keys, gets, dicts)
    return lambda xs, slots: dicts(zip(*[get(xs, slots) for get in gets], strict=True))


def _structs(
    keys: tuple[str, ...], gets: Sequence[Many], dicts: Callable[[Any], list[dict[str, Any]]]
) -> Many:
    """Return the function that builds structs, whose class is made once rows came before."""
    row: Any = None
    before = 0

    def rows(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
        nonlocal row, before
        columns = [get(xs, slots) for get in gets]
        if row is None:
            if before < MIN_STRUCTS and len(xs) < MANY_ROWS:
                before += len(xs)
                return dicts(zip(*columns, strict=True))
            row = row_of(keys)
        return [*map(row, *columns)]

    return rows


def _parts(kind: Any) -> tuple[bool, Any]:
    """Return whether a type is nullable, and its nullable type."""
    return (False, kind.of_type) if isinstance(kind, GraphQLNonNull) else (True, kind)


def _has_no_attributes(selection: SelectionPlan) -> bool:
    return not any(field.path for field in selection.fields)


def _shortcuts(selection: SelectionPlan) -> Mapping[FieldPlan, Shortcut]:
    """Return the shortcuts of the fields to read; empty unless every one has a shortcut."""
    shortcuts = {
        field: field.declaration.shortcut
        for field in selection.reads
        if field.declaration and field.declaration.shortcut and not field.below
    }
    return shortcuts if len(shortcuts) == len(selection.reads) else {}
