"""The composite cursor: how far each provider's part of a merged list has been shown.

It is opaque to clients: URL-safe base64 of JSON. It contains a digest of the list's arguments, so
that a cursor of another list is refused instead of misread.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from enum import Enum
from hashlib import blake2s
from typing import Annotated, Any, NamedTuple

import msgspec

from gateway.errors import BadInput

MAX_LENGTH = 32_768
"""The length beyond which a cursor is refused without decoding.

The longest contain the ids of 600 segments of Voucherify that were created at one moment.
"""


class State(Enum):
    """What is known about the rows after the position."""

    OPEN = 0
    DONE = 1
    FAILED = 2
    """The provider's last call failed. It is called again, but does not imply a next page."""


class Progress(NamedTuple):
    """How far one provider's list has been shown."""

    position: str | None = None
    """In the adapter's notation; None is the start."""
    shown: int = 0
    """The number of rows up to here."""
    total: int | None = None
    """The total that the provider reported."""
    state: State = State.OPEN


START = Progress()


# The largest length of a list: GraphQL's Int cannot represent a larger total.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    of: str
    parts: dict[str, tuple[str | None, _Count, _Count | None, State]]


_decoder = msgspec.json.Decoder(_Stored)


def identity(*arguments: Any) -> str:
    """Return a digest that identifies a list by its arguments."""
    return blake2s(
        msgspec.json.encode(arguments, order="deterministic"), digest_size=6
    ).hexdigest()


def write(of: str, parts: Mapping[str, Progress]) -> str:
    """Return the cursor; parts still at their start are omitted."""
    started = {key: tuple(part) for key, part in parts.items() if part != START}
    return urlsafe_b64encode(msgspec.json.encode([of, started])).rstrip(b"=").decode()


def read(of: str, cursor: str) -> Mapping[str, Progress]:
    """Read a cursor of this list. Raises `BadInput` for any other text."""
    if len(cursor) > MAX_LENGTH:
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
