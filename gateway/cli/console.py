"""What the commands share: options, output, and errors that say how to fix them."""

import os
import socket
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from gateway.asgi import build
from gateway.errors import SettingsError
from gateway.settings.file import CONFIG_VARIABLE
from gateway.settings.loading import load
from gateway.settings.tables import Settings
from gateway.store.database_url import database_url
from gateway.store.temporary import TEMPORARY

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Config = Annotated[
    Path | None,
    typer.Option(
        help=f"The configuration file. Default: that of {CONFIG_VARIABLE}, or else the sandbox."
    ),
]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]

ADDRESS_IN_USE = {98, 48, 10048}
"""EADDRINUSE on Linux, macOS and Windows."""


def fail(message: str) -> NoReturn:
    """Print an error message that says how to fix it, and exit."""
    err.print(message, style="red", markup=False)
    raise typer.Exit(2)


def settings_or_fail(config: Path | None) -> Settings:
    """Read the configuration, or print all problems in it and exit."""
    try:
        settings = load(config, os.environ)
        build(settings)  # reads the files that the configuration names
        if settings.store.url != TEMPORARY:
            database_url(settings.store.url, os.environ)
    except SettingsError as error:
        lines = [f"  {problem.path}: {problem.text}" for problem in error.problems]
        fail("\n".join(["The configuration cannot be used:", *lines]))
    return settings


def check_port_or_fail(host: str, port: int) -> None:
    """Exit with one clear line if the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            in_use = error.errno in ADDRESS_IN_USE
            why = "is in use" if in_use else f"cannot be used: {error.strerror}"
            fail(f"{host} port {port} {why}. Choose another: --port {port + 1}, PORT={port + 1}")
