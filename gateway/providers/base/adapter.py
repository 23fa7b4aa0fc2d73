"""What a provider may offer, as small protocols.

An adapter is pure: each operation returns an `Exchange`, the call to make and how to read its
reply; or a `Recall`, where the provider cannot be read and the gateway keeps a record of what it
told it. It has methods only for what its provider can do; `OPERATIONS` derives the capabilities.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
)

from gateway.domain.entities import (
    Assignment,
    Customer,
    CustomerQuery,
    Item,
    ItemKind,
    Limit,
    Membership,
    Page,
    PageRequest,
    Segment,
    SegmentQuery,
    Status,
)
from gateway.providers.base.exchange import Asked, Exchange, Reply, Token
from gateway.providers.base.write_protocols import (
    AssignsCustomers,
    AssignsItems,
    CreatesSegments,
    DeletesSegments,
    ReordersSegments,
    ReplacesTags,
    UpdatesSegments,
    UpsertsSegments,
    WritesSegmentsInBulk,
)

SANDBOX = "sandbox:"
"""The base URL that plugs the embedded sandbox in."""


class AccountSettings(BaseModel):
    """What every `[[providers]]` table of the configuration file may say.

    An adapter adds its own in a subclass, secrets as `SecretStr`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    kind: str
    base_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s?#@]+|sandbox:)$")]
    display_name: str | None = None
    enabled: bool = True
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 5
    max_concurrency: Annotated[int, Field(ge=1, le=1000)] = 20
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    cache_ttl_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """None: the server's."""
    stale_if_error_s: Annotated[float, Field(ge=0, le=86_400)] = 60
    """How long beyond that an answer may stand in for one that fails; nothing without a cache."""
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 500
    """Calls that wait for a place among `max_concurrency`."""
    max_calls_per_operation: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_answer_bytes: Annotated[int, Field(ge=1, le=1024**3)] = 16 * 1024 * 1024
    """Of one answer, decompressed; a list page of any provider is far below it."""
    proxy: Annotated[str, StringConstraints(pattern=r"^http://[^\s]+$")] | None = None
    """An HTTP proxy on the way to the provider."""
    probe_interval_s: Annotated[float, Field(gt=0, le=600)] = 5
    """How often a provider that failed too often is tried by one call."""

    @field_validator("base_url")
    @classmethod
    def _names_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        # `port` itself raises ValueError for what is no port.
        if url != SANDBOX and (not parts.hostname or parts.port == 0):
            raise ValueError("names no host")
        return url

    @field_validator("*")
    @classmethod
    def _fits_into_a_header(cls, value: Any) -> Any:
        """Refuse what cannot be sent: often a line break at the end of a secret's file."""
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
                raise ValueError(
                    "has a line break, a space at an end, or a character beyond ASCII in it"
                )
        return value


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


class RateLimit(NamedTuple):
    """How many calls a provider allows in a stretch of time, and how many are left of it."""

    limit: int
    remaining: int
    resets_at: float
    """Unix seconds of the next call that is allowed."""


@runtime_checkable
class TellsRateLimit(Protocol):
    """Says in its answers how many more calls it allows."""

    def rate_limit(self, reply: Reply) -> RateLimit | None:
        """Read it from any answer; None when this one does not say."""


@runtime_checkable
class SignsIn(Protocol):
    """Trades its credentials for a token that goes with every call."""

    def sign_in(self) -> Exchange[Token]:
        """Ask for a new token."""


class Batch(NamedTuple):
    """One call that reads several things by key; those missing in the answer do not exist."""

    keys: Sequence[str]
    exchange: Asked[Mapping[str, Any]]


@runtime_checkable
class ListsSegments(Protocol):
    """Has a list of its segments."""

    def segments(self, query: SegmentQuery, page: PageRequest) -> Asked[Page[Segment]]:
        """Read one stretch of the list.

        The provider is asked for as much of the query as it can judge; rows may still be others,
        so the caller applies `SegmentQuery.holds`. A total is told only if it is the query's.
        """


@runtime_checkable
class ReadsSegments(Protocol):
    """Reads segments by their ids."""

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[Batch]:
        """Read these segments in as few calls as the provider allows; each key in one batch."""


@runtime_checkable
class RestoresSegments(Protocol):
    """Reads a segment from the provider's own document of it, as `Segment.raw` keeps it."""

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment. Raises `Malformed`."""


@runtime_checkable
class ListsCustomers(Protocol):
    """Has a list of its customers."""

    def customers(self, query: CustomerQuery, page: PageRequest) -> Asked[Page[Customer]]:
        """Read one stretch of the list."""


@runtime_checkable
class FindsCustomersByEmail(Protocol):
    """Its `customers` judges `CustomerQuery.email`."""

    finds_by_email: ClassVar[bool]


@runtime_checkable
class ReadsCustomers(Protocol):
    """Reads customers by any of their keys."""

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[Batch]:
        """Read these customers in as few calls as the provider allows; each key in one batch."""


@runtime_checkable
class ListsMembers(Protocol):
    """Tells who is in a segment."""

    def members(self, segment: str, page: PageRequest) -> Asked[Page[Assignment]]:
        """Read one stretch of the assignments of a segment."""

    def member_count(self, segment: str) -> Asked[int]:
        """Count the assignments of a segment."""


@runtime_checkable
class ListsSegmentsOfCustomer(Protocol):
    """Tells which segments a customer is in."""

    confirms_customer: ClassVar[bool]
    """False when an unknown customer gets an answer that looks like a known one's."""

    def segments_of(self, customer: str, page: PageRequest) -> Asked[Page[Assignment]]:
        """Read one stretch of a customer's assignments, each with its segment, maybe partial."""


@runtime_checkable
class ReadsAssignments(Protocol):
    """Reads one assignment by its two ends."""

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> Asked[Assignment | None]:
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


OPERATIONS: Mapping[str, tuple[type, ...]] = {
    "SEGMENT_LIST": (ListsSegments,),
    "SEGMENT_GET": (ReadsSegments, ListsSegments),
    "SEGMENT_MEMBERS": (ListsMembers,),
    "SEGMENT_ITEMS": (ListsItems,),
    "CUSTOMER_LIST": (ListsCustomers,),
    "CUSTOMER_SEARCH_EMAIL": (FindsCustomersByEmail,),
    "CUSTOMER_GET": (ReadsCustomers, ListsCustomers),
    "CUSTOMER_SEGMENTS": (ListsSegmentsOfCustomer,),
    "ITEM_MATCH": (MatchesItems,),
    "SEGMENT_CREATE": (CreatesSegments,),
    "SEGMENT_UPDATE": (UpdatesSegments,),
    "SEGMENT_UPSERT": (UpsertsSegments,),
    "SEGMENT_DELETE": (DeletesSegments,),
    "SEGMENT_BULK": (WritesSegmentsInBulk,),
    "SEGMENT_REORDER": (ReordersSegments,),
    "ASSIGNMENT_CREATE": (AssignsCustomers,),
    "ASSIGNMENT_DELETE": (AssignsCustomers,),
    # Where customers are only assigned one by one, the gateway computes the difference.
    "ASSIGNMENT_REPLACE": (ReplacesTags, AssignsCustomers),
    "ITEM_ASSIGN": (AssignsItems,),
}
"""Each operation with the protocols that make it possible, any of them."""


class Capability(NamedTuple):
    """Whether a provider can do an operation, and what a caller should know of it."""

    operation: str
    supported: bool
    note: str | None


def capabilities(adapter: Adapter) -> Sequence[Capability]:
    """Return one row for each of `OPERATIONS`, in that order."""
    return [
        Capability(name, isinstance(adapter, protocols), adapter.notes.get(name))
        for name, protocols in OPERATIONS.items()
    ]
