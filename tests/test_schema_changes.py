"""Breaking changes of the schema are listed in the changelog, or `make check` fails."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RELEASED = """
type Query { segment(id: ID!, language: String = "en"): Segment }
type Segment { id: ID! name: String! siteCode: String }
enum Status { ACTIVE }
"""
REMOVED = "Field Segment.siteCode was removed"
OTHER_DEFAULT = 'Query.segment(language:) has changed defaultValue from "en" to "de"'
CHANGELOG = """
## [Unreleased]

### Changed

- `Of something else`.

#### Breaking changes of the schema

Since 0.9.0.

{}
### Fixed

- `Something`.

## [0.9.0] - 2026-01-01

#### Breaking changes of the schema

- `Segment.colour was removed`: nobody knew any.
"""


@pytest.fixture(scope="module")
def tool() -> Any:
    """Return the script as a module."""
    path = ROOT / "tools" / "schema_changes.py"
    spec = importlib.util.spec_from_file_location("schema_changes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tree(root: Path, schema: str, *listed: str) -> Path:
    """Write a tree whose latest release is 0.10.0; return its root."""
    releases = root / "docs" / "schema"
    releases.mkdir(parents=True)
    (releases / "0.9.0.graphql").write_text("type Query { older: Int }", encoding="utf-8")
    (releases / "0.10.0.graphql").write_text(RELEASED, encoding="utf-8")
    (root / "schema.graphql").write_text(schema, encoding="utf-8")
    lines = "".join(f"- `{each}`: a reason.\n" for each in listed)
    (root / "CHANGELOG.md").write_text(CHANGELOG.format(lines), encoding="utf-8")
    return root


def unlisted(change: str) -> str:
    """Return the complaint about a change that is not listed."""
    return (
        f"This breaks clients of 0.10.0: {change}. Undo it; or, if it is intended, add"
        f' "- `{change}`" and the reason to CHANGELOG.md, in [Unreleased], under'
        ' "#### Breaking changes of the schema".'
    )


def test_a_removed_field_is_named(tool: Any, tmp_path: Path) -> None:
    """The comparison is with the latest release, by version and not by name."""
    root = tree(tmp_path, RELEASED.replace("siteCode: String", ""))
    assert tool.complaints(root) == [unlisted(REMOVED)]


def test_another_default_is_breaking(tool: Any, tmp_path: Path) -> None:
    """Existing documents would get other results."""
    root = tree(tmp_path, RELEASED.replace('"en"', '"de"'))
    assert tool.complaints(root) == [unlisted(OTHER_DEFAULT)]


def test_a_null_that_may_be_a_value_again_is_breaking(tool: Any) -> None:
    """Clients have non-null types for fields with `@semanticNonNull`. Adding it breaks nobody."""
    directive = "directive @semanticNonNull(levels: [Int!]! = [0]) on FIELD_DEFINITION"
    plain = f"{directive} type Query {{ a: Int b: Int }}"
    marked = f"{directive} type Query {{ a: Int @semanticNonNull b: Int }}"
    assert tool.breaking_changes(marked, plain) == ["Query.a is no longer @semanticNonNull"]
    assert tool.breaking_changes(plain, marked) == []
    removed = f"{directive} type Query {{ b: Int }}"
    assert tool.breaking_changes(marked, removed) == ["Field Query.a was removed"]


def test_listed_changes_pass(tool: Any, tmp_path: Path) -> None:
    """A change with a line in the changelog is intended."""
    schema = RELEASED.replace("siteCode: String", "").replace('"en"', '"de"')
    assert tool.complaints(tree(tmp_path, schema, REMOVED, OTHER_DEFAULT)) == []


def test_a_line_without_its_change_fails(tool: Any, tmp_path: Path) -> None:
    """The list says what is so."""
    stale = f'CHANGELOG.md lists "{REMOVED}", which is no breaking change since 0.10.0'
    assert tool.complaints(tree(tmp_path, RELEASED, REMOVED)) == [f"{stale}: remove that line."]


def test_additions_pass(tool: Any, tmp_path: Path) -> None:
    """Clients must be open to new fields, arguments and enum values."""
    schema = RELEASED.replace("siteCode: String", "siteCode(of: Int): String colour: String")
    assert tool.complaints(tree(tmp_path, schema.replace("ACTIVE", "ACTIVE PAUSED"))) == []


def test_a_changelog_without_a_list_lists_nothing(tool: Any) -> None:
    """Only the next release's section counts, whatever those before it list."""
    assert tool.listed_changes("# Changelog\n") == []
    released = CHANGELOG.partition("## [0.9.0]")[2]
    assert tool.listed_changes(f"## [Unreleased]\n\n## [0.9.0]{released}") == []
