"""Global ids: opaque to callers, the same for the same thing, decoded by `node(id)`.

URL-safe base64 of a JSON array: the type's letter and the parts of the reference.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn

import msgspec

from gateway import domain
from gateway.domain import AssignmentRef, Ref
from gateway.errors import BadInput


class Kind(Enum):
    """The types of node."""

    PROVIDER = "p"
    SEGMENT = "s"
    CUSTOMER = "c"
    ASSIGNMENT = "a"


LONGEST = 2048
"""Characters of an id that are read at all."""

_KINDS: Mapping[type[Any], Kind] = {
    domain.Segment: Kind.SEGMENT,
    domain.Customer: Kind.CUSTOMER,
    domain.Assignment: Kind.ASSIGNMENT,
}
_decoder = msgspec.json.Decoder(list[str])
_encode = msgspec.json.Encoder().encode


def _write(kind: Kind, *parts: str) -> str:
    return urlsafe_b64encode(_encode((kind.value, *parts))).rstrip(b"=").decode()


def of(value: Any) -> str:
    """Return the id of a provider, a segment, a customer or an assignment."""
    kind = _KINDS.get(type(value))
    if kind is None:
        return _write(Kind.PROVIDER, value.key)
    return of_ref(kind, value.ref)


def of_ref(kind: Kind, ref: Ref | AssignmentRef) -> str:
    """Return the id of what a reference names."""
    return _write(kind, *(part for part in ref if part is not None))


def read(text: str) -> tuple[Kind, tuple[str, ...]]:
    """Return the type and the parts of an id. Raises `BadInput` for what is no id of ours."""
    try:
        if len(text) > LONGEST:
            refuse()
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        letter, *parts = _decoder.decode(urlsafe_b64decode(padded))
        kind = Kind(letter)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        refuse()
    sizes = {Kind.PROVIDER: (1,), Kind.ASSIGNMENT: (3, 4)}.get(kind, (2,))
    # Only the one spelling that we write is an id, so that equal things have equal ids.
    if len(parts) not in sizes or not all(parts) or _write(kind, *parts) != text:
        refuse()
    return kind, tuple(parts)


def refuse() -> NoReturn:
    """Raise the error for what is no id."""
    raise BadInput("This is not an id of this gateway.") from None


def segment(text: str) -> Ref:
    """Read the id of a segment."""
    return _ref(text, Kind.SEGMENT, "segment")


def customer(text: str) -> Ref:
    """Read the id of a customer."""
    return _ref(text, Kind.CUSTOMER, "customer")


def _ref(text: str, wanted: Kind, noun: str) -> Ref:
    kind, parts = read(text)
    if kind is not wanted:
        raise BadInput(f"This is the id of another thing than a {noun}.")
    return Ref(*parts)
