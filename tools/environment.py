"""Set up `.venv` from a lock: `python tools/environment.py serve|dev`. Standard library only.

The syntax is old on purpose: an old Python must be able to run it and report that it is too old.
"""

import os
import subprocess
import sys
import venv

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
OLDEST = (3, 11)


def stop(message):
    """Print what is wrong and exit."""
    sys.exit("error: " + message)


def pip(*arguments):
    """Run pip in the environment; on failure print one line of advice and exit."""
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode == 0:
        return
    log = os.path.join(VENV, "pip.log")
    with open(log, "w") as file:
        file.write(result.stdout + result.stderr)
    if any(sign in result.stderr for sign in OFFLINE):
        stop(
            "the package registry cannot be reached; is there a network?"
            " (pip's output is in .venv/pip.log)"
        )
    stop("the packages cannot be installed; pip's output is in .venv/pip.log")


OFFLINE = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeoutError",
    "Max retries exceeded",
)


def main():
    """Create the environment if it is missing, and install what the lock lists."""
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:2]))
        stop(
            "Python 3.11 or newer is required, this is {}; "
            "choose a newer one: make PYTHON=python3.12 …".format(version)
        )
    name = sys.argv[1]
    if not os.path.exists(PYTHON):
        print("Creating .venv …", flush=True)
        venv.create(VENV, with_pip=True)
    print("Installing requirements/{}.lock (once) …".format(name), flush=True)
    # Without resolving: only what the lock lists is installed, whatever was published since.
    lock = os.path.join("requirements", name + ".lock")
    pip("--no-deps", "--require-hashes", "--requirement", lock)
    if name != "node":
        pip("--no-deps", "--no-build-isolation", "--editable", ".")
    with open(os.path.join(VENV, name), "w"):
        pass


if __name__ == "__main__":
    main()
