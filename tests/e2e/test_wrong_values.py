"""Values that the schema does not allow: refused where they stand, in JSON's words."""

from typing import Any

import pytest

from tests.e2e.serving import Front

TIME = "A DateTime is a string like 2026-01-31T09:30:00Z."


@pytest.mark.parametrize(
    ("arguments", "message", "column"),
    [
        ('first: "x"', 'Int cannot represent non-integer value: "x"', 19),
        ("first: true", "Int cannot represent non-integer value: true", 19),
        ("reverse: 3", "Boolean cannot represent a non boolean value: 3", 21),
        ("sortKey: 3", "Enum 'SegmentSortKey' cannot represent non-enum value: 3.", 21),
        ('filter: {createdAfter: "soon"}', TIME, 35),
        ("filter: {createdBefore: true}", TIME, 36),
        ("filter: {createdAfter: 20260131}", TIME, 35),
        ("filter: {ids: [null]}", "Expected value of non-null type 'ID!' not to be null.", 27),
        (
            "filter: {native: null, ids: [true]}",
            "ID cannot represent a non-string and non-integer value: true",
            41,
        ),
    ],
)
async def test_wrong_literals(front: Front, arguments: str, message: str, column: int) -> None:
    """A wrong literal is refused where it stands."""
    answer = await front.ask(f"{{ segments({arguments}) {{ totalCount }} }}")

    assert answer == {
        "errors": [
            {
                "message": message,
                "locations": [{"line": 1, "column": column}],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
    }


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("[ID!]", [None], " at [0]: Expected value of non-null type 'ID!' not to be null."),
        ("[ID!]", True, ": ID cannot represent value: true"),
        ("[ID!]", {"None": [None, False]}, ": ID cannot represent value: {'None': [null, false]}"),
        ("[ID!]", [["True"]], " at [0]: ID cannot represent value: ['True']"),
    ],
)
async def test_wrong_variables(front: Front, kind: str, value: Any, message: str) -> None:
    """The error of an invalid variable has JSON null, true and false; quoted text is unchanged."""
    query = f"query($v: {kind}) {{ segments(filter: {{ids: $v}}) {{ totalCount }} }}"

    answer = await front.ask(query, {"v": value})

    assert answer == {
        "errors": [
            {
                "message": f"Variable '$v' has invalid value{message}",
                "locations": [{"line": 1, "column": 7}],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
    }


@pytest.mark.parametrize("after", ["", None])
async def test_empty_cursor(front: Front, after: str | None) -> None:
    """An empty cursor is none: clients send it for the first page."""
    rest = "pageInfo { hasPreviousPage endCursor } nodes { assignments(first: 1) { totalCount } }"
    of = 'filter: {providers: "emporix"}'
    expected = await front.data(f"{{ segments(first: 3, {of}) {{ {rest} }} }}")
    query = f"query($after: String) {{ segments(first: 3, {of}, after: $after) {{ {rest} }} }}"
    nested = query.replace("first: 1", "first: 1, after: $after")

    assert await front.data(query, {"after": after}) == expected
    assert await front.data(nested, {"after": after}) == expected
