"""How deeply a reply may nest: counted exactly, whatever its rows look like."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.domain.json_depth import MAX_DEPTH, is_too_deep

ROW = {"id": "1", "name": {"en": "A", "de": "B"}, "tags": [["x"], []]}


def nested(levels: int, inside: Any) -> Any:
    """Return a value with this many more levels."""
    for _ in range(levels):
        inside = {"a": inside}
    return inside


def in_every_row(levels: int) -> Any:
    """Nest in each of many rows that look alike."""
    return {"data": [nested(levels - 2, 1)] * 100, "total": 100}


def in_the_first_row(levels: int) -> Any:
    """Nest in the one row that looks different."""
    return [nested(levels - 1, 1), *[ROW] * 100]


def in_the_last_row(levels: int) -> Any:
    """Nest in the one row that looks different."""
    return [*[ROW] * 100, nested(levels - 1, 1)]


def behind_the_rows(levels: int) -> Any:
    """Nest beside the list of rows."""
    return {"data": [ROW] * 100, "more": nested(levels - 1, 1)}


def around_the_rows(levels: int) -> Any:
    """Nest the list of rows."""
    return nested(levels - 4, [ROW] * 100)


def beside_nothing(levels: int) -> Any:
    """Nest so that each level begins as the one above it, as rows do."""
    value: Any = []
    for _ in range(levels - 1):
        value = [[], value]
    return value


def between_texts(levels: int) -> Any:
    """Nest so that texts close what they did not open."""
    value: Any = []
    for _ in range(levels - 1):
        value = [["]["], value, "]"]
    return value


SHAPES = [
    in_every_row,
    in_the_first_row,
    in_the_last_row,
    behind_the_rows,
    around_the_rows,
    beside_nothing,
    between_texts,
]


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.__name__ for shape in SHAPES])
def test_the_bound_is_exact(shape: Callable[[int], Any]) -> None:
    """What is as deep as allowed is read; one level more is not."""
    bodies = [msgspec.json.encode(shape(levels)) for levels in (MAX_DEPTH, MAX_DEPTH + 1)]
    assert [is_too_deep(body) for body in bodies] == [False, True]


@pytest.mark.parametrize("text", ["[" * 1000, '["[' * 100, "][" * 500, '"' * 99, "\\" * 99])
def test_texts_have_no_depth(text: str) -> None:
    """Brackets in texts count for nothing, in rows that look alike neither."""
    rows = [{"id": "1", "name": text, "tags": [text]}] * 100
    assert not is_too_deep(msgspec.json.encode(rows))


def test_what_repeats_without_closing_is_no_row() -> None:
    """Two halves of a nest may begin alike; they close only together."""
    half = ["x", []] * 12
    value: list[Any] = half
    for inner in ([*half, "inside"], [[], "around"]):
        for _ in range(24):
            value = [value]
        inner[-1] = value
        value = inner
    assert not is_too_deep(msgspec.json.encode(value))


def test_what_never_closes_is_too_deep() -> None:
    """It need not be JSON to be refused."""
    assert is_too_deep(b"[" * 1_000_000)
