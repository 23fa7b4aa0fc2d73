"""`gateway schema`."""

import sys

from resolvers.schema import sdl


def schema() -> None:
    """Print the schema."""
    sys.stdout.write(sdl())
