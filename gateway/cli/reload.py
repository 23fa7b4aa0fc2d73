"""`gateway reload`."""

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import Config, fail, out
from gateway.cli.pid_file import pid_of_running
from gateway.errors import SettingsError
from gateway.settings.file import pid_file

PROCESSES = Path("/proc")
"""What Linux says of each process; macOS has nothing that can be read without another program."""


def reload(
    config: Config = None,
    pid: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The server's main process; needs /proc (Linux). Default: that in"
            " server.pid_file.",
        ),
    ] = None,
) -> None:
    """Let a running server read its configuration again, without a restart."""
    if pid is None:
        number = _pid_of(config)
    else:
        number = pid
        _check_or_fail(number)
    try:
        os.kill(number, signal.SIGHUP)
    except ProcessLookupError:
        fail(f"No process has the id {number}: the server is not running.")
    except PermissionError:
        fail(f"The process {number} belongs to another user.")
    out.print(f"Process {number} reads its configuration again. Its log says what changes.")


def _pid_of(config: Path | None) -> int:
    try:
        file = pid_file(config, os.environ)
    except SettingsError as error:
        fail("\n".join(f"{problem.path}: {problem.text}" for problem in error.problems))
    if file is None:
        fail("The configuration has no server.pid_file. Set it, or name the process: --pid N")
    return pid_of_running(file)


def _check_or_fail(pid: int) -> None:
    """Exit unless the process is a gateway that handles the signal, which ends others."""
    if not PROCESSES.is_dir():
        fail(
            f"This system cannot say what process {pid} is (it has no /proc), and the signal would"
            f" end any other. Set server.pid_file, or send it yourself: kill -HUP {pid}"
        )
    folder = PROCESSES / str(pid)
    try:
        command = folder.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
        status = folder.joinpath("status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        fail(f"No process has the id {pid}: the server is not running.")
    if ("gateway", "serve") not in pairwise(Path(each).name for each in command):
        fail(
            f"Process {pid} is not the main process of a gateway, so nothing was sent to it. Name"
            " the one that was started as `gateway serve`, not a worker, or set server.pid_file."
        )
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    if not int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1:
        fail(f"Process {pid} does not handle SIGHUP yet: it is starting. Repeat this soon.")
