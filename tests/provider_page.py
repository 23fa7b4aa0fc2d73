"""Apply the steps of docs/adding-a-provider.md to a copy of the repository."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adding-a-provider.md"
BUILT = "gateway/http/pages/static"

_STEP = re.compile(r"^## (\d)\. .*$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: a file to create, a change to one (`diff`), or a part of a table."""

    action: str
    file: str
    text: str


def steps() -> dict[int, list[Block]]:
    """Return the blocks of each numbered step."""
    _, *parts = _STEP.split(PAGE.read_text(encoding="utf-8"))
    blocks_by_step = {}
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        blocks = [
            Block("diff" if language == "diff" else action, file, body)
            for language, action, file, body in re.findall(
                r"```(\w+) (file|column|rows)=(\S+)\n(.*?)```", text, re.DOTALL
            )
        ]
        blocks_by_step[int(number)] = blocks
    return blocks_by_step


def copied(folder: Path) -> Path:
    """Copy the tracked files, as they are in the working tree, and the built pages."""
    tree = folder / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  # whichever git there is
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    if (ROOT / BUILT).is_dir():
        shutil.copytree(ROOT / BUILT, tree / BUILT, dirs_exist_ok=True)
    return tree


def follow(tree: Path, *numbers: int) -> None:
    """Apply these steps of the page to a copy."""
    for number in numbers:
        for block in steps()[number]:
            file = tree / block.file
            if block.action == "diff":
                _patch(file, block.text)
            elif block.action == "column":
                _add_column(file, block.text)
            elif block.action == "rows":
                _add_rows(file, block.text)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")


def _patch(file: Path, diff: str) -> None:
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    text = file.read_text(encoding="utf-8")
    assert before in text, f"{file} does not contain what the page shows:\n{before}"
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def _add_column(file: Path, table: str) -> None:
    """Append a column to the table with the same rows; rows that are not shown get a dash."""
    cells = dict(line.strip("| ").split(" | ") for line in table.splitlines()[2:])
    heading = table.splitlines()[0].removeprefix("| |").strip(" |")
    lines = file.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| | "))
    end = lines.index("", start)
    lines[start] += f" {heading} |"
    lines[start + 1] += "---|"
    for n in range(start + 2, end):
        lines[n] += f" {cells.pop(lines[n].split('|')[1].strip(), '–')} |"
    assert not cells
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _add_rows(file: Path, rows: str) -> None:
    """Append rows to the table of the providers' operations."""
    lines = file.read_text(encoding="utf-8").splitlines()
    end = lines.index("", lines.index("| Provider | Operation | GraphQL |"))
    file.write_text(
        "\n".join([*lines[:end], *rows.splitlines(), *lines[end:], ""]), encoding="utf-8"
    )
