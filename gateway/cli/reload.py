"""`gateway reload`."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import Config, fail, out
from gateway.configuration_file import pid_file
from gateway.errors import SettingsError


def reload(
    config: Config = None,
    pid: Annotated[
        int | None,
        typer.Option(min=1, help="The server's main process. Default: that in server.pid_file."),
    ] = None,
) -> None:
    """Let a running server read its configuration again, without a restart."""
    number = _pid_of(config) if pid is None else pid
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
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        fail(f"{file} has no process id: the server is not running.")
