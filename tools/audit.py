"""Look up whether what the locks name has known vulnerabilities; fail when something has.

Where nobody can be asked it says so in one line and passes: no network must not stop the work.
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
LOCKS = ("node", "dev")
"""`dev` has all of `serve`. The smallest first: it tells quickly whether anybody can be asked."""

ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that do not concern us: the advisory's id, and why not."""

ANSWER_S = 5
LONGEST_S = 120


class Audit(NamedTuple):
    """What came of looking up one set of packages."""

    known: int
    """Packages that somebody could say something of."""
    unknown: int
    found: list[str]
    """One line for each vulnerability."""


NOBODY = Audit(0, 0, [])


def told(command: list[str], cwd: Path = ROOT) -> Any:
    """Return the JSON that a command prints, whatever its status; None for anything else."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=LONGEST_S
        )
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None


def of_python(report: Any) -> Audit:
    """Read what pip-audit says.

    It passes over packages that its service does not know, and says that all is well when that
    are all of them.
    """
    if not isinstance(report, dict):
        return NOBODY
    rows = report["dependencies"]
    known = [row for row in rows if "vulns" in row]
    found = [
        f"{row['name']} {row['version']}: {each['id']}"
        f" (fixed in {', '.join(each['fix_versions']) or 'no version'})"
        for row in known
        for each in row["vulns"]
        if not {each["id"], *each.get("aliases", ())} & ACCEPTED.keys()
    ]
    return Audit(len(known), len(rows) - len(known), found)


def of_pages(report: Any) -> Audit:
    """Read what npm says."""
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        return NOBODY
    found = [
        f"{each['name']} {each['range']}: {each['url'].rpartition('/')[2]} ({each['severity']})"
        for package in report["vulnerabilities"].values()
        for each in package["via"]
        if isinstance(each, dict) and each["url"].rpartition("/")[2] not in ACCEPTED
    ]
    return Audit(report["metadata"]["dependencies"]["total"], 0, found)


def python(lock: str) -> Audit:
    """Look up what a lock names."""
    flags = "--require-hashes --disable-pip --format json --progress-spinner off"
    lock = str(ROOT / "requirements" / f"{lock}.lock")
    command = [str(BIN / "pip-audit"), *flags.split(), "--timeout", str(ANSWER_S), "-r", lock]
    return of_python(told(command))


def pages() -> Audit:
    """Look up what the browser pages are built of."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{BIN}"
    npm = shutil.which("npm", path=path)
    if npm is None:
        return NOBODY
    flags = f"--json --package-lock-only --fetch-retries=0 --fetch-timeout={ANSWER_S * 1000}"
    return of_pages(told([npm, "audit", *flags.split()], ROOT / "web"))


def main() -> None:
    """Look everything up."""
    vulnerable = []
    reachable = True
    for name in LOCKS:
        audit = python(name) if reachable else NOBODY
        reachable = audit.known > 0
        vulnerable += report(f"requirements/{name}.lock", audit)
    vulnerable += report("web/package-lock.json", pages())
    if vulnerable:
        sys.exit("\n".join(["known vulnerabilities:", *vulnerable]))


def report(name: str, audit: Audit) -> list[str]:
    """Say how far a look-up came; return the vulnerabilities it found."""
    if not audit.known:
        print(f"{name}: skipped: no network, or nobody there who knows the advisories")
    else:
        rest = f", {audit.unknown} unknown to the registry" if audit.unknown else ""
        print(f"{name}: {audit.known} packages looked up{rest}")
    return audit.found


if __name__ == "__main__":
    main()
