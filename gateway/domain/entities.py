"""What the gateway speaks of: segments, customers, assignments. Frozen values, no I/O.

Times are aware and in UTC. Empty is empty, unknown is None or UNKNOWN; nothing is guessed.

A list makes thousands of these: structs cost a sixth of named tuples, and the garbage collector
need not look at them, for none leads back to itself (`gc=False`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, NamedTuple, SupportsBytes, final

import msgspec

from gateway.domain.texts import NO_TEXTS, Texts


@final
class Ref(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One thing at one provider: the provider's key and the provider's own id of the thing."""

    provider: str
    key: str


class AssignmentRef(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The link of one customer to one segment, in B2B through one legal entity."""

    provider: str
    segment: str
    customer: str
    legal_entity: str | None = None


class Membership(StrEnum):
    """How a segment gets its members. It has an order, so that a set of it has one spelling."""

    MANUAL = "MANUAL"
    RULE = "RULE"
    TAG = "TAG"
    UNKNOWN = "UNKNOWN"


class Status(Enum):
    """Whether a segment is switched on. A provider without a switch has only ACTIVE segments."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    UNKNOWN = "UNKNOWN"


class Origin(Enum):
    """Where a fact comes from: the provider now, a copy of it, or the gateway's own record."""

    LIVE = "LIVE"
    CACHED = "CACHED"
    STALE = "STALE"
    RECORDED = "RECORDED"


class AssignmentKind(Enum):
    """Who made an assignment: a person, or a rule."""

    MANUAL = "MANUAL"
    AUTOMATIC = "AUTOMATIC"
    UNKNOWN = "UNKNOWN"


class AssignmentState(Enum):
    """How sure it is: UNCONFIRMED was sent, and its outcome is unknown."""

    CONFIRMED = "CONFIRMED"
    PENDING = "PENDING"
    UNCONFIRMED = "UNCONFIRMED"


class ItemKind(Enum):
    """What an item of a segment is."""

    PRODUCT = "PRODUCT"
    CATEGORY = "CATEGORY"
    UNKNOWN = "UNKNOWN"


class Condition(msgspec.Struct, frozen=True, gc=False):
    """One test of a rule: `path` is a JSON Pointer (RFC 6901) into the provider's own document."""

    path: str
    field: str
    operator: str
    values: tuple[Any, ...]


class Rule(msgspec.Struct, frozen=True, gc=False):
    """What decides who belongs: the provider's own document, and how to read it as conditions."""

    native: Mapping[str, Any]
    flatten: Callable[[Mapping[str, Any]], Sequence[Condition]]


class Segment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A group of customers at one provider."""

    ref: Ref
    names: Texts
    descriptions: Texts = NO_TEXTS
    membership: Membership
    emits_membership_events: bool = False
    status: Status = Status.ACTIVE
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    site_code: str | None = None
    priority: int | None = None
    rule: Rule | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    attributes: Mapping[str, Any] | None = None
    raw: SupportsBytes | None = None
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    is_partial: bool = False
    """Only `ref` and `names` were told; whoever needs more reads the segment itself."""

    def is_active(self, now: datetime) -> bool:
        """Tell whether the segment is switched on and valid at this moment, both ends included."""
        return (
            self.status is Status.ACTIVE
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_to is None or now <= self.valid_to)
        )


class CustomerKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One name that a provider knows a customer by: `kind` is the provider's word for it."""

    kind: str
    value: str


class Customer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person or company at one provider. `ref` has the canonical one of the `keys`."""

    ref: Ref
    keys: tuple[CustomerKey, ...]
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    attributes: Mapping[str, Any] | None = None
    raw: SupportsBytes | None = None
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    acts_alone: bool = False
    """Known to act for no legal entity: at most one assignment to each segment."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The link between one customer and one segment, as far as the provider told it."""

    ref: AssignmentRef
    legal_entity_name: str | None = None
    kind: AssignmentKind = AssignmentKind.UNKNOWN
    state: AssignmentState = AssignmentState.CONFIRMED
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    segment: Segment | None = None
    """The segment, when the same answer told it."""
    customer: Customer | None = None
    """The whole customer, when the same answer told it."""
    is_partial: bool = False
    """Only that the link exists was told, not how or when it came about."""


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A product or category that belongs to a segment."""

    key: str
    kind: ItemKind
    code: str | None = None
    names: Texts = NO_TEXTS
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def ref(self) -> tuple[ItemKind, str]:
        """What tells it from the segment's other items."""
        return self.kind, self.key


class Limit(NamedTuple):
    """A documented bound of a provider; `maximum` in things of the name."""

    name: str
    maximum: int
