"""The command line: `gateway serve`, `check`, `import` and the others.

Most of them need all of the gateway, which takes a second to import: so each is imported when it
is used, and not to be listed.
"""

import errno
import gc
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway import __version__

COMMANDS = {
    "serve": (
        "serve:serve",
        "Serve GraphQL and its pages; without a configuration, over the embedded sandbox.",
    ),
    "sandbox": ("sandbox:sandbox", "Serve the providers' sandboxes alone over HTTP."),
    "check": (
        "check:check",
        "Sign in to each provider and read once, open the store, fetch issuers' keys; print all.",
    ),
    "reload": (
        "reload:reload",
        "Let a running server read its configuration again, without a restart.",
    ),
    "import": (
        "import_rows:import_rows",
        "Import assignments or attributes through a gateway. Repeating it sends nothing twice.",
    ),
    "export": ("export:commands", "Write rows to standard output."),
    "identity": ("identity:commands", "Who is one person."),
    "key": ("key:commands", "API keys."),
    "webhooks": ("webhooks:commands", "Webhooks that providers send."),
    "schema": ("schema:schema", "Print the schema."),
}
"""Where each is in `gateway.cli`, and what it does, in the words of its own help."""


class Commands(TyperGroup):
    """The list of commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Import the command that is used."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, imported(str(name)), rest


def imported(name: str) -> Any:
    """Return a command."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    gc.disable()  # importing makes next to no garbage: to look for it took a fifth of the start
    command = getattr(import_module(f"gateway.cli.{module}"), attribute)
    gc.freeze()
    gc.enable()
    app = typer.Typer()
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)
    return typer.main.get_group(app).commands[name]


cli = typer.Typer(
    cls=Commands,
    help="One GraphQL endpoint over the customer segments of several providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(*, is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@cli.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """One GraphQL endpoint over the customer segments of several providers."""


for _name, (_, _help) in COMMANDS.items():
    cli.command(_name, help=_help)(lambda: None)


def main() -> None:
    """Run the command line. If the output cannot be written, say so in one line."""
    try:
        try:
            cli()
        finally:
            if sys.stdout is not None:  # None: a service manager closed it
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}:
            raise
        # What is left of the output would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"The output cannot be written: {error.strerror}")


if __name__ == "__main__":
    main()
