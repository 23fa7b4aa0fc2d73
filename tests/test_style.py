"""Style rules that no tool checks."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]

MAX_LINES = 400
"""Lines of a module; a longer one has more than one reason to change."""

# In halves, so that this file does not name them either.
NAMES = (
    "py|pi.org",
    "python|hosted.org",
    "npm|js.org",
    "npm|js.com",
    "registry|.npm",
    "/sim|ple/",
)
PLACES = ("/wo|rk/", "/ho|me/", "/ro|ot/", "/Us|ers/", "..|/shared")
FORBIDDEN = re.compile("|".join(re.escape(each.replace("|", "")) for each in (*NAMES, *PLACES)))


def tracked() -> list[Path]:
    """Return the files that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  # the git on the path
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


def test_no_file_names_a_registry_or_a_local_path() -> None:
    """The repository is self-contained: no registry hosts, no paths outside of it."""
    violations = []
    for file in tracked():
        text = file.read_bytes().decode(errors="replace")
        violations += [
            f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if FORBIDDEN.search(line)
        ]
    assert violations == []


def test_no_module_is_too_long() -> None:
    """At most 400 lines."""
    lengths = {
        file.relative_to(ROOT).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for package in ("gateway", "resolvers")
        for file in (ROOT / package).rglob("*.py")
    }
    too_long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES}
    assert too_long == {}
