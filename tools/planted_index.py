"""A package index with a newer, broken version of every package in the locks.

It simulates the registries of next year: anything that is resolved again takes its versions.
Standard library only, because it runs before there is an environment.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("serve", "dev", "node")
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
VERSION = "9999.0"
BROKEN = 'raise ImportError("this version was published after the lock was made")\n'
OWN = {"pip", "segment-gateway", "setuptools"}
"""Installed although no lock lists them: by `venv`, and the gateway itself."""


def locked() -> Mapping[str, str]:
    """Return the locked versions, for any platform."""
    texts = [(ROOT / "requirements" / f"{lock}.lock").read_text("utf-8") for lock in LOCKS]
    return dict(pin for text in texts for pin in PIN.findall(text))


def wheel(folder: Path, name: str) -> None:
    """Write a wheel of a package that cannot be imported."""
    stem = name.replace("-", "_").replace(".", "_")
    info = f"{stem}-{VERSION}.dist-info"
    files = {
        f"{stem}.py": BROKEN,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{file},sha256={digest.decode()},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{stem}-{VERSION}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)


def find_links() -> Sequence[str]:
    """Return where pip looks for packages on this machine, besides its index."""
    configured = os.environ.get("PIP_FIND_LINKS")
    if configured is None:
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        configured = " ".join(re.findall(r"^\S*find-links='(.*)'$", listed, re.MULTILINE))
        configured = configured.replace("\\n", " ")
    return configured.split()


@contextmanager
def planted() -> Iterator[Mapping[str, str]]:
    """Yield environment variables with which pip sees the newer versions and the real ones."""
    with tempfile.TemporaryDirectory() as folder:
        for name in locked():
            wheel(Path(folder), name)
        yield {"PIP_FIND_LINKS": " ".join([*find_links(), folder])}


def resolved_versions(
    python: Path, names: Sequence[str], environment: Mapping[str, str]
) -> set[str]:
    """Return the versions that pip would install if it resolved these packages."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    report = ["--dry-run", "--ignore-installed", "--no-deps", "--report", "-"]
    result = subprocess.run(
        [*pip, *report, *names],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(f"pip cannot use the planted index: {result.stderr}")
    return {each["metadata"]["version"] for each in json.loads(result.stdout)["install"]}


def unlocked(python: Path) -> list[str]:
    """Return the packages of an environment that are not in the locks."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pinned = locked()
    return [
        f"{each['name']} {each['version']}"
        for each in json.loads(listed)
        if each["version"] != pinned.get(name := re.sub(r"[-_.]+", "-", each["name"]).lower())
        and name not in OWN - pinned.keys()
    ]
