"""What an adapter looks up in the gateway's own store, as plain values."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from gateway.domain.entities import AssignmentState

T_co = TypeVar("T_co", covariant=True)


class Lookup(msgspec.Struct, frozen=True):
    """A question to the gateway's own record: what it told a provider that cannot be read.

    `what`, the `keys` it names, and what answers it:

    - `segments`: none; `Rows[TagRow]` by type and value, those that anybody has;
    - `segment`: any number of (type, value); `Rows[TagRow]`, the ones there are, in any order;
    - `members`: one (type, value); `Rows[TaggingRow]` by customer;
    - `member_count`: one (type, value); an int;
    - `customers`: none; `Rows[CustomerRow]` by customer;
    - `customer`: any number of (customer,); `Rows[CustomerRow]`, the known ones, in any order;
    - `assignments`: one (customer,); `Rows[TaggingRow]` as written, then by type and value.

    Texts are ordered by their code points. Where keys are named, no keys mean no rows.
    """

    what: str
    keys: tuple[tuple[str, ...], ...] = ()
    after: tuple[str | int, ...] | None = None
    """Behind which row: its type and value, of `assignments` its position, type and value, else
    its customer; None is the start."""
    size: int = 0
    """Rows wanted at most; 0 is all of them."""
    with_total: bool = False


class TagRow(msgspec.Struct, frozen=True):
    """A pair that customers have or may have; first recorded and last changed when."""

    type: str
    value: str
    created_at: datetime
    updated_at: datetime


class TaggingRow(msgspec.Struct, frozen=True):
    """That a customer has a pair, or may have it; first recorded and last changed when."""

    customer: str
    type: str
    value: str
    state: AssignmentState
    created_at: datetime
    updated_at: datetime
    position: int
    """Its place in the order of the write."""


class CustomerRow(msgspec.Struct, frozen=True):
    """A customer of whom anything is recorded, though it be that they have no pair."""

    customer: str


class Rows(msgspec.Struct, Generic[T_co], frozen=True):
    """A stretch of the record; `total` counts the whole list, where that was asked."""

    rows: Sequence[T_co]
    is_last: bool = True
    total: int | None = None


class Recall(msgspec.Struct, Generic[T_co], frozen=True):
    """A lookup and how to read what answers it: an exchange with the record, not the provider."""

    operation: str
    lookup: Lookup
    read: Callable[[Any], T_co]
