"""Segments, customers and assignments: frozen values, no I/O.

Times are aware and in UTC. Unknown values are None or UNKNOWN, never guessed: where an enum has no
member for a provider's value, `_missing_` makes it UNKNOWN.

A list has thousands of them: structs cost a sixth of named tuples, and the garbage collector does
not have to track them, since none refers back to itself (`gc=False`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, NamedTuple, SupportsBytes, final

import msgspec

from gateway.domain.texts import NO_TEXTS, Texts


@final
class Ref(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An object at a provider: the provider's key and the provider's own id of the object."""

    provider: str
    key: str


class AssignmentRef(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The link of one customer to one segment, in B2B through one legal entity."""

    provider: str
    segment: str
    customer: str
    legal_entity: str | None = None


class Membership(StrEnum):
    """How a segment gets its members. Members are ordered, so that a set has one serialization."""

    MANUAL = "MANUAL"
    RULE = "RULE"
    TAG = "TAG"
    UNKNOWN = "UNKNOWN"


class Status(Enum):
    """Whether a segment is enabled. At a provider without such a status, all are ACTIVE."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, _: object) -> "Status":
        return cls.UNKNOWN


class Origin(Enum):
    """Where data comes from: the provider, a cached reply, or the gateway's own store."""

    LIVE = "LIVE"
    CACHED = "CACHED"
    STALE = "STALE"
    RECORDED = "RECORDED"


class AssignmentKind(Enum):
    """How an assignment came about: explicitly, or by a rule."""

    MANUAL = "MANUAL"
    AUTOMATIC = "AUTOMATIC"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, _: object) -> "AssignmentKind":
        return cls.UNKNOWN


class AssignmentState(Enum):
    """Whether the provider confirmed an assignment; UNCONFIRMED: sent, outcome unknown."""

    CONFIRMED = "CONFIRMED"
    PENDING = "PENDING"
    UNCONFIRMED = "UNCONFIRMED"


class ItemKind(Enum):
    """The type of an item of a segment."""

    PRODUCT = "PRODUCT"
    CATEGORY = "CATEGORY"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, _: object) -> "ItemKind":
        return cls.UNKNOWN


class Condition(msgspec.Struct, frozen=True, gc=False):
    """One condition of a rule; `path` is a JSON Pointer (RFC 6901) into the rule's document."""

    path: str
    field: str
    operator: str
    values: tuple[Any, ...]


class Rule(msgspec.Struct, frozen=True, gc=False):
    """A membership rule: the provider's own document, and how to flatten it into conditions."""

    native: Mapping[str, Any]
    flatten: Callable[[Mapping[str, Any]], Sequence[Condition]]

    @property
    def is_readable(self) -> bool:
        """False if the document, which is decoded when it is needed, is not as documented."""
        return True


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
    """When it was fetched from the provider; None: during this request."""
    is_partial: bool = False
    """Only `ref` and `names` are known; read the segment itself for the rest."""

    def is_active(self, now: datetime) -> bool:
        """Return whether the segment is enabled and valid at this time, bounds included."""
        return (
            self.status is Status.ACTIVE
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_to is None or now <= self.valid_to)
        )


class CustomerKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A key by which a provider knows a customer; `kind` is the provider's name for the key."""

    kind: str
    value: str


class Customer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person or company at one provider. `ref` has the canonical key out of `keys`."""

    ref: Ref
    keys: tuple[CustomerKey, ...]
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    attributes: Mapping[str, Any] | None = None
    raw: SupportsBytes | None = None
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When it was fetched from the provider; None: during this request."""
    acts_alone: bool = False
    """Known to have no legal entities: at most one assignment per segment."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The link between one customer and one segment."""

    ref: AssignmentRef
    legal_entity_name: str | None = None
    kind: AssignmentKind = AssignmentKind.UNKNOWN
    state: AssignmentState = AssignmentState.CONFIRMED
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When it was fetched from the provider; None: during this request."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    segment: Segment | None = None
    """The segment, if the same reply has it."""
    customer: Customer | None = None
    """The complete customer, if the same reply has it."""
    is_partial: bool = False
    """Only the existence of the link is known, not how or when it came about."""


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
        """What identifies it among the items of the segment."""
        return self.kind, self.key


class Limit(NamedTuple):
    """A limit that a provider documents; `maximum` is in the unit of the name."""

    name: str
    maximum: int
