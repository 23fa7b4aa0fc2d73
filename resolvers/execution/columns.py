"""Functions of compiled plans: most complete a column, one field of many rows at once.

Each raises on the first value that does not match the schema, without its path.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLNamedOutputType,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
)
from graphql.pyutils import is_iterable

from gateway.domain.lazy_rows import ModelRows, by_list, column, is_lazy, kinds
from resolvers.execution.planner import FieldPlan, SelectionPlan
from resolvers.field_declarations import value_class
from resolvers.field_permissions import STRAWBERRY
from resolvers.typed_columns import are_texts, typed
from resolvers.value_types import ALL_AT_ONCE

Complete = Callable[[Sequence[Any]], Sequence[Any]]

PLAIN: dict[Any, type] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLInt: int,
    GraphQLBoolean: bool,
}
"""Scalars whose values mostly need no serializing, and the type of those values."""

MIN_INT, MAX_INT = -(2**31), 2**31 - 1
"""The range of GraphQL's Int."""
INT = Annotated[int, msgspec.Meta(ge=MIN_INT, le=MAX_INT)]

MAX_CACHED = 4096
"""More than a schema has fields."""

BATCH_ROWS = 512
"""Rows of small lists that are completed together: more do not fit into the processor's cache."""


class UnexpectedNullError(Exception):
    """A value of a non-null type is null."""


def serializer(kind: GraphQLNamedOutputType) -> Callable[[Any], Any]:
    """Return the serializer of a scalar or enum; it raises for an invalid value."""
    coerce: Callable[[Any], Any] = kind.coerce_output_value  # type: ignore[union-attr]  # a leaf

    def serialize(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        serialized = coerce(value)
        if serialized is None or serialized is Undefined:
            raise TypeError(f"{kind} cannot represent a value of {type(value)}")
        return serialized

    return serialize


@lru_cache(maxsize=MAX_CACHED)
def leaf(kind: Any, *, is_nullable: bool) -> Callable[[Any], Any]:
    """Return the completion of one scalar or enum; None stays None if nullable."""
    serialize = serializer(kind)
    known: Any = names_of(kind) or PLAIN.get(kind)

    def other(value: Any) -> Any:
        return None if value is None and is_nullable else serialize(value)

    def name(value: Any) -> Any:
        return value._name_ if type(value) is known else other(value)

    def number(value: Any) -> Any:
        return value if type(value) is int and MIN_INT <= value <= MAX_INT else other(value)

    def plain(value: Any) -> Any:
        return value if type(value) is known else other(value)

    if known is None:
        return other
    if known is int:
        return number
    return plain if kind in PLAIN else name


@lru_cache(maxsize=MAX_CACHED)
def leaf_column(kind: Any, *, is_nullable: bool) -> Complete:
    """Return the completion of a column of scalars or enums; None stays None if nullable."""
    complete = column_serializer(kind, is_nullable=is_nullable)
    members = names_of(kind)
    if members is None:
        return complete
    are_members = frozenset({members}).issuperset

    def names(values: Sequence[Any]) -> Sequence[Any]:
        return member_names(values) if are_members(map(type, values)) else complete(values)

    return names


def member_names(values: Sequence[Any]) -> Sequence[str]:
    """Return the names of members of an enum."""
    first = next(iter(values), None)
    # Many columns have only one member; to compare it with itself takes next to nothing.
    if first is not None and [*values].count(first) == len(values):
        return [first._name_] * len(values)
    return [value._name_ for value in values]


@lru_cache(maxsize=MAX_CACHED)
def attribute_column(kind: GraphQLObjectType, path: str) -> Complete:  # noqa: ARG001  # code of its own
    """Return the function that reads a declared attribute of values of this type.

    Code of its own for each type takes half of `attrgetter`'s time: the interpreter specialises it
    for the class of the values. A path consists of identifiers (`field_declarations`).
    """
    read = eval(f"lambda values: [value.{path} for value in values]", {})  # noqa: S307  # decision 0045
    return lambda values: column(values, path, read)


@lru_cache(maxsize=MAX_CACHED)
def leaf_attribute_column(
    kind: GraphQLObjectType, path: str, leaf_kind: Any, *, is_nullable: bool
) -> Complete:
    """Return the function that reads and completes a declared attribute: a scalar or an enum."""
    read = attribute_column(kind, path)
    complete = leaf_column(leaf_kind, is_nullable=is_nullable)
    is_plain, is_enum = leaf_kind in PLAIN, names_of(leaf_kind) is not None

    def one_list(rows: Sequence[Any]) -> Sequence[Any]:
        values = read(rows)
        if type(rows) is ModelRows:  # decoding has checked the types
            if is_plain:
                return values
            if is_enum:
                return member_names(values)
        return complete(values)

    return lambda rows: by_list(rows, one_list)


def column_serializer(kind: Any, *, is_nullable: bool) -> Complete:
    """Return the serializer of a column of scalars or enums; None stays None if nullable."""
    serialize = serializer(kind)

    def one(value: Any) -> Any:
        if value is None and is_nullable:
            return None
        if value is None:
            raise UnexpectedNullError
        return serialize(value)

    def each(values: Sequence[Any]) -> Sequence[Any]:
        return [one(value) for value in values]

    many = ALL_AT_ONCE.get(getattr(kind, "coerce_output_value", None))
    if many is not None:
        return many if is_nullable else _non_null_column(many)
    known: Any = INT if kind is GraphQLInt else PLAIN.get(kind)
    if known is None:
        return each
    copy = typed(known | None if is_nullable else known)

    def complete(values: Sequence[Any]) -> Sequence[Any]:
        if known is str and are_texts(values):
            return values
        try:
            return copy(values)
        except msgspec.ValidationError:
            return each(values)

    return complete


def _non_null_column(many: Complete) -> Complete:
    def complete(values: Sequence[Any]) -> Sequence[Any]:
        if None in values:
            raise UnexpectedNullError
        return many(values)

    return complete


def names_of(kind: Any) -> type[Enum] | None:
    """Return the enum of a type that serializes its members by their Python names, if any."""
    members: Any = getattr(kind, "wrapped_cls", None)
    uses_names = (
        isinstance(kind, GraphQLEnumType)
        and isinstance(members, type)
        and issubclass(members, Enum)
        and all(kind.coerce_output_value(member) == member.name for member in members)
    )
    return members if uses_names else None


def as_list(values: Any) -> Sequence[Any]:
    """Return the values of a list field as a new list, or as rows that are read by column."""
    if is_lazy(values):
        return values
    if type(values) not in {list, tuple} and not is_iterable(values):
        raise TypeError(type(values))
    return [*values]


def in_batches(
    complete: Callable[[list[Sequence[Any]], list[Any]], list[Any]],
    lists: Sequence[Any],
    slots: Any,
) -> list[Any]:
    """Complete lists: several small ones together, a large one alone."""
    completed: list[Any] = []
    batch: list[Sequence[Any]] = []
    count = 0
    for each in lists:
        batch.append(as_list(each))
        count += len(batch[-1])
        if count >= BATCH_ROWS:
            completed += complete(batch, slots)
            batch, count = [], 0
    return completed + complete(batch, slots) if batch else completed


def split(rows: Sequence[Any], lists: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Split the rows of several lists into these lists again."""
    whole = rows if isinstance(rows, list) else [*rows]
    if len(lists) == 1:
        return [whole]
    start = 0
    out = []
    for each in lists:
        end = start + len(each)
        out.append(whole[start:end])
        start = end
    return out


def non_null(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values that are not None: the same sequence if there are no others."""
    rest = [value for value in values if value is not None]
    return values if len(rest) == len(values) else rest


def scatter(completed: Iterable[Any], values: Iterable[Any]) -> list[Any]:
    """Put the completed values in the positions of the non-null values; None in the others."""
    each = iter(completed)
    return [None if value is None else next(each) for value in values]


def check_objects(values: Sequence[Any]) -> None:
    """Raise if a value is None or an error."""
    for kind in kinds(values):
        if kind is type(None):
            raise UnexpectedNullError
        if issubclass(kind, Exception):
            raise TypeError(kind)


def check_length(column: Sequence[Any], values: Sequence[Any]) -> Sequence[Any]:
    """Return a computed column; raise if it does not have one item per value."""
    if len(column) != len(values):
        raise ValueError(len(column))
    return column


def dict_rows(keys: tuple[str, ...]) -> Callable[[Iterable[Sequence[Any]]], list[dict[str, Any]]]:
    """Return the function that makes dicts with these keys of tuples of values."""
    return _dict_rows(len(keys))(*keys)  # type: ignore[no-any-return]  # generated code


@lru_cache(maxsize=256)
def _dict_rows(count: int) -> Any:
    """Return a function of so many keys: a dict display takes a third of the time of `zip`."""
    keys, values = ([f"{letter}{number}" for number in range(count)] for letter in "kv")
    display = ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True))
    row = ", ".join(values)
    rows = f"lambda rows: [{{{display}}} for {row}, in rows]"
    return eval(f"lambda {', '.join(keys)}: {rows}", {})  # noqa: S307  # decision 0045


@lru_cache(maxsize=512)  # a class takes 10 µs, and most rows have the same fields
def row_of(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return the class of rows with these keys.

    Creating and encoding one takes a third of the time of a dict; but it cannot take more fields.
    """
    names = [f"f{number}" for number in range(len(keys))]
    return msgspec.defstruct("Row", names, rename=dict(zip(names, keys, strict=True)), gc=False)


def class_of(kind: GraphQLObjectType) -> type:
    """Return the class of the values of an object type."""
    return value_class(kind.extensions[STRAWBERRY].origin)


def selector(field: FieldPlan) -> Callable[[Any], SelectionPlan]:
    """Return a function that finds the selection for a value of an abstract type."""
    by_class = {class_of(kind): selection for kind, selection in field.selections.items()}

    def select(value: Any) -> SelectionPlan:
        for known, selection in by_class.items():
            if isinstance(value, known):
                return selection
        raise TypeError(f"no type shows a {type(value)}")

    return select


def is_shared(kind: GraphQLObjectType) -> bool:
    """Return whether values of a type compare by identity, so that many rows may share one."""
    try:
        value_type: Any = class_of(kind)
    except (AttributeError, KeyError):  # not a view
        return False
    return isinstance(value_type, type) and getattr(value_type, "__eq__", None) is object.__eq__
