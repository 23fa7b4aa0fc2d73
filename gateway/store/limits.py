"""Limits of the store: texts without NUL, together short enough for an index."""

from collections.abc import Iterable

from gateway.domain.mutations import Replacement

MAX_STORED_BYTES = 2_500
"""Bytes of UTF-8 of provider key, customer, type and value together.

PostgreSQL refuses index rows beyond 2,704 bytes, a third of a page, heads and padding included.
"""


def size_of(texts: Iterable[str]) -> int | None:
    """Return the total size in bytes; None if a text cannot be stored at all.

    PostgreSQL stores no NUL, and a lone surrogate has no encoding.
    """
    size = 0
    for text in texts:
        if "\0" in text:
            return None
        try:
            size += len(text.encode())
        except UnicodeEncodeError:
            return None
    return size


def is_storable(texts: Iterable[str]) -> bool:
    """Return whether the store can hold these texts as one key."""
    size = size_of(texts)
    return size is not None and size <= MAX_STORED_BYTES


def unrecordable(provider: str, row: Replacement) -> str | None:
    """Return a message if the store cannot hold a replacement, else None.

    Check every row before anything is sent, so that one row does not fail the others.
    """
    for tag in ((), *row.tags):
        size = size_of((provider, row.customer, *tag))
        if size is None:
            return "A text contains a NUL or a lone surrogate, which cannot be stored."
        if size > MAX_STORED_BYTES:
            return (
                f"Id, type and value together exceed {MAX_STORED_BYTES} bytes, the most that is "
                "stored."
            )
    return None
