"""The example queries of GraphiQL, one file each, in the order of their numbers."""

from pathlib import Path
from typing import TypedDict

FOLDER = Path(__file__).parent / "examples"


class Example(TypedDict):
    """One tab of GraphiQL."""

    name: str
    query: str
    variables: None
    headers: dict[str, str]


def examples() -> list[Example]:
    """Return the examples; each has the header that lists its upstream calls."""
    return [
        Example(
            name=path.stem.partition("-")[2].replace("-", " "),
            query=path.read_text(encoding="utf-8"),
            variables=None,
            headers={"X-Show-Calls": "1"},
        )
        for path in sorted(FOLDER.glob("*.graphql"), key=_number)
    ]


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[0])
