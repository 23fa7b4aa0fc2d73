"""The protocols of an adapter that read: one for each thing that a provider may support.

An adapter does no I/O. Each method returns an `Exchange`, which is a call and the function that
reads its reply. If the provider cannot be read, it returns a `Recall`, a lookup in the gateway's
store. An adapter has methods only for what its provider supports: the capabilities are derived
from them (`capabilities.OPERATIONS`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from gateway.domain.entities import (
    Assignment,
    Customer,
    Item,
    ItemKind,
    Limit,
    Membership,
    Ref,
    Segment,
    Status,
)
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerQuery, SegmentQuery
from gateway.providers.base.exchange import Exchange, ReadPlan, Reply, Token
from gateway.providers.base.settings import AccountSettings


class Adapter(Protocol):
    """The attributes that every adapter has."""

    kind: ClassVar[str]
    label: ClassVar[str]
    """The provider's name for people; the default of `display_name`."""
    Settings: ClassVar[type[AccountSettings]]
    notes: ClassVar[Mapping[str, str]]
    """Remarks for callers, by the name of the operation in `OPERATIONS`."""
    limits: ClassVar[Sequence[Limit]]
    memberships: ClassVar[frozenset[Membership]]
    """The kinds of membership that its segments can have. A list of others makes no call."""
    statuses: ClassVar[frozenset[Status]]
    """The statuses that its segments can have. A list of others makes no call."""
    has_sites: ClassVar[bool]
    """Whether its segments belong to sites. If not, a list of one site makes no call."""

    def __init__(self, settings: Any) -> None:
        """Store the account's settings, which are of the type `Settings`."""

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """Headers with the account's credentials, for every call except the sign-in."""


class RateLimitStatus(NamedTuple):
    """A provider's rate limit, and the calls that remain of it."""

    limit: int
    """Calls per minute."""
    remaining: int
    resets_at: float
    """When the next call is allowed, in Unix seconds."""


@runtime_checkable
class ReportsRateLimit(Protocol):
    """Reports in its replies how many more calls it allows."""

    def rate_limit(self, reply: Reply) -> RateLimitStatus | None:
        """Read the rate limit from a reply of any operation; None if the reply has none."""


@runtime_checkable
class SignsIn(Protocol):
    """Exchanges its credentials for a token, which every call carries."""

    def sign_in(self) -> Exchange[Token]:
        """Request a new token."""


class ReadBatch(NamedTuple):
    """A call that reads objects by their keys; those that are not in its result do not exist."""

    keys: Sequence[str]
    exchange: ReadPlan[Mapping[str, Any]]


@runtime_checkable
class ListsSegments(Protocol):
    """Lists its segments."""

    def segments(self, query: SegmentQuery, page: PageRequest) -> ReadPlan[Page[Segment]]:
        """Read one page of the list.

        The provider filters by as much of the query as it supports. The page may contain other
        rows, which the gateway removes with `SegmentQuery.holds`. `Page.total` is None unless it
        counts exactly the rows of the query.
        """


@runtime_checkable
class ReadsSegments(Protocol):
    """Reads segments by their ids."""

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read these segments in as few calls as possible. Each key is in exactly one batch."""


@runtime_checkable
class RestoresSegments(Protocol):
    """Reads a segment from a document that `Segment.raw` had, for example in a stored receipt."""

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment of this document. Raises `Malformed`."""


@runtime_checkable
class FindsSegmentsByItem(Protocol):
    """Lists the segments to which an item is assigned."""

    def segments_with_item(
        self, kind: ItemKind, key: str, page: PageRequest
    ) -> Exchange[Page[Ref]]:
        """Read one page of the segments to which this item is assigned, in any order."""


@runtime_checkable
class ListsCustomers(Protocol):
    """Lists its customers."""

    def customers(self, query: CustomerQuery, page: PageRequest) -> ReadPlan[Page[Customer]]:
        """Read one page of the list."""


@runtime_checkable
class FindsCustomersByEmail(Protocol):
    """Its `customers` filters by `CustomerQuery.email`."""

    finds_by_email: ClassVar[bool]


@runtime_checkable
class FindsCustomersByName(Protocol):
    """Its `customers` filters by `CustomerQuery.name_contains`."""

    finds_by_name: ClassVar[bool]


@runtime_checkable
class FindsCustomersByPhone(Protocol):
    """Its `customers` filters by `CustomerQuery.phone`."""

    finds_by_phone: ClassVar[bool]


@runtime_checkable
class ReadsCustomers(Protocol):
    """Reads customers by any of their keys."""

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read these customers in as few calls as possible. Each key is in exactly one batch."""


@runtime_checkable
class NamesCustomerKeys(Protocol):
    """Knows customers by several keys, which identity rules may compare."""

    customer_keys: ClassVar[Sequence[str]]
    """The kinds of their `CustomerKey`s; `customers_by_key` accepts each of them."""


@runtime_checkable
class ReadsMembers(Protocol):
    """Lists the customers of a segment; it need not be able to count them."""

    def members(self, segment: str, page: PageRequest) -> ReadPlan[Page[Assignment]]:
        """Read one page of the assignments of a segment."""


@runtime_checkable
class ListsMembers(Protocol):
    """Lists the customers of a segment, and counts them in one call."""

    def members(self, segment: str, page: PageRequest) -> ReadPlan[Page[Assignment]]:
        """Read one page of the assignments of a segment."""

    def member_count(self, segment: str) -> ReadPlan[int]:
        """Count the assignments of a segment."""


@runtime_checkable
class ListsSegmentsOfCustomer(Protocol):
    """Lists the segments of a customer."""

    confirms_customer: ClassVar[bool]
    """False if the reply for an unknown customer looks like one for a known customer."""

    def segments_of(self, customer: str, page: PageRequest) -> ReadPlan[Page[Assignment]]:
        """Read one page of a customer's assignments, each with its segment (may be partial)."""


@runtime_checkable
class ListsAssignmentsOfCustomers(Protocol):
    """Can have several assignments of a customer in a segment, through legal entities (B2B)."""

    def assignments_within(
        self, segment: str, customers: Sequence[str], page: PageRequest
    ) -> ReadPlan[Page[Assignment]]:
        """Read one page of the assignments of these customers to a segment."""


@runtime_checkable
class ReadsAssignments(Protocol):
    """Reads one assignment by its segment and customer."""

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> ReadPlan[Assignment | None]:
        """Read one assignment; None if it does not exist."""


@runtime_checkable
class ListsItems(Protocol):
    """Lists the items (products, categories) of a segment."""

    def items(
        self, segment: str, kind: ItemKind | None, page: PageRequest
    ) -> Exchange[Page[Item]]:
        """Read one page of the items of a segment, of one kind or of all."""


@runtime_checkable
class FindsItemsOfSegment(Protocol):
    """Finds out which items a segment has already, so that they are not assigned again."""

    def items_within(
        self, segment: str, kind: ItemKind, keys: Sequence[str], page: PageRequest
    ) -> Exchange[Page[Item]]:
        """Read one page of those of these items that are in a segment."""


@runtime_checkable
class MatchesItems(Protocol):
    """Finds out which items belong to segments."""

    def match_items(
        self, site: str, items: Sequence[str], segments: Sequence[str]
    ) -> Exchange[Sequence[str]]:
        """Return the ids of the items that belong to at least one of these segments, if active."""


@runtime_checkable
class CountsLimits(Protocol):
    """Counts how much of a limit is used."""

    def used(self, limit: str) -> Exchange[int] | None:
        """Count what a limit of `limits` restricts; None if it cannot be counted."""
