"""The code blocks of the documentation, and the commands in them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(each.parent for each in ROOT.glob("examples/*/package.json"))
"""The examples of clients; tests/test_provider_package.py has the one of a provider."""

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "bench").rglob("*.md"),
        *(each / "README.md" for each in EXAMPLES),
    ]
)

_BLOCK = re.compile(
    r"^```(?P<language>\w*)(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INPUT = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)
_OPERATORS = re.compile(r"[|&;()<>]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


class Block(NamedTuple):
    """A fenced block. `info` follows the language, and says how it is tested."""

    page: Path
    line: int
    language: str
    info: str
    text: str

    @property
    def name(self) -> str:
        """The page and the line, for messages."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(page: Path) -> Sequence[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, each.start()) + 1,
            each["language"],
            each["info"].strip(),
            each["text"],
        )
        for each in _BLOCK.finditer(text)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a shell block, each with its arguments, also those in a pipeline."""
    text = _INPUT.sub("", text).replace("\\\n", " ").replace("\n", "\n;")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    is_file = False
    for token in lexer:
        if _OPERATORS.fullmatch(token):
            is_file = token.endswith(("<", ">", ">&"))  # a redirection: a file or a stream follows
            if is_file and command and command[-1].isdigit():
                command.pop()  # which stream
            elif not is_file and command:
                yield command
                command = []
        elif is_file:
            is_file = False
        elif command or not _ASSIGNMENT.match(token):
            command.append(token)
    if command:
        yield command
