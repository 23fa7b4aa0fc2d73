"""The files of docs/clients say what the schema is."""

import json
from pathlib import Path
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type

from resolvers.schema import SCHEMA

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
FOLDER = Path(__file__).parents[3] / "docs" / "clients"
KINDS = [
    kind
    for kind in CORE.type_map.values()
    if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
]


def client_file(name: str) -> Any:
    """Return what a file says."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def test_possible_types() -> None:
    """Every interface and union, with the types that may stand for it."""
    assert client_file("possible-types.json") == {
        kind.name: sorted(each.name for each in CORE.get_possible_types(kind))
        for kind in CORE.type_map.values()
        if isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType))
    }


def test_types_without_id() -> None:
    """Every object type but the roots that has no `id`."""
    roots = {CORE.query_type, CORE.mutation_type, CORE.subscription_type}
    assert client_file("types-without-id.json") == sorted(
        kind.name for kind in KINDS if kind not in roots and "id" not in kind.fields
    )


def test_connections() -> None:
    """Every field that is a connection, with the arguments that make another list of it."""
    expected: dict[str, dict[str, list[str]]] = {}
    for kind in KINDS:
        for name, field in kind.fields.items():
            if get_named_type(field.type).name.endswith("Connection"):
                assert {"first", "after"} <= field.args.keys()
                rest = sorted(field.args.keys() - {"first", "after"})
                expected.setdefault(kind.name, {})[name] = rest
    assert client_file("connections.json") == expected
