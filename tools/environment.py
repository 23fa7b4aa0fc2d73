"""Set up `.venv` from a lock: `python tools/environment.py serve|dev`. Standard library only.

Written so that an old Python can still read it and be told that it is too old.
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
    """Say what is wrong and end."""
    sys.exit("error: " + message)


def pip(*arguments):
    """Run pip in the environment; on failure say what to do in one line."""
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    log = os.path.join(VENV, "pip.log")
    with open(log, "w") as file:
        file.write(done.stdout + done.stderr)
    if any(sign in done.stderr for sign in OFFLINE):
        stop(
            "the package registry cannot be reached; is there a network? (pip said: .venv/pip.log)"
        )
    stop("the packages cannot be installed; pip's reasons are in .venv/pip.log")


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
    """Create the environment where it is missing, and install what the lock names."""
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:2]))
        stop(
            "Python 3.11 or newer is needed, this is {}; "
            "name a newer one: make PYTHON=python3.12 …".format(version)
        )
    wanted = sys.argv[1]
    if not os.path.exists(PYTHON):
        print("Creating .venv …", flush=True)
        venv.create(VENV, with_pip=True)
    print("Installing what requirements/{}.lock names (once) …".format(wanted), flush=True)
    # Without resolving: the lock is all there is, so what was published since cannot matter.
    lock = os.path.join("requirements", wanted + ".lock")
    pip("--no-deps", "--require-hashes", "--requirement", lock)
    if wanted != "node":
        pip("--no-deps", "--no-build-isolation", "--editable", ".")
    with open(os.path.join(VENV, wanted), "w"):
        pass


if __name__ == "__main__":
    main()
