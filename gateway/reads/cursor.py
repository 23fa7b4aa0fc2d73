"""The composite cursor: how far each provider's part of a merged list has been shown.

Opaque to callers: URL-safe base64 of JSON. It names the list it belongs to (a digest of what was
asked), so that a cursor of another list is refused instead of misread.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from enum import Enum
from hashlib import blake2s
from typing import Annotated, Any, NamedTuple

import msgspec

from gateway.errors import BadInput

LONGEST = 8192
"""Characters of a cursor that are read at all."""


class State(Enum):
    """What is known of the part behind the position."""

    OPEN = 0
    DONE = 1
    FAILED = 2
    """The provider failed when it was asked last; it is asked again, but promises no next page."""


class Progress(NamedTuple):
    """How far one provider's list has been shown."""

    position: str | None = None
    """In the adapter's own notation; None is the start."""
    shown: int = 0
    """Rows up to here."""
    total: int | None = None
    """What the provider told of the whole, once."""
    state: State = State.OPEN


START = Progress()


# What a list can be long: beyond it GraphQL's Int could not say its total.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    of: str
    parts: dict[str, tuple[str | None, _Count, _Count | None, State]]


_decoder = msgspec.json.Decoder(_Stored)


def identity(*asked: Any) -> str:
    """Return a digest of what was asked: equal questions, equal digests."""
    return blake2s(msgspec.json.encode(asked, order="deterministic"), digest_size=6).hexdigest()


def write(of: str, parts: Mapping[str, Progress]) -> str:
    """Return the cursor; what has not begun is left out."""
    begun = {key: tuple(part) for key, part in parts.items() if part != START}
    return urlsafe_b64encode(msgspec.json.encode([of, begun])).rstrip(b"=").decode()


def read(of: str, cursor: str) -> Mapping[str, Progress]:
    """Read a cursor of this list. Raises `BadInput` for any other text."""
    if len(cursor) > LONGEST:
        raise BadInput("The cursor was not made by this gateway.")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        stored = _decoder.decode(urlsafe_b64decode(padded))
        parts = {key: Progress(*part) for key, part in stored.parts.items()}
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise BadInput("The cursor was not made by this gateway.") from None
    if stored.of != of:
        raise BadInput("The cursor belongs to another list, filter or order.")
    return parts
