"""Write `requirements/*.lock` from pyproject.toml; `--check` only tells whether they are due.

A lock names versions and hashes, never the host they came from. Its first line is a digest of what
it was made of, so that the check needs no network.
"""

import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "serve": ["pyproject.toml", "--group", "build"],
    "dev": [
        "pyproject.toml",
        "--group",
        "build",
        "--group",
        "dev",
        "-c",
        "requirements/serve.lock",
    ],
    "node": ["--group", "node"],
}


def heading() -> str:
    """Return the first line that every lock must have."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    made_of = [project["requires-python"], project["dependencies"], document["dependency-groups"]]
    return f"# made by `make lock` of {sha256(repr(made_of).encode()).hexdigest()[:16]}\n"


def path_of(name: str) -> Path:
    """Return where a lock is."""
    return ROOT / "requirements" / f"{name}.lock"


def due() -> list[str]:
    """Return the locks that were made of something else."""
    first = heading()
    return [
        name
        for name in LOCKS
        if not path_of(name).is_file()
        or not path_of(name).read_text(encoding="utf-8").startswith(first)
    ]


def write() -> None:
    """Write all locks, keeping the versions that still fit."""
    flags = "-q --universal --python-version 3.11 --generate-hashes --no-emit-index-url"
    for name, wanted in LOCKS.items():
        subprocess.run(
            [
                *[sys.executable, "-m", "uv", "pip", "compile", *wanted],
                *[*flags.split(), "--no-header", "--no-annotate", "-o", str(path_of(name))],
            ],
            cwd=ROOT,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        body = path_of(name).read_text(encoding="utf-8")
        path_of(name).write_text(heading() + body, encoding="utf-8")
        print(f"requirements/{name}.lock is written")


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        write()
    elif names := due():
        sys.exit(f"due: {', '.join(names)}; run `make lock`")
