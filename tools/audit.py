"""Look up known vulnerabilities of the locked packages; fail if there are any.

Without a network it prints one line and succeeds, so that work can go on offline.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LOCKS = ("node", "docs", "example-python", "dev")
"""`dev` contains all of `serve`. The smaller first, which shows quickly if there is no network."""

ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that do not apply here: the advisory's id, and the reason."""

ANSWER_S = 5
LONGEST_S = 120


class Audit(NamedTuple):
    """The result for one set of packages."""

    known: int
    """Packages that the service knows."""
    unknown: int
    vulnerabilities: list[str]
    """One line for each vulnerability."""


NO_RESULT = Audit(0, 0, [])


def json_output(command: list[str], cwd: Path = ROOT) -> Any:
    """Return the JSON that a command prints, whatever its status; None for anything else."""
    try:
        result = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=LONGEST_S
        )
        return json.loads(result.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None


def of_python(report: Any) -> Audit:
    """Read the report of pip-audit.

    It skips packages that its service does not know, and reports success even if those are all.
    """
    if not isinstance(report, dict):
        return NO_RESULT
    rows = report["dependencies"]
    known = [row for row in rows if "vulns" in row]
    vulnerabilities = [
        f"{row['name']} {row['version']}: {each['id']}"
        f" (fixed in {', '.join(each['fix_versions']) or 'no version'})"
        for row in known
        for each in row["vulns"]
        if not {each["id"], *each.get("aliases", ())} & ACCEPTED.keys()
    ]
    return Audit(len(known), len(rows) - len(known), vulnerabilities)


def of_pages(report: Any) -> Audit:
    """Read the report of npm."""
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        return NO_RESULT
    vulnerabilities = [
        f"{each['name']} {each['range']}: {each['url'].rpartition('/')[2]} ({each['severity']})"
        for package in report["vulnerabilities"].values()
        for each in package["via"]
        if isinstance(each, dict) and each["url"].rpartition("/")[2] not in ACCEPTED
    ]
    return Audit(report["metadata"]["dependencies"]["total"], 0, vulnerabilities)


def python(lock: str) -> Audit:
    """Look up the packages of a lock."""
    flags = "--require-hashes --disable-pip --format json --progress-spinner off"
    lock = str(ROOT / "requirements" / f"{lock}.lock")
    command = [str(BIN / "pip-audit"), *flags.split(), "--timeout", str(ANSWER_S), "-r", lock]
    return of_python(json_output(command))


def pages() -> Audit:
    """Look up the packages that the browser pages are built from."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{BIN}"
    npm = shutil.which("npm", path=path)
    if npm is None:
        return NO_RESULT
    flags = f"--json --package-lock-only --fetch-retries=0 --fetch-timeout={ANSWER_S * 1000}"
    return of_pages(json_output([npm, "audit", *flags.split()], ROOT / "web"))


def main() -> None:
    """Look up all packages."""
    vulnerable = []
    reachable = True
    for name in LOCKS:
        audit = python(name) if reachable else NO_RESULT
        reachable = audit.known > 0
        vulnerable += report(f"requirements/{name}.lock", audit)
    vulnerable += report("web/package-lock.json", pages())
    if vulnerable:
        sys.exit("\n".join(["known vulnerabilities:", *vulnerable]))


def report(name: str, audit: Audit) -> list[str]:
    """Print how many packages were looked up; return the vulnerabilities."""
    if not audit.known:
        print(f"{name}: skipped: no network, or no advisory service")
    else:
        unknown = f", {audit.unknown} unknown to the registry" if audit.unknown else ""
        print(f"{name}: {audit.known} packages looked up{unknown}")
    return audit.vulnerabilities


if __name__ == "__main__":
    main()
