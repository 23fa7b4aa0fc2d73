"""Read the documents that are tools: those in the package, and those in a folder.

A document is one operation with a description. A mutation has to say that it writes, in a comment
above it: `# writes: true`; `# destructive: false` and `# idempotent: true` say more about it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from gateway.errors import Problem, SettingsError
from gateway.tools.settings import McpSettings

FOLDER = Path(__file__).parent / "shipped"
SUFFIX = ".graphql"

MAX_TOOLS = 30
"""A model gets the description of all of them with every question."""

_FLAG = re.compile(r"#\s*(writes|destructive|idempotent)\s*:\s*(true|false)\s*", re.ASCII)


class ToolDocument(NamedTuple):
    """The document of a tool, and what it says about itself."""

    place: str
    """Its file, for people."""
    setting: str
    """The path of the setting that it comes from."""
    text: str
    writes: bool = False
    is_destructive: bool = True
    """It may overwrite or delete; only of those that write."""
    is_idempotent: bool = False
    """Repeating it changes nothing more; only of those that write."""


def read(settings: McpSettings) -> Sequence[ToolDocument]:
    """Return the documents of all tools; none if they are off. Raises `SettingsError`."""
    if not settings.enabled:
        return ()
    documents = [
        _document(FOLDER / f"{name}{SUFFIX}", name, "mcp.shipped")
        for name in dict.fromkeys(settings.shipped)
    ]
    if settings.folder is not None:
        documents += _documents_in(settings.folder)
    if len(documents) > MAX_TOOLS:
        text = (
            f"{len(documents)} tools; at most {MAX_TOOLS} are allowed, with those of the gateway"
        )
        raise SettingsError([Problem("mcp", text)])
    return documents


def _documents_in(folder: Path) -> Iterator[ToolDocument]:
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix == SUFFIX)
        for file in files:
            yield _document(file, str(file), "mcp.folder")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        text = f"{folder} cannot be read: {reason}"
        raise SettingsError([Problem("mcp.folder", text)]) from error


def _document(file: Path, place: str, setting: str) -> ToolDocument:
    text = file.read_text(encoding="utf-8")
    flags = _flags(text)
    return ToolDocument(
        place,
        setting,
        text,
        flags.get("writes", False),
        flags.get("destructive", True),
        flags.get("idempotent", False),
    )


def _flags(text: str) -> Mapping[str, bool]:
    """Return what the comments above the operation say."""
    above = takewhile(
        lambda line: not line or line.startswith("#"), map(str.strip, text.splitlines())
    )
    found = filter(None, map(_FLAG.fullmatch, above))
    return {match[1]: match[2] == "true" for match in found}
