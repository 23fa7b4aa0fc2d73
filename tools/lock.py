"""Write `requirements/*.lock` from the projects; with `--check` only report outdated ones.

A lock lists versions and hashes, never the host they came from. Its first line is a digest of its
inputs, so that the check needs no network. `wheels.txt` lists the wheels of the pinned packages,
so that a test without a network knows the Pythons and platforms for which there is one.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = Path("examples/python/pyproject.toml")
LOCKS = {
    "serve": ["pyproject.toml", "--all-extras", "--group", "build"],
    "dev": [
        "pyproject.toml",
        "--all-extras",
        "--group",
        "build",
        "--group",
        "dev",
        "-c",
        "requirements/serve.lock",
    ],
    "node": ["--group", "node"],
    "docs": ["--group", "docs"],
    "example-python": [str(EXAMPLE), "--group", f"{EXAMPLE}:dev"],
}
WHEELS = ROOT / "requirements" / "wheels.txt"
WHEEL = re.compile(r"[^/\"]+\.whl(?=\")")
PROMISED = re.compile(
    r"-(?:cp3\d+-(?:cp3\d+|abi3|none)|py3-none|py2\.py3-none)"
    r"-(?:any|.*manylinux.*_(?:x86_64|aarch64)|macosx_\w+_(?:x86_64|arm64|universal2))\.whl$"
)
"""CPython on Linux (x86-64 and ARM) and macOS."""
FLAGS = (
    "-q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header"
    # A reader must see that an extra is required, and that the lock has all of it.
    " --no-annotate --no-strip-extras"
)


def heading(name: str = "") -> str:
    """Return the first line that the lock of this name must have."""
    of = EXAMPLE if name == "example-python" else "pyproject.toml"
    document = tomllib.loads((ROOT / of).read_text(encoding="utf-8"))
    project = document["project"]
    inputs = [
        project["requires-python"],
        project["dependencies"],
        project.get("optional-dependencies"),
        document["dependency-groups"],
    ]
    return f"# made by `make lock` of {sha256(repr(inputs).encode()).hexdigest()[:16]}\n"


def path_of(name: str) -> Path:
    """Return the path of a lock."""
    return ROOT / "requirements" / f"{name}.lock"


def outdated() -> list[str]:
    """Return the files that were generated from other inputs."""
    files = {**{path_of(name): heading(name) for name in LOCKS}, WHEELS: heading()}
    return [
        file.name
        for file, first in files.items()
        if not file.is_file() or not file.read_text(encoding="utf-8").startswith(first)
    ]


def compiled(sources: list[str], output: Path, *more: str) -> str:
    """Resolve, keeping versions that still fit; return the text written to `output`."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *sources, *FLAGS.split(), *more]
    subprocess.run([*command, "-o", str(output)], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    return output.read_text(encoding="utf-8")


def wheels() -> list[str]:
    """Return the wheels of the packages in `dev.lock`, which contains all of `serve.lock`."""
    with tempfile.TemporaryDirectory() as folder:
        listed = compiled(
            ["requirements/dev.lock"],
            Path(folder) / "pylock.toml",
            *("--format", "pylock.toml", "--no-deps"),
        )
    return sorted({name for name in WHEEL.findall(listed) if PROMISED.search(name)})


def write() -> None:
    """Write all locks and the list of wheels."""
    for name, sources in LOCKS.items():
        body = compiled(sources, path_of(name))
        path_of(name).write_text(heading(name) + body, encoding="utf-8")
        print(f"wrote requirements/{name}.lock")
    WHEELS.write_text(heading() + "".join(f"{each}\n" for each in wheels()), encoding="utf-8")
    print("wrote requirements/wheels.txt")


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        write()
    elif names := outdated():
        sys.exit(f"out of date: {', '.join(names)}; run `make lock`")
