"""What a provider may offer, as small protocols.

An adapter is pure: each operation returns an `Exchange`, the call to make and how to read its
reply; or a `Recall`, where the provider cannot be read and the gateway keeps a record of what it
told it. It has methods only for what its provider can do; `OPERATIONS` derives the capabilities.
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
    Segment,
    Status,
)
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerQuery, SegmentQuery
from gateway.providers.base.exchange import Exchange, ReadPlan, Reply, Token
from gateway.providers.base.settings import AccountSettings


class Adapter(Protocol):
    """What every adapter has; the rest is in the protocols below."""

    kind: ClassVar[str]
    label: ClassVar[str]
    """How people call the provider; the default of `display_name`."""
    Settings: ClassVar[type[AccountSettings]]
    notes: ClassVar[Mapping[str, str]]
    """What a caller should know of an operation, by its name in `OPERATIONS`."""
    limits: ClassVar[Sequence[Limit]]
    memberships: ClassVar[frozenset[Membership]]
    """The kinds of membership its segments can have: what it cannot have is never asked for."""
    statuses: ClassVar[frozenset[Status]]
    """The statuses its segments can have; likewise."""
    has_sites: ClassVar[bool]
    """Whether its segments belong to sites; likewise."""

    def __init__(self, settings: Any) -> None:
        """Take the account's settings, of the type `Settings`."""

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """Headers that carry the account's credentials with every call but the sign-in."""


class RateLimitStatus(NamedTuple):
    """How many calls a provider allows in a stretch of time, and how many are left of it."""

    limit: int
    remaining: int
    resets_at: float
    """Unix seconds of the next call that is allowed."""


@runtime_checkable
class ReportsRateLimit(Protocol):
    """Says in its answers how many more calls it allows."""

    def rate_limit(self, reply: Reply) -> RateLimitStatus | None:
        """Read it from any answer; None when this one does not say."""


@runtime_checkable
class SignsIn(Protocol):
    """Trades its credentials for a token that goes with every call."""

    def sign_in(self) -> Exchange[Token]:
        """Ask for a new token."""


class ReadBatch(NamedTuple):
    """One call that reads several things by key; those missing in the answer do not exist."""

    keys: Sequence[str]
    exchange: ReadPlan[Mapping[str, Any]]


@runtime_checkable
class ListsSegments(Protocol):
    """Has a list of its segments."""

    def segments(self, query: SegmentQuery, page: PageRequest) -> ReadPlan[Page[Segment]]:
        """Read one stretch of the list.

        The provider is asked for as much of the query as it can judge; rows may still be others,
        so the caller applies `SegmentQuery.holds`. A total is told only if it is the query's.
        """


@runtime_checkable
class ReadsSegments(Protocol):
    """Reads segments by their ids."""

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read these segments in as few calls as the provider allows; each key in one batch."""


@runtime_checkable
class RestoresSegments(Protocol):
    """Reads a segment from the provider's own document of it, as `Segment.raw` keeps it."""

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment. Raises `Malformed`."""


@runtime_checkable
class ListsCustomers(Protocol):
    """Has a list of its customers."""

    def customers(self, query: CustomerQuery, page: PageRequest) -> ReadPlan[Page[Customer]]:
        """Read one stretch of the list."""


@runtime_checkable
class FindsCustomersByEmail(Protocol):
    """Its `customers` judges `CustomerQuery.email`."""

    finds_by_email: ClassVar[bool]


@runtime_checkable
class ReadsCustomers(Protocol):
    """Reads customers by any of their keys."""

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read these customers in as few calls as the provider allows; each key in one batch."""


@runtime_checkable
class ListsMembers(Protocol):
    """Tells who is in a segment."""

    def members(self, segment: str, page: PageRequest) -> ReadPlan[Page[Assignment]]:
        """Read one stretch of the assignments of a segment."""

    def member_count(self, segment: str) -> ReadPlan[int]:
        """Count the assignments of a segment."""


@runtime_checkable
class ListsSegmentsOfCustomer(Protocol):
    """Tells which segments a customer is in."""

    confirms_customer: ClassVar[bool]
    """False when an unknown customer gets an answer that looks like a known one's."""

    def segments_of(self, customer: str, page: PageRequest) -> ReadPlan[Page[Assignment]]:
        """Read one stretch of a customer's assignments, each with its segment, maybe partial."""


@runtime_checkable
class ListsAssignmentsOfCustomers(Protocol):
    """Keeps several assignments of one customer in one segment: through legal entities (B2B)."""

    def assignments_within(
        self, segment: str, customers: Sequence[str], page: PageRequest
    ) -> ReadPlan[Page[Assignment]]:
        """Read one stretch of the assignments of these customers to a segment."""


@runtime_checkable
class ReadsAssignments(Protocol):
    """Reads one assignment by its two ends."""

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> ReadPlan[Assignment | None]:
        """Read one assignment; None when there is none."""


@runtime_checkable
class ListsItems(Protocol):
    """Keeps items (products, categories) in segments."""

    def items(
        self, segment: str, kind: ItemKind | None, page: PageRequest
    ) -> Exchange[Page[Item]]:
        """Read one stretch of the items of a segment."""


@runtime_checkable
class MatchesItems(Protocol):
    """Tells which items belong to any of some segments."""

    def match_items(
        self, site: str, items: Sequence[str], segments: Sequence[str]
    ) -> Exchange[Sequence[str]]:
        """Return the ids of those items that belong to at least one active segment of these."""


@runtime_checkable
class CountsLimits(Protocol):
    """Knows how much of a limit is used."""

    def used(self, limit: str) -> Exchange[int] | None:
        """Count what stands against a limit of `limits`; None when that cannot be asked."""
