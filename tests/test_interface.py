"""What packages of other people import stays as it is, or its version rises.

`docs/interface-1.txt` has what version 1 promises. `python -m tests.test_interface` prints what
the modules have now.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.providers.base.kind import INTERFACE
from gateway.providers.plugins import GROUP

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / f"interface-{INTERFACE}.txt"
PUBLIC = (
    "gateway/errors.py",
    *(
        f"gateway/domain/{name}.py"
        for name in ("change_log", "entities", "mutations", "pages", "queries", "texts")
    ),
    "gateway/providers/base/*.py",
    *(f"gateway/sandbox/{name}.py" for name in ("people", "provider", "replies", "webhooks")),
    "gateway/testing/*.py",
)


def listing() -> set[str]:
    """Return a line for each public class, field, method, function and constant."""
    files = [file for each in PUBLIC for file in sorted(ROOT.glob(each))]
    return {line for file in files for line in lines(file)}


def lines(file: Path) -> Iterator[str]:
    """Yield the lines of one module."""
    module = file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            bases = ", ".join(map(ast.unparse, node.bases))
            yield f"{module}.{node.name}({bases})"
            for part in node.body:
                yield from (f"{module}.{node.name}.{text}" for text in texts(part))
        else:
            yield from (f"{module}.{text}" for text in texts(node))


def texts(node: ast.stmt) -> Iterator[str]:
    """Yield what a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if is_public(node.name) or node.name == "__init__":
            returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
            yield f"{node.name}({ast.unparse(node.args)}){returns}"
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        if is_public(node.target.id):
            is_optional = " = …" if node.value is not None else ""
            yield f"{node.target.id}: {ast.unparse(node.annotation)}{is_optional}"
    elif isinstance(node, ast.Assign):
        names = [each.id for each in node.targets if isinstance(each, ast.Name)]
        yield from (name for name in names if is_public(name))


def is_public(name: str) -> bool:
    """Return whether others may use a name."""
    return not name.startswith("_")


def test_version_one_is_what_it_was() -> None:
    """Nothing that a package may use is gone or has changed; what is new needs no new version.

    If this fails: keep the old form, or raise `INTERFACE` and write down what to change in
    packages. A parameter or field that is added with a default may be recorded in the file.
    """
    recorded = set(FILE.read_text(encoding="utf-8").splitlines())
    assert sorted(recorded - listing()) == []


def test_protocols_gained_no_methods() -> None:
    """A method that is added to a protocol takes the ability away from adapters without it."""
    recorded = set(FILE.read_text(encoding="utf-8").splitlines())
    ours = ("gateway.providers.base.", "gateway.sandbox.")
    protocols = [
        line.partition("(")[0]
        for line in recorded
        if line.endswith("Protocol)") and line.startswith(ours)
    ]
    gained = [
        line
        for line in listing() - recorded
        if any(line.startswith(f"{each}.") for each in protocols)
    ]
    assert gained == []


def test_the_group_has_the_version() -> None:
    """The entry point group is the one that docs/adding-a-provider.md names."""
    assert GROUP == "segment_gateway.providers.v1"
    assert GROUP in (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write("\n".join([*sorted(listing()), ""]))
