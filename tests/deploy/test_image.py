"""The image's steps, without Docker: installed in an empty folder, run as another user."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import __version__
from tests.proxies.processes import IN_CI, free_port, need

ROOT = Path(__file__).resolve().parents[2]
START_S = 60
UNPRIVILEGED = 65534


def context(folder: Path) -> Path:
    """Copy what `.dockerignore` leaves, and the built pages, which take the longest."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    excluded = {line.removeprefix("**/") for line in lines if line and not line.startswith("#")}
    for source in sorted(ROOT.iterdir()):
        if source.name in excluded or source.name.startswith((".", "Dockerfile")):
            continue
        if source.is_dir():
            ignored = shutil.ignore_patterns(*excluded)
            shutil.copytree(source, folder / source.name, ignore=ignored)
        else:
            shutil.copy2(source, folder / source.name)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the image's step, from a copy of the tree that is then removed."""
    tree = context(tmp_path_factory.mktemp("tree"))
    folder = Path(tempfile.mkdtemp())  # pytest's own are closed to other users
    folder.chmod(0o755)
    target = folder / "gateway"
    step = json.loads(_instruction("RUN", "deploy/install.sh"))
    bare = tmp_path_factory.mktemp("bare")
    venv.create(bare, symlinks=True)  # without pip, like Debian's Python
    result = subprocess.run(
        [tree / step[0], target],
        cwd=tree,
        env=os.environ | {"PATH": f"{bare / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith(f"\ngateway {__version__}\n")
    shutil.rmtree(tree)
    yield target
    shutil.rmtree(folder)


def _instruction(name: str, containing: str = "") -> str:
    """Return the arguments of the Dockerfile's last instruction of that name."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(rf"(?:^|\s){name} (\[.*{re.escape(containing)}.*\])$", text, re.MULTILINE)
    return str(found[-1]).strip()


READ_ONLY = f"""
set -e
mount --make-rprivate /
if [ "${{1#$HOME/}}" != "$1" ]; then  # a Python in root's home, where nobody else may go
  mount --bind "$1" /mnt
  mount -t tmpfs -o mode=755 tmpfs "$HOME"
  mkdir -p "$1"
  mount --move /mnt "$1"
fi
mount -t tmpfs -o mode=1777 tmpfs /mnt
mount -o remount,bind,ro /
shift
exec setpriv --reuid={UNPRIVILEGED} --regid={UNPRIVILEGED} --clear-groups --no-new-privs \\
  --bounding-set=-all "$@"
"""
"""Runs a command as another user, who can write to /mnt alone. First comes Python's folder."""


@pytest.mark.skipif(os.geteuid() != 0 and not IN_CI, reason="needs root, to become another user")
def test_it_runs_as_another_user_without_writing(installed: Path) -> None:
    """It serves, is healthy by the image's own check, and ends at SIGTERM."""
    port = free_port()
    entrypoint = json.loads(_instruction("ENTRYPOINT"))
    command = [str(installed / "bin" / entrypoint[0]), "serve", "--port", str(port)]
    environment = {
        "PATH": f"{installed / 'bin'}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "TMPDIR": "/mnt",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        [
            need("unshare", "util-linux"),
            "--mount",
            "sh",
            "-c",
            READ_ONLY,
            "sh",
            sys.base_prefix,
            *command,
        ],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            assert _ready(f"http://127.0.0.1:{port}")["status"] == "ready"
            check = json.loads(_instruction("CMD", "livez").replace("8000", str(port)))
            healthy = subprocess.run(check, env=environment, check=False).returncode
        finally:
            server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=START_S)
    assert healthy == 0
    assert output.startswith(f"Segment gateway {__version__}\n")
    assert "Traceback" not in output
    assert server.returncode in {0, -signal.SIGTERM}


def _ready(address: str) -> dict[str, object]:
    end = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as response:
                body: dict[str, object] = json.load(response)
                return body
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)  # until the server listens


def test_nothing_that_builds_is_in_it(installed: Path) -> None:
    """It has neither pip nor the build backend, and runs none of them."""
    names = {path.name for path in (installed / "lib").glob("python3.*/site-packages/*")}
    assert names.isdisjoint({"pip", "hatchling", "editables", "tests"})
    assert {"gateway", "resolvers", "psycopg", "aiohttp"} <= names


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ("gateway/http/pages/static/index.html", "-m venv"),
        ("web/src/new.ts", "tools/environment.py serve"),
        ("web/node_modules/new.js", "-m venv"),
        ("schema.graphql", "tools/environment.py serve"),
    ],
)
def test_pages_are_built_again_if_they_are_old(tmp_path: Path, changed: str, first: str) -> None:
    """As after `git pull`, by what was changed last; the first step shows it."""
    program = tmp_path / "bin" / "python3"
    names = ("gateway/http/pages/static/index.html", "web/src/old.ts", "schema.graphql", changed)
    for age, name in enumerate(names):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (1000, 2000 if name == changed else 1000 - age))
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    program.chmod(0o755)
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "install.sh", tmp_path / "deploy")
    result = subprocess.run(
        [script, tmp_path / "target"],
        env={"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.splitlines()[-1].removesuffix(f" {tmp_path / 'target'}") == first
