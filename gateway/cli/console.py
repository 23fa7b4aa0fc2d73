"""What all commands share: options, output, and errors that say how to fix them."""

import socket
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from gateway.settings.file import CONFIG_VARIABLE

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
