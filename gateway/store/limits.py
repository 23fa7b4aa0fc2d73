"""What the record can hold: texts without NUL, together short enough for an index."""

from collections.abc import Iterable

from gateway.domain.mutations import Replacement

LONGEST = 2_500
"""Bytes of UTF-8 of provider key, customer, type and value together.

PostgreSQL refuses index rows beyond 2,704 bytes, a third of a page, heads and padding included.
"""


def size_of(texts: Iterable[str]) -> int | None:
    """Return the bytes of all of them; None when one cannot be stored at all.

    PostgreSQL stores no NUL, and half of a surrogate pair is no text.
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


def unrecordable(provider: str, row: Replacement) -> str | None:
    """Say what the record cannot hold of a replacement, as a sentence; None when it can hold all.

    To be asked before anything is sent, so that one row costs no other its place.
    """
    for tag in ((), *row.tags):
        size = size_of((provider, row.customer, *tag))
        if size is None:
            return "A text holds a NUL or half of a surrogate pair, which cannot be recorded."
        if size > LONGEST:
            return f"Id, type and value are longer than {LONGEST} bytes, the most recorded."
    return None
