"""Run the unit tests on every supported Python: 3.11, 3.12 and 3.13.

The Python of `.venv` runs all tests anyway. The others have environments of their own, outside the
tree, created once for each state of the lock. A version that is not installed is reported.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.lock"
VERSIONS = ((3, 11), (3, 12), (3, 13))
CASES = "4"
"""Of each test: `make test` runs all of them on the Python of `.venv`."""
TESTS = ("tests/unit", "tests/test_internals.py", "tests/test_locks.py")
COMPLETE = "complete"


def runs(python: str, version: tuple[int, int]) -> bool:
    """Return whether a command runs that Python; pyenv's shims exist for other versions, too."""
    program = "import sys; print(*sys.version_info[:2])"
    try:
        result = subprocess.run(
            [python, "-c", program], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.split() == [str(part) for part in version]


def candidates(version: tuple[int, int]) -> Iterator[str]:
    """Yield possible interpreters: the name on the path, then pyenv's installations."""
    name = "python{}.{}".format(*version)
    on_path = shutil.which(name)
    if on_path:
        yield on_path
    roots = [os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")]
    if shutil.which("pyenv"):
        roots.append(
            subprocess.run(
                ["pyenv", "root"], capture_output=True, text=True, check=False
            ).stdout.strip()
        )
    for root in dict.fromkeys(filter(None, roots)):
        paths = Path(root).glob("versions/{}.{}.*/bin/python".format(*version))
        yield from map(str, sorted(paths, reverse=True))


def interpreter(version: tuple[int, int]) -> str | None:
    """Return the interpreter of this version, or None if it is not installed."""
    return next((each for each in candidates(version) if runs(each, version)), None)


def environment(python: str) -> Path:
    """Return an environment with the locked packages; create it if necessary."""
    state = hashlib.sha256(LOCK.read_bytes() + os.path.realpath(python).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "segment-gateway" / state
    if (folder / COMPLETE).is_file():
        return folder
    print(f"Creating an environment for {python} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv", "--quiet", "--no-config"]
    exactly = ["--no-deps", "--require-hashes", "--requirement", str(LOCK)]
    for command in (
        [*uv, "venv", "--python", python, str(folder)],
        [*uv, "pip", "install", "--python", str(folder / "bin" / "python"), *exactly],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"{result.stdout}{result.stderr}\ncannot create an environment for {python}")
    (folder / COMPLETE).touch()
    return folder


def test(python: str, arguments: list[str]) -> bool:
    """Run the unit tests; return whether they passed."""
    folder = environment(python)
    print(f"Unit tests on {python}", flush=True)
    # The code under test comes from the current folder.
    # Those of PostgreSQL are about its SQL, which is the same from any Python.
    options = ["-n", "auto", "-m", "not postgres"]
    command = [str(folder / "bin" / "python"), "-m", "pytest", *options, *TESTS, *arguments]
    variables = {"CASES": "" if os.environ.get("LONG") else CASES, **os.environ}
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode == 0


def main() -> None:
    """Print which versions there are, then run the tests on each."""
    others = []
    for version in VERSIONS:
        python = interpreter(version)
        if version == sys.version_info[:2]:
            state = "runs all tests (make test)"
        elif python is None:
            state = "is NOT INSTALLED: not tested"
        else:
            state = f"is {python}"
            others.append(python)
        print("Python {}.{} {}".format(*version, state), flush=True)
    failed = [python for python in others if not test(python, sys.argv[1:])]
    if failed:
        sys.exit(f"unit tests failed on {', '.join(failed)}")


if __name__ == "__main__":
    main()
