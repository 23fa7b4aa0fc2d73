"""The scalar `JSON`: any JSON value, from a variable or a literal."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import strawberry
from graphql import GraphQLError, Undefined, ValueNode, value_from_ast_untyped

SPECIFICATION = (
    "https://ecma-international.org/wp-content/uploads/ECMA-404_2nd_edition_december_2017.pdf"
)


def _same(value: Any) -> Any:
    return value


def _read_literal(node: ValueNode, variables: Mapping[str, Any] | None = None) -> Any:
    """Return the JSON value of a literal.

    A variable without a value is treated as in GraphQL's input objects and lists: it omits the
    member of an object, and is null in a list. Raises `GraphQLError` for a number outside of JSON.
    """
    value = value_from_ast_untyped(node, dict(variables) if variables else None)
    try:
        return _json(value)
    except ValueError:
        raise GraphQLError("A number in this JSON is too large.", node) from None


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(part) for key, part in value.items() if part is not Undefined}
    if isinstance(value, list):
        return [None if part is Undefined else _json(part) for part in value]
    # In Python, the literal 1e400 is infinite and an integer of 5,000 digits is not a number. JSON
    # can represent neither, and null would silently change the value.
    if isinstance(value, float) and not isfinite(value):
        raise ValueError
    return value


def json_scalar(name: str, description: str, specified_by_url: str | None = None) -> Any:
    """Return a scalar whose values are any JSON."""
    return strawberry.scalar(
        name=name,
        description=description,
        specified_by_url=specified_by_url,
        serialize=_same,
        parse_value=_same,
        parse_literal=_read_literal,
    )


JSON_SCALAR = json_scalar(
    "JSON",
    f"The `JSON` scalar type represents JSON values as specified by [ECMA-404]({SPECIFICATION}).",
    SPECIFICATION,
)
