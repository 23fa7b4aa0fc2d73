"""The command line: `gateway serve`, `check`, `import` and the others."""

from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import (
    check,
    export,
    identity,
    import_rows,
    key,
    reload,
    sandbox,
    schema,
    serve,
    webhooks,
)

cli = typer.Typer(
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


cli.command()(serve.serve)
cli.command()(sandbox.sandbox)
cli.command()(check.check)
cli.command()(reload.reload)
cli.command("import")(import_rows.import_rows)
cli.add_typer(export.commands, name="export")
cli.add_typer(identity.commands, name="identity")
cli.add_typer(key.commands, name="key")
cli.add_typer(webhooks.commands, name="webhooks")
cli.command()(schema.schema)


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
