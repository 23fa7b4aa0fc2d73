"""Convert what the store has of Instaleap to domain values.

A segment at Instaleap is a tag, a pair (type, value) that customers have. Its id consists of the
two percent-encoded parts with a colon between them.
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

MAX_KEYS_PER_LOOKUP = 500
"""The largest number of keys in one lookup; our choice, so that none takes long."""


def tag_of(key: str) -> Tag | None:
    """Return the tag with this id; None if the id is not in its canonical form."""
    type_, _, value = key.partition(":")
    tag = Tag(unquote(type_), unquote(value))
    return tag if tag.key == key else None


def tags(keys: Sequence[str]) -> Keys:
    """Return the tags with these ids, as the keys of a lookup."""
    return tuple(tag for tag in map(tag_of, keys) if tag is not None)


def segment_of(provider: str, row: TagRow) -> Segment:
    """Convert a tag to a segment, whose name is the tag's value."""
    return Segment(
        ref=Ref(provider, Tag(row.type, row.value).key),
        names=plain(row.value),
        membership=Membership.TAG,
        created_at=row.created_at,
        updated_at=row.updated_at,
        origin=Origin.RECORDED,
    )


def customer_of(provider: str, document_id: str) -> Customer:
    """Return a customer, of whom only the document id is known."""
    return Customer(
        ref=Ref(provider, document_id),
        keys=(CustomerKey("document_id", document_id),),
        origin=Origin.RECORDED,
    )


def assignment_of(provider: str, row: TaggingRow) -> Assignment:
    """Convert a customer's tag to an assignment, with the name of its segment.

    The times are those of the assignment.
    """
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
    """The order of a list in the store, as positions in the list."""

    position: Callable[[Any], str]
    """Return the position after a row."""
    after: Callable[[str], tuple[str | int, ...]]
    """Convert a position for `Lookup.after`."""


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


class StoredList(NamedTuple, Generic[R, T]):
    """A list in the store; `show` converts a row."""

    operation: str
    what: str
    order: Order
    show: Callable[[R], T]
    keys: Keys = ()

    def page(self, page: PageRequest) -> Recall[Page[T]]:
        """Read one page of the list."""
        after = None if page.position is None else self.order.after(page.position)
        lookup = Lookup(self.what, self.keys, after, page.size, page.with_total)

        def read(stored: Rows[R]) -> Page[T]:
            return Page(
                rows=[self.show(row) for row in stored.rows],
                position_after=lambda i: self.order.position(stored.rows[i]),
                is_last=stored.is_last,
                total=stored.total,
                origin=Origin.RECORDED,
            )

        return Recall(self.operation, lookup, read)


def batches(
    operation: str,
    what: str,
    keys: Sequence[str],
    keys_of: Callable[[Sequence[str]], Keys],
    show: Callable[[R], Segment | Customer],
) -> Sequence[ReadBatch]:
    """Read objects from the store by their ids; `keys_of` returns the keys of the lookup."""

    def read(stored: Rows[R]) -> Mapping[str, Segment | Customer]:
        return {each.ref.key: each for each in map(show, stored.rows)}

    parts = [keys[i : i + MAX_KEYS_PER_LOOKUP] for i in range(0, len(keys), MAX_KEYS_PER_LOOKUP)]
    return [
        ReadBatch(part, Recall(operation, Lookup(what, keys_of(part)), read)) for part in parts
    ]
