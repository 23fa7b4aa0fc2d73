"""What the gateway recorded of Instaleap, and the domain values it becomes.

Instaleap has no segments of their own: a segment is a pair (type, value) that customers have. Its
id is the two parts percent-encoded, with a colon between.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from gateway.domain.entities import (
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Customer,
    CustomerKey,
    Membership,
    Origin,
    Ref,
    Segment,
)
from gateway.domain.mutations import Tag
from gateway.domain.pages import Page, PageRequest
from gateway.domain.texts import plain
from gateway.errors import BadInput
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.numbered_pages import number
from gateway.providers.base.store_lookup import Lookup, Recall, Rows, TaggingRow, TagRow

R = TypeVar("R")
T = TypeVar("T")

Keys = tuple[tuple[str, ...], ...]

LARGEST_LOOKUP = 500
"""Keys of one lookup: our own choice, so that none takes long."""


def tag_of(key: str) -> Tag | None:
    """Return the pair that an id names; an id spelled in any other way names none."""
    type_, _, value = key.partition(":")
    tag = Tag(unquote(type_), unquote(value))
    return tag if tag.key == key else None


def tags(keys: Sequence[str]) -> Keys:
    """Return the pairs that some ids name, as the keys of a lookup."""
    return tuple(tag for tag in map(tag_of, keys) if tag is not None)


def segment_of(provider: str, row: TagRow) -> Segment:
    """Return a segment; it has no name but its value."""
    return Segment(
        ref=Ref(provider, Tag(row.type, row.value).key),
        names=plain(row.value),
        membership=Membership.TAG,
        created_at=row.created_at,
        updated_at=row.updated_at,
        origin=Origin.RECORDED,
    )


def customer_of(provider: str, document_id: str) -> Customer:
    """Return a customer, of whom nothing but the document id is recorded."""
    return Customer(
        ref=Ref(provider, document_id),
        keys=(CustomerKey("document_id", document_id),),
        origin=Origin.RECORDED,
    )


def assignment_of(provider: str, row: TaggingRow) -> Assignment:
    """Return an assignment; the times are its own, so of the segment only the name is told."""
    key = Tag(row.type, row.value).key
    segment = Segment(
        ref=Ref(provider, key),
        names=plain(row.value),
        membership=Membership.TAG,
        origin=Origin.RECORDED,
        is_partial=True,
    )
    return Assignment(
        ref=AssignmentRef(provider, key, row.customer),
        kind=AssignmentKind.MANUAL,
        state=row.state,
        origin=Origin.RECORDED,
        created_at=row.created_at,
        updated_at=row.updated_at,
        segment=segment,
        customer=customer_of(provider, row.customer),
    )


class Order(NamedTuple):
    """What a list of the record is ordered by, as positions in it."""

    position: Callable[[Any], str]
    """Where the list goes on behind a row."""
    after: Callable[[str], tuple[str | int, ...]]
    """The same as the record asks for it."""


def _after_tag(position: str) -> Tag:
    tag = tag_of(position)
    if tag is None:
        raise BadInput("The cursor was not made by this gateway.")
    return tag


def _after_place(position: str) -> tuple[int, str, str]:
    place, _, key = position.partition(":")
    return number(place), *_after_tag(key)


BY_TAG = Order(lambda row: Tag(row.type, row.value).key, _after_tag)
AS_WRITTEN = Order(
    lambda row: f"{row.position}:{Tag(row.type, row.value).key}",
    _after_place,
)
BY_CUSTOMER = Order(lambda row: row.customer, lambda position: (position,))


class Recorded(NamedTuple, Generic[R, T]):
    """A list of the record; `show` makes a value of each row."""

    operation: str
    what: str
    order: Order
    show: Callable[[R], T]
    keys: Keys = ()

    def page(self, page: PageRequest) -> Recall[Page[T]]:
        """Read one stretch of the list."""
        after = None if page.position is None else self.order.after(page.position)
        lookup = Lookup(self.what, self.keys, after, page.size, page.with_total)

        def read(found: Rows[R]) -> Page[T]:
            return Page(
                rows=[self.show(row) for row in found.rows],
                position_after=lambda i: self.order.position(found.rows[i]),
                is_last=found.is_last,
                total=found.total,
                origin=Origin.RECORDED,
            )

        return Recall(self.operation, lookup, read)


def batches(
    operation: str,
    what: str,
    keys: Sequence[str],
    named: Callable[[Sequence[str]], Keys],
    show: Callable[[R], Segment | Customer],
) -> Sequence[ReadBatch]:
    """Read things of the record by their ids; `named` is what a lookup calls them."""

    def read(found: Rows[R]) -> Mapping[str, Segment | Customer]:
        return {each.ref.key: each for each in map(show, found.rows)}

    parts = [keys[i : i + LARGEST_LOOKUP] for i in range(0, len(keys), LARGEST_LOOKUP)]
    return [ReadBatch(part, Recall(operation, Lookup(what, named(part)), read)) for part in parts]
