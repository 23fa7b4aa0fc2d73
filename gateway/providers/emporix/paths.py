"""Where Emporix has one thing of a list to write to, and where many at once."""

from gateway.errors import BadInput
from gateway.providers.base.decoding import path_part

BULK = "bulk"
"""What many things at once are called where the id of one would stand."""


def one(of: str, key: str) -> str:
    """Return the path of one thing below its list's.

    Raises `BadInput` for an id that would make it a write of many.
    """
    if key == BULK:
        raise BadInput(f"Emporix cannot be told to write to what has the id {BULK!r}.")
    return f"{of}/{path_part(key)}"


def many(of: str) -> str:
    """Return the path for writes of many things below their list's."""
    return f"{of}/{BULK}"
