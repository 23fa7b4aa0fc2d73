"""`gateway key`."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError

from gateway.auth import api_keys
from gateway.auth.settings import KeySettings
from gateway.cli.console import fail

commands = typer.Typer(help="API keys.", no_args_is_help=True)


@commands.command()
def create(
    name: Annotated[
        str, typer.Option(help="The holder of the key, for people and for the audit log.")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            help="A scope, for example segments:read, or limited to one provider:"
            " segments:read@acme-emporix. May be repeated."
        ),
    ],
    days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="Days until it expires. Default: never.")
    ] = None,
) -> None:
    """Create an API key; print it once, together with its table for the configuration file."""
    key, digest = api_keys.make()
    expires_at = None
    if days is not None:
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    try:
        KeySettings(name=name, hash=SecretStr(digest), scopes=tuple(scope), expires_at=expires_at)
    except ValidationError as error:
        problems = [(each["loc"][0], each["msg"]) for each in error.errors()]
        lines = [f"  {at}: {text.removeprefix('Value error, ')}" for at, text in problems]
        fail("\n".join(["The key cannot be created:", *lines]))
    table = [
        "[[auth.keys]]",
        f'name = "{name}"',
        f'hash = "{digest}"',
        f"scopes = {json.dumps(scope)}",
        *([] if expires_at is None else [f"expires_at = {expires_at.isoformat()}"]),
    ]
    sys.stdout.write(CREATED.format(key=key, table="\n".join(table)))


CREATED = """\
The key, which is shown only once. Store it like a password:

{key}

Add this to the configuration file, and run `gateway reload`, or restart the
gateway. It contains no secret:

{table}

Send the key with each request, in a header:  authorization: Bearer sgk_…
To replace a key, create one with another name: both are valid until the old table is removed.
"""
