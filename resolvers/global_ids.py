"""Global ids: opaque to callers, one per object, decoded by `node(id)`.

A global id is the URL-safe base64 of a JSON array: the letter of the type, then the parts of the
ref.
"""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec

from gateway.domain import entities
from gateway.domain.change_log import AssignmentChange, SegmentChange
from gateway.domain.entities import AssignmentRef, Ref
from gateway.domain.lazy_rows import column, kinds
from gateway.errors import BadInput
from gateway.identity.graph import Edge, Pair, pair_of
from gateway.identity.person import Person


class Kind(Enum):
    """The kinds of objects with a global id."""

    PROVIDER = "p"
    SEGMENT = "s"
    CUSTOMER = "c"
    ASSIGNMENT = "a"
    CHANGE = "h"
    PERSON = "r"
    """Its id is made from one of its customers."""
    LINK = "i"
    LEGAL_ENTITY = "l"
    """Not a node: its id is unique, but `node` does not accept it."""


MAX_CHARACTERS = 2048
"""A longer id is refused unread."""

CACHED_IDS = 1024
"""Decoded ids in the cache: many requests at about the same time have the same ids."""

_KINDS: Mapping[type[Any], Kind] = {
    entities.Segment: Kind.SEGMENT,
    entities.Customer: Kind.CUSTOMER,
    entities.Assignment: Kind.ASSIGNMENT,
    Person: Kind.PERSON,
}
_SIZES: Mapping[Kind, tuple[int, ...]] = {
    Kind.PROVIDER: (1,),
    Kind.CHANGE: (1,),
    Kind.ASSIGNMENT: (3, 4),
    Kind.LINK: (4,),
}
"""The number of parts of an id; 2 for all other kinds."""

_decoder = msgspec.json.Decoder(list[str])
_encode = msgspec.json.Encoder().encode


def _write(parts: tuple[str, ...]) -> str:
    return _url_safe(binascii.b2a_base64(_encode(parts), newline=False))


def _url_safe(base64: bytes) -> str:
    # Faster than `translate`, which looks at each byte: every row of a list may have an id.
    return base64.replace(b"+", b"-").replace(b"/", b"_").replace(b"=", b"").decode()


def of(value: Any) -> str:
    """Return the id of a provider, a segment, a customer or an assignment."""
    kind = _KINDS.get(type(value))
    if isinstance(value, Edge):
        return of_pair(value.pair)
    if isinstance(value, AssignmentChange | SegmentChange):
        return _write((Kind.CHANGE.value, value.cursor.text))
    if kind is None:
        return _write((Kind.PROVIDER.value, value.key))
    return of_ref(kind, value.ref)


def of_each(values: Sequence[Any]) -> Sequence[str]:
    """Return the id of each value: in two thirds of the time of `of` if all are of one type."""
    types = kinds(values)
    kind = _KINDS.get(types.pop()) if len(types) == 1 else None
    if kind is None:
        return [of(value) for value in values]
    letter, refs = kind.value, column(values, "ref", _refs)
    parts: list[tuple[str, ...]]
    if kind is Kind.ASSIGNMENT:
        parts = [
            (letter, ref.provider, ref.segment, ref.customer)
            if ref.legal_entity is None
            else (letter, ref.provider, ref.segment, ref.customer, ref.legal_entity)
            for ref in refs
        ]
    else:
        parts = [(letter, ref.provider, ref.key) for ref in refs]
    written = b"".join(map(binascii.b2a_base64, map(_encode, parts)))  # one line per id
    return _url_safe(written).split("\n")[:-1]


def _refs(values: Iterable[Any]) -> Sequence[Any]:
    return [value.ref for value in values]


def of_ref(kind: Kind, ref: Ref | AssignmentRef) -> str:
    """Return the id of a ref."""
    if type(ref) is Ref:  # by far the cheapest test
        return _write((kind._value_, ref.provider, ref.key))
    parts = (kind._value_, ref.provider, ref.segment, ref.customer)
    return _write(parts if ref.legal_entity is None else (*parts, ref.legal_entity))


def of_pair(pair: Pair) -> str:
    """Return the id of the link between two customers."""
    one, other = pair
    return _write((Kind.LINK.value, one.provider, one.key, other.provider, other.key))


def read(text: str, what: str = "This") -> tuple[Kind, tuple[str, ...]]:
    """Return the kind and the parts of an id. Raises `BadInput` for an invalid id.

    Here and below, `what` names the argument in the error; "This" is for an error that has the
    path of a field.
    """
    try:
        return parts_of(text)
    except (ValueError, msgspec.MsgspecError):
        raise BadInput(f"{what} is not an id of this gateway.") from None


@lru_cache(CACHED_IDS)
def parts_of(text: str) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind and the parts of an id. Raises `ValueError` or `MsgspecError`."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    letter, *parts = _decoder.decode(urlsafe_b64decode(padded))
    kind = Kind(letter)
    sizes = _SIZES.get(kind, (2,))
    # Only the canonical encoding is valid, so that equal objects have equal ids.
    if len(parts) not in sizes or not all(parts) or _write((letter, *parts)) != text:
        raise ValueError
    if kind is Kind.LINK:
        one, other = link_of(*parts)
        if one == other or pair_of(one, other) != (one, other):
            raise ValueError
    return kind, tuple(parts)


def segment(text: str, what: str = "This") -> Ref:
    """Decode the id of a segment."""
    return _ref(text, what, Kind.SEGMENT, "segment")


def segments(texts: Iterable[str] | None, what: str) -> Sequence[Ref]:
    """Decode a list of ids of segments; None is an empty list."""
    return [segment(text, f"{what}[{index}]") for index, text in enumerate(texts or ())]


def customer(text: str, what: str = "This") -> Ref:
    """Decode the id of a customer."""
    return _ref(text, what, Kind.CUSTOMER, "customer")


def customers(texts: Iterable[str] | None, what: str) -> Sequence[Ref]:
    """Decode a list of ids of customers; None is an empty list."""
    return [customer(text, f"{what}[{index}]") for index, text in enumerate(texts or ())]


def link(text: str) -> Pair:
    """Decode the id of a link."""
    kind, parts = read(text)
    if kind is not Kind.LINK:
        raise BadInput("This is not the id of a link.")
    return link_of(*parts)


def link_of(provider: str, key: str, other_provider: str, other_key: str) -> Pair:
    """Return the pair of customers of a link."""
    return Ref(provider, key), Ref(other_provider, other_key)


def _ref(text: str, what: str, wanted: Kind, noun: str) -> Ref:
    kind, parts = read(text, what)
    if kind is not wanted:
        raise BadInput(f"{what} is not the id of a {noun}.")
    return Ref(*parts)
