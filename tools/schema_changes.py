"""Compare schema.graphql with the last release's, and its breaking changes with CHANGELOG.md.

`docs/schema` has the schema of each release. graphql-core finds the changes. Each one must be
listed in the changelog under `HEADING`, in the same words between backticks.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphql import (
    DangerousChangeType,
    ObjectTypeDefinitionNode,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    parse,
)
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
HEADING = "#### Breaking changes of the schema"
UNRELEASED = re.compile(r"^## \[Unreleased\]$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTION = re.compile(rf"^{HEADING}$(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
LISTED = re.compile(r"^- `([^`]+)`", re.MULTILINE)


def last_release(root: Path) -> Path:
    """Return the schema of the latest release."""
    return max((root / "docs" / "schema").glob("*.graphql"), key=lambda each: Version(each.stem))


def breaking_changes(before: str, after: str) -> Sequence[str]:
    """Return what breaks clients of the schema `before`, in graphql-core's words."""
    schemas = build_schema(before), build_schema(after)
    changes = [
        *find_breaking_changes(*schemas),
        # Another default changes what an existing document means. The other dangerous changes are
        # additions, to which clients must be open.
        *(
            each
            for each in find_dangerous_changes(*schemas)
            if each.type is DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE
        ),
    ]
    # graphql-core compares no directives of fields; clients generate types from this one.
    marks = marked_fields(before), marked_fields(after)
    return [
        *(each.description.removesuffix(".") for each in changes),
        *(
            f"{field} is no longer @semanticNonNull"
            for field, is_marked in marks[0].items()
            if is_marked and not marks[1].get(field, True)
        ),
    ]


def marked_fields(schema: str) -> Mapping[str, bool]:
    """Return each field of an object type, and whether it has `@semanticNonNull`."""
    return {
        f"{definition.name.value}.{field.name.value}": any(
            each.name.value == "semanticNonNull" for each in field.directives or ()
        )
        for definition in parse(schema).definitions
        if isinstance(definition, ObjectTypeDefinitionNode)
        for field in definition.fields or ()
    }


def listed_changes(changelog: str) -> Sequence[str]:
    """Return the changes that the changelog lists for the next release."""
    unreleased = UNRELEASED.search(changelog)
    section = SECTION.search(unreleased[1]) if unreleased else None
    return LISTED.findall(section[1]) if section else []


def complaints(root: Path) -> Sequence[str]:
    """Return what is wrong, and what to do."""
    release = last_release(root)
    changes = breaking_changes(
        release.read_text(encoding="utf-8"), (root / "schema.graphql").read_text(encoding="utf-8")
    )
    listed = listed_changes((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    return [
        *(
            f"This breaks clients of {release.stem}: {each}. Undo it; or, if it is intended, add"
            f' "- `{each}`" and the reason to CHANGELOG.md, in [Unreleased], under "{HEADING}".'
            for each in changes
            if each not in listed
        ),
        *(
            f'CHANGELOG.md lists "{each}", which is no breaking change since {release.stem}:'
            " remove that line."
            for each in listed
            if each not in changes
        ),
    ]


if __name__ == "__main__":
    if problems := complaints(ROOT):
        sys.exit("\n".join(problems))
