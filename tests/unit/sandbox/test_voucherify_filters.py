from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from gateway.sandbox.voucherify.filters import BadFilterError, compile_filter

NOW = datetime(2026, 12, 22, 10, tzinfo=UTC)
FIELDS = {"a", "b"}


def getter(name: str) -> Callable[[Mapping[str, Any]], Any] | None:
    """Return the reader of a field of a dict."""
    return (lambda subject: subject.get(name)) if name in FIELDS else None


def holds(filter_: object, **subject: object) -> bool:
    """Return whether a filter matches a subject with these fields."""
    return compile_filter(filter_, getter)(subject, NOW)


@pytest.mark.parametrize(
    ("operator", "value", "matching", "others"),
    [
        ("$is", "Poland", ["Poland"], ["poland", "Polands", None]),
        ("$is", ["Poland"], ["Poland"], ["Peru"]),
        ("$is", True, [True, "true"], [False, None, "True"]),
        ("$is", 0, [0, "0", 0.0], [1, None, False]),
        ("$in", ["Gold", "Silver"], ["Gold", "Silver", ["x", "Gold"]], ["Bronze", None, []]),
        ("$is_not", "Poland", ["Peru", None], ["Poland"]),
        ("$not_in", ["Gold", "Silver"], ["Bronze", None], ["Gold", ["Silver", "x"]]),
        ("$has_value", "", ["", 0, False], [None]),
        ("$is_unknown", "", [None], ["", 0]),
        ("$contains", "an", ["Poland"], ["Peru", None]),
        ("$not_contain", ["an"], ["Peru", None], ["Poland"]),
        ("$starts_with", "+49", ["+49 30"], ["0049", None]),
        ("$ends_with", "example.com", ["a@example.com"], ["example.community", None]),
        ("$more_than", ["0"], [1, "2", 0.5], [0, -1, "x", None]),
        ("$less_than", 3, [2, "2.5"], [3, None]),
        ("$more_than_equal", [41], [41, 42], [40, None]),
        ("$less_than_equal", 41, [41, 40], [42, None]),
        ("$more_than", 10, [date(2026, 12, 11)], [date(2026, 12, 12), date(2026, 12, 30)]),
        ("$less_than", 10, [date(2026, 12, 13)], [date(2026, 12, 12)]),
        (
            "$after",
            ["2021-12-01T00:00:00.000Z"],
            [datetime(2021, 12, 1, 0, 0, 0, 1000, tzinfo=UTC), "2022-01-01"],
            [datetime(2021, 12, 1, tzinfo=UTC), date(2021, 12, 1), "soon", None],
        ),
        ("$before", "1960-01-01", [date(1959, 12, 31)], [date(1960, 1, 1), None]),
        ("$is_days_ago", 2, [date(2026, 12, 20)], [date(2026, 12, 21), None]),
        (
            "$more_than_ago",
            ["2"],
            [date(2026, 12, 19)],
            [date(2026, 12, 20), date(2026, 12, 24), None],
        ),
        (
            "$less_than_ago",
            2,
            [date(2026, 12, 21), datetime(2026, 12, 22, 23, tzinfo=UTC)],
            [date(2026, 12, 20), date(2026, 12, 23), None],
        ),
        ("$is_days_in_future", 2, [date(2026, 12, 24)], [date(2026, 12, 20), None]),
        ("$more_than_future", 2, [date(2026, 12, 25)], [date(2026, 12, 24), None]),
        ("$less_than_future", 2, [date(2026, 12, 23)], [date(2026, 12, 24), None]),
        (
            "$next_month",
            [True],
            [date(1950, 1, 31), datetime(2027, 1, 1, tzinfo=UTC)],
            [date(1950, 12, 31), datetime(2026, 1, 1, tzinfo=UTC), None],
        ),
        ("$next_month", False, [date(1950, 12, 31), None], [date(1950, 1, 31)]),
        ("$count", 2, [["x", "y"], {"x": 1, "y": 2}], ["xy", [], None]),
        ("$count_less", 1, [[], None], ["x"]),
        ("$count_more", ["1"], [["x", "y"]], ["x", None]),
    ],
)
def test_every_operator_means_what_it_says(
    operator: str, value: object, matching: list[object], others: list[object]
) -> None:
    """Each operator of the grammar holds for these values and for no other."""
    filter_ = {"junction": "and", "a": {"conditions": {operator: value}}}

    assert [each for each in matching + others if holds(filter_, a=each)] == matching


def test_junction_joins_the_fields() -> None:
    """With `and` all fields must hold, with `or` one; without a junction it is `and`."""
    fields = {"a": {"conditions": {"$is": 1}}, "b": {"conditions": {"$is": 2}}}

    def answers(filter_: object) -> list[bool]:
        return [holds(filter_, a=1, b=2), holds(filter_, a=1, b=0), holds(filter_, a=0, b=0)]

    assert answers({"junction": "and", **fields}) == [True, False, False]
    assert answers({"junction": "or", **fields}) == [True, True, False]
    assert answers(fields) == [True, False, False]


def test_several_operators_of_a_field_must_all_hold() -> None:
    """Operators under one field narrow each other, whatever the junction."""
    filter_ = {"junction": "or", "a": {"conditions": {"$more_than": 1, "$less_than": 5}}}

    assert [n for n in range(7) if holds(filter_, a=n)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        (None, "Property .filter should be object"),
        ({}, "Property .filter should have at least one condition"),
        ({"junction": "and"}, "Property .filter should have at least one condition"),
        (
            {"junction": "AND", "a": {"conditions": {"$is": 1}}},
            "Property .filter.junction should be one of and, or",
        ),
        (
            {"c": {"conditions": {"$is": 1}}},
            "Property .filter.c is not a field that can be filtered by",
        ),
        ({"a": {"$is": 1}}, "Property .filter.a.conditions should have at least one operator"),
        (
            {"a": {"conditions": {}}},
            "Property .filter.a.conditions should have at least one operator",
        ),
        (
            {"a": {"conditions": {"is": 1}}},
            "Property .filter.a.conditions has an unknown operator is",
        ),
        (
            {"a": {"conditions": {"$more_than": "much"}}},
            "Property .filter.a.conditions.$more_than should be number",
        ),
        (
            {"a": {"conditions": {"$after": ["soon"]}}},
            "Property .filter.a.conditions.$after should be date-time",
        ),
        (
            {"a": {"conditions": {"$next_month": "yes"}}},
            "Property .filter.a.conditions.$next_month should be boolean",
        ),
    ],
)
def test_what_the_grammar_does_not_know_is_refused(filter_: object, message: str) -> None:
    """An empty or unknown filter is refused, with the property's name."""
    with pytest.raises(BadFilterError) as caught:
        compile_filter(filter_, getter)

    assert str(caught.value) == message
