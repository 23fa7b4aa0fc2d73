"""What generated code calls to make many values of one type at once: a column of a list's rows.

Each raises on the first value that is not as the schema says, and tells nothing of its place.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLNamedOutputType,
    GraphQLString,
    Undefined,
)
from graphql.pyutils import is_iterable

from resolvers.value_types import ALL_AT_ONCE

Complete = Callable[[Sequence[Any]], Sequence[Any]]

PLAIN: dict[Any, type] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLInt: int,
    GraphQLBoolean: bool,
}
"""The scalars whose values mostly are what is sent, and of what type they are then."""

LEAST_INT, MOST_INT = -(2**31), 2**31 - 1
"""What GraphQL has a whole number for."""

MOST_ROWS = 512
"""Of small lists, how many rows are made at once: more would not stay in the processor's cache."""


class UnexpectedNullError(Exception):
    """Something is null that must not be."""


def leaf(kind: GraphQLNamedOutputType) -> Callable[[Any], Any]:
    """Return what makes a scalar or enum of a value; it raises for one that is none."""
    coerce: Callable[[Any], Any] = kind.coerce_output_value  # type: ignore[union-attr]  # a leaf

    def coerced(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        shown = coerce(value)
        if shown is None or shown is Undefined:
            raise TypeError(f"{kind} has nothing for a value of {type(value)}")
        return shown

    return coerced


def leaves(kind: Any, *, is_nullable: bool) -> Complete:
    """Return what makes scalars or enums of many values; None stays where it may."""
    coerce = leaf(kind)

    def one(value: Any) -> Any:
        if value is None and is_nullable:
            return None
        if value is None:
            raise UnexpectedNullError
        return coerce(value)

    def each(values: Sequence[Any]) -> Sequence[Any]:
        return [one(value) for value in values]

    many = ALL_AT_ONCE.get(getattr(kind, "coerce_output_value", None))
    if many is not None:
        return many if is_nullable else _certainly(many)
    known = PLAIN.get(kind)
    if known is None:
        return each
    are_common = frozenset({known, type(None)} if is_nullable else {known}).issuperset
    return _whole(are_common, each) if known is int else _as_is(are_common, each)


def _as_is(are_common: Callable[[Iterable[type]], bool], each: Complete) -> Complete:
    def complete(values: Sequence[Any]) -> Sequence[Any]:
        return values if are_common(map(type, values)) else each(values)

    return complete


def _whole(are_common: Callable[[Iterable[type]], bool], each: Complete) -> Complete:
    def complete(values: Sequence[Any]) -> Sequence[Any]:
        there = present(values)
        fits = are_common(map(type, values)) and (
            not there or (min(there) >= LEAST_INT and max(there) <= MOST_INT)
        )
        return values if fits else each(values)

    return complete


def _certainly(many: Complete) -> Complete:
    def complete(values: Sequence[Any]) -> Sequence[Any]:
        if None in values:
            raise UnexpectedNullError
        return many(values)

    return complete


def names_of(kind: Any) -> type[Enum] | None:
    """Return the enum whose members a type of the schema shows by their Python names, if any."""
    members: Any = getattr(kind, "wrapped_cls", None)
    is_shown = (
        isinstance(kind, GraphQLEnumType)
        and isinstance(members, type)
        and issubclass(members, Enum)
        and all(kind.coerce_output_value(member) == member.name for member in members)
    )
    return members if is_shown else None


def listed(values: Any) -> list[Any]:
    """Return a new list of what stands for one."""
    if type(values) not in {list, tuple} and not is_iterable(values):
        raise TypeError(type(values))
    return [*values]


def in_batches(
    complete: Callable[[list[list[Any]], list[Any]], list[Any]], lists: Sequence[Any], slots: Any
) -> list[Any]:
    """Complete lists, several small ones at once, a large one alone."""
    made: list[Any] = []
    batch: list[list[Any]] = []
    count = 0
    for each in lists:
        batch.append(listed(each))
        count += len(batch[-1])
        if count >= MOST_ROWS:
            made += complete(batch, slots)
            batch, count = [], 0
    return made + complete(batch, slots) if batch else made


def parted(made: Sequence[Any], lists: Sequence[list[Any]]) -> list[list[Any]]:
    """Return what was made of the rows of lists as such lists again."""
    whole = made if isinstance(made, list) else [*made]
    if len(lists) == 1:
        return [whole]
    start = 0
    out = []
    for each in lists:
        end = start + len(each)
        out.append(whole[start:end])
        start = end
    return out


def present(values: Sequence[Any]) -> Sequence[Any]:
    """Return those that are not None: the very same sequence if that is all of them."""
    there = [value for value in values if value is not None]
    return values if len(there) == len(values) else there


def scattered(made: Iterable[Any], values: Iterable[Any]) -> list[Any]:
    """Put what was made of those that are present to their places; None to the others."""
    each = iter(made)
    return [None if value is None else next(each) for value in values]


def objects(values: Iterable[Any]) -> None:
    """Raise where an error or nothing stands for an object."""
    for kind in {*map(type, values)}:
        if kind is type(None):
            raise UnexpectedNullError
        if issubclass(kind, Exception):
            raise TypeError(kind)


def one_each(made: Sequence[Any], values: Sequence[Any]) -> Sequence[Any]:
    """Return what a function of ours made for many; raise if it is not one for each."""
    if len(made) != len(values):
        raise ValueError(len(made))
    return made


@lru_cache(maxsize=512)  # a class takes 30 µs, and mostly rows are selected alike
def row_of(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return what makes a row with these keys of its values.

    A third of a dict's time, from being made to being encoded; but nothing can be put into it.
    """
    names = [f"f{number}" for number in range(len(keys))]
    return msgspec.defstruct("Row", names, rename=dict(zip(names, keys, strict=True)), gc=False)
