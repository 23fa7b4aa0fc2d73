"""Lookups in the gateway's store, for providers that cannot be read, as plain values."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from gateway.domain.entities import AssignmentState

T_co = TypeVar("T_co", covariant=True)


class Lookup(msgspec.Struct, frozen=True):
    """A lookup of what the gateway wrote to a provider that cannot be read.

    `what`, its `keys`, and the result:

    - `segments`: no keys; `Rows[TagRow]` of the tags that any customer has, by type and value;
    - `segment`: any number of (type, value); `Rows[TagRow]` of those that exist, in any order;
    - `members`: one (type, value); `Rows[TaggingRow]` by customer;
    - `member_count`: one (type, value); an int;
    - `customers`: no keys; `Rows[CustomerRow]` by customer;
    - `customer`: any number of (customer,); `Rows[CustomerRow]` of those that exist, in any order;
    - `assignments`: one (customer,); `Rows[TaggingRow]` as written, then by type and value.

    Texts are ordered by code points. If `what` has keys and none are given, there are no rows.
    """

    what: str
    keys: tuple[tuple[str, ...], ...] = ()
    after: tuple[str | int, ...] | None = None
    """The row before the first one: its type and value (`segments`), its position, type and value
    (`assignments`), or its customer. None is the start."""
    size: int = 0
    """The largest number of rows; 0: all."""
    with_total: bool = False


class TagRow(msgspec.Struct, frozen=True):
    """A tag that customers have or may have, and when it was first stored and last changed."""

    type: str
    value: str
    created_at: datetime
    updated_at: datetime


class TaggingRow(msgspec.Struct, frozen=True):
    """A tag of a customer, confirmed or not, and when it was first stored and last changed."""

    customer: str
    type: str
    value: str
    state: AssignmentState
    created_at: datetime
    updated_at: datetime
    position: int
    """Its index in the order of the write."""


class CustomerRow(msgspec.Struct, frozen=True):
    """A customer that was ever written, even if they have no tags now."""

    customer: str


class Rows(msgspec.Struct, Generic[T_co], frozen=True):
    """A page of stored rows. `total` counts the whole list, if it was requested."""

    rows: Sequence[T_co]
    is_last: bool = True
    total: int | None = None


class Recall(msgspec.Struct, Generic[T_co], frozen=True):
    """A lookup and the function that reads its result: an exchange with the store."""

    operation: str
    lookup: Lookup
    read: Callable[[Any], T_co]
