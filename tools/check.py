"""Run all the checks of `make check`, and report at the end which failed."""

import difflib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
AUDIT = "known vulnerabilities (make audit)"
STEPS = {
    "format (make format)": [BIN / "ruff", "format", "--check", "--quiet"],
    "lint": [BIN / "ruff", "check", "--quiet"],
    "types": [BIN / "mypy", "--no-error-summary"],
    "imports": [BIN / "lint-imports", "--no-cache"],
    "locks": [sys.executable, "tools/lock.py", "--check"],
    "breaking changes of the schema (CHANGELOG.md)": [sys.executable, "tools/schema_changes.py"],
    "reference (make reference)": [sys.executable, "tools/reference.py", "--check"],
    AUDIT: [sys.executable, "tools/audit.py"],
}


def run(name: str) -> str:
    """Run a step and return its complaints; an empty string if there are none."""
    command = [str(part) for part in STEPS[name]]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if name == AUDIT:  # show what could not be looked up
        print(result.stdout, end="")
    return (result.stdout + result.stderr).strip() or "failed" if result.returncode else ""


def schema_drift() -> str:
    """Return the difference between schema.graphql and the schema in the code."""
    printed = subprocess.run(
        [sys.executable, "-m", "resolvers"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if printed.returncode:
        return printed.stderr
    committed = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        committed.splitlines(), printed.stdout.splitlines(), "schema.graphql", "code", lineterm=""
    )
    return "\n".join(lines)


def main() -> None:
    """Run all steps."""
    failed = []
    checks = {name: lambda name=name: run(name) for name in STEPS}
    checks["schema (python -m resolvers > schema.graphql)"] = schema_drift
    for name, check in checks.items():
        started = time.monotonic()
        complaint = check()
        took = f"{time.monotonic() - started:.1f} s"
        print(f"{'FAILED' if complaint else 'ok':<7}{name}  {took}", flush=True)
        if complaint:
            failed.append(name)
            print(complaint)
    if failed:
        sys.exit(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
