"""A column is copied if its values are of the type already; nothing is converted to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gateway.domain.entities import Membership, Status
from resolvers.execution.columns import INT, leaf_column
from resolvers.schema import SCHEMA
from resolvers.typed_columns import are_texts, typed

TIME = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (str, []),
        (str, ["a", ""]),
        (str | None, ["a", None]),
        (bool, [True, False]),
        (INT, [2**31 - 1, -(2**31)]),
        (datetime, [TIME, TIME.replace(tzinfo=None)]),
    ],
    ids=repr,
)
def test_values_of_the_type_are_copied(form: Any, values: Sequence[Any]) -> None:
    """Of a tuple as well."""
    for column in (values, tuple(values)):
        assert typed(form)(column) == values


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (str, None),
        (str, 1),
        (str, b"a"),
        (bool, 1),
        (bool, "true"),
        (INT, True),
        (INT, 2**31),
        (INT, "1"),
        (datetime, "2026-01-31T09:30:00Z"),
        (datetime, 0),
        (datetime, None),
    ],
    ids=repr,
)
def test_other_values_are_refused(form: Any, value: Any) -> None:
    """Also those that could be converted."""
    with pytest.raises(msgspec.ValidationError):
        typed(form)([value])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], True),
        (["a", "", "\ud800"], True),
        (("a", Membership.RULE), True),
        (["a", None], False),
        (["a", b"a"], False),
        ([1], False),
    ],
    ids=repr,
)
def test_texts(values: Sequence[Any], *, expected: bool) -> None:
    """Members of an enum of texts are texts."""
    assert are_texts(values) is expected


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([], []),
        ([Status.ACTIVE] * 3, ["ACTIVE"] * 3),
        ([Status.ACTIVE, Status.UNKNOWN, Status.ACTIVE], ["ACTIVE", "UNKNOWN", "ACTIVE"]),
        ([None, Status.ACTIVE], [None, "ACTIVE"]),
        ([Status.ACTIVE, None], ["ACTIVE", None]),
    ],
)
def test_enums_are_shown_by_name(values: Sequence[Any], names: Sequence[Any]) -> None:
    """One and the same, several, and none."""
    kind = SCHEMA._schema.type_map["SegmentStatus"]  # noqa: SLF001  # Strawberry has no other way to it
    assert leaf_column(kind, is_nullable=True)(values) == names
    assert leaf_column(kind, is_nullable=True)(tuple(values)) == names
