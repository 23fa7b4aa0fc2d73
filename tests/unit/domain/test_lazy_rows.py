"""Lazy rows are like a list of entities, and make none that are not needed."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import pytest

from gateway.domain.entities import Ref
from gateway.domain.lazy_rows import (
    Columns,
    LazyRows,
    ModelRows,
    column,
    is_lazy,
    joined,
    kinds,
)


class Entity(msgspec.Struct):
    """A row."""

    ref: Ref
    place: int


COLUMNS: Columns[str, Entity] = Columns(Entity, {"ref.key": lambda models: [*models]})
ENTITIES = [Entity(Ref("p", "a"), 0), Entity(Ref("p", "b"), 1), Entity(Ref("p", "c"), 2)]
PATHS = ("ref", "ref.provider", "ref.key", "place")


def lazy(keys: str, conversions: list[str]) -> ModelRows[str, Entity]:
    """Return rows with these keys; what is converted is noted."""

    def convert(models: Sequence[str], indices: Sequence[int]) -> list[Entity]:
        conversions.append("".join(models))
        return [Entity(Ref("p", key), at) for key, at in zip(models, indices, strict=True)]

    return ModelRows("p", COLUMNS, convert, [*keys], range(len(keys)))


def values(rows: Sequence[Any], path: str) -> Sequence[Any]:
    """Return a column."""
    return column(rows, path, lambda entities: [*map(attrgetter(path), entities)])


def test_rows_are_converted_once() -> None:
    """And only when one is read."""
    conversions: list[str] = []
    rows = lazy("abc", conversions)
    assert (len(rows), rows[:], conversions) == (3, rows, [])
    assert ([*rows], rows[1], rows[-1]) == (ENTITIES, ENTITIES[1], ENTITIES[2])
    assert conversions == ["abc"]


@pytest.mark.parametrize("path", PATHS)
def test_a_column_is_that_of_the_entities(path: str) -> None:
    """Whether they were made before or not; only attributes without a column need them."""
    conversions: list[str] = []
    rows, expected = lazy("abc", conversions), [*map(attrgetter(path), ENTITIES)]
    assert (values(rows, path), conversions) == (expected, ["abc"] if path == "place" else [])
    assert ([*rows], values(rows, path), values([*rows], path)) == (ENTITIES, expected, expected)
    assert conversions == ["abc"]


def test_some_rows_are_lazy_too() -> None:
    """They know their places in the reply."""
    conversions: list[str] = []
    some = lazy("abc", conversions)[1:]
    assert (is_lazy(some), values(some, "ref.key"), conversions) == (True, ["b", "c"], [])
    assert ([*some], conversions) == (ENTITIES[1:], ["bc"])


@pytest.mark.parametrize(("keys", "is_distinct"), [("", True), ("ab", True), ("aba", False)])
def test_duplicates(keys: str, *, is_distinct: bool) -> None:
    """They are recognized by their keys."""
    assert lazy(keys, []).is_distinct is is_distinct


@pytest.mark.parametrize("path", PATHS)
def test_joined_rows_are_those_of_all_lists(path: str) -> None:
    """A list without columns is read row by row."""
    conversions: list[str] = []
    rows = joined([lazy("ab", conversions), (), ENTITIES[2:]])
    expected = [*map(attrgetter(path), [*ENTITIES[:2], ENTITIES[2]])]
    assert (is_lazy(rows), len(rows), kinds(rows)) == (True, 3, {Entity})
    assert (values(rows, path), conversions) == (expected, ["ab"] if path == "place" else [])
    assert ([*rows], rows[2], rows[1:], rows[:3]) == (ENTITIES, ENTITIES[2], ENTITIES[1:], rows)
    assert conversions == ["ab"]


def test_lists_without_lazy_rows_become_a_new_list() -> None:
    """A single one is copied, and one with all of the lazy rows remains."""
    rows = lazy("abc", [])
    assert (joined([]), joined([(), ENTITIES])) == ([], ENTITIES)
    assert joined([ENTITIES]) is not ENTITIES
    assert joined([(), rows]) is rows
    assert (isinstance(rows, LazyRows), is_lazy(ENTITIES)) == (True, False)
