"""`gateway schema`."""

import sys
from typing import Annotated

import typer

from resolvers.schema import sdl


def schema(
    *,
    federation: Annotated[
        bool, typer.Option("--federation", help="As a subgraph of Apollo Federation 2.")
    ] = False,
) -> None:
    """Print the schema."""
    if not federation:
        sys.stdout.write(sdl())
        return
    from resolvers.federation.sdl import SUBGRAPH_SDL  # noqa: PLC0415  # an optional part

    sys.stdout.write(SUBGRAPH_SDL)
