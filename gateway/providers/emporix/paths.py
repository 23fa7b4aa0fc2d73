"""The paths for writes of one object of a list, and of many."""

from gateway.errors import BadInput
from gateway.providers.base.decoding import path_part

BULK = "bulk"
"""The last segment of the path for a bulk, where an id would be otherwise."""


def one(collection: str, key: str) -> str:
    """Return the path of one object of a list.

    Raises `BadInput` for an id that would be the path of a bulk.
    """
    if key == BULK:
        raise BadInput(f"Objects with the id {BULK!r} cannot be written at Emporix.")
    return f"{collection}/{path_part(key)}"


def many(collection: str) -> str:
    """Return the path for writes of many objects of a list."""
    return f"{collection}/{BULK}"
