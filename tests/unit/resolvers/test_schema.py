"""The public contract: described in every part, and the one that is checked in."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    is_introspection_type,
    is_specified_scalar_type,
    parse,
)

from resolvers.schema import SCHEMA, sdl

FILE = Path(__file__).parents[3] / "schema.graphql"


def described() -> Iterator[tuple[str, str | None]]:
    """Yield every part of the schema by its coordinate, with its description."""
    for name, kind in SCHEMA._schema.type_map.items():  # noqa: SLF001  # Strawberry has no other way to it
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        match kind:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field, of in kind.fields.items():
                    yield f"{name}.{field}", of.description
                    for argument, value in of.args.items():
                        yield f"{name}.{field}({argument}:)", value.description
            case GraphQLEnumType():
                for each, entry in kind.values.items():
                    yield f"{name}.{each}", entry.description
            case GraphQLInputObjectType():
                for key, part in kind.fields.items():
                    yield f"{name}.{key}", part.description


def test_everything_is_described() -> None:
    """Types, fields, arguments, enum values and input fields, each by a sentence."""
    parts = dict(described())
    assert len(parts) > 250
    assert [part for part, text in parts.items() if not (text and text.strip())] == []
    assert [part for part, text in parts.items() if (text or "").startswith("See the desc")] == []


def test_the_file_is_what_the_code_says() -> None:
    """`python -m resolvers > schema.graphql` would change nothing, and it is GraphQL."""
    printed = subprocess.run(
        [sys.executable, "-m", "resolvers"], check=True, capture_output=True, text=True, timeout=60
    )
    assert (printed.stdout, printed.stderr) == (FILE.read_text(encoding="utf-8"), "")
    assert sdl() == printed.stdout
    parse(printed.stdout)
