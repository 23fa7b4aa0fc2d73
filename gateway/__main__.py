"""The command line: `gateway serve`, `sandbox`, `check`, `key`, `webhooks`, `schema`."""

import typer

from gateway.cli import check, key, sandbox, schema, serve, webhooks

cli = typer.Typer(
    help="One GraphQL endpoint over the customer segments of several providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command()(serve.serve)
cli.command()(sandbox.sandbox)
cli.command()(check.check)
cli.add_typer(key.commands, name="key")
cli.add_typer(webhooks.commands, name="webhooks")
cli.command()(schema.schema)


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
