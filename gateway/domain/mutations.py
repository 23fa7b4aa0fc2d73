"""What callers want changed, and what came of it: values of the write side, no I/O.

Paths in errors (`field`) name the caller's own input, from the input object down, in its words:
`("segments", "3", "externalId")`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from gateway.domain.entities import Segment, Status

RECEIPT_LIFETIME = timedelta(hours=24)
"""How long the result of an idempotency key is stored."""


class Reason(Enum):
    """Why something was not done: the codes of user errors."""

    UNSUPPORTED = "UNSUPPORTED"
    REQUIRED = "REQUIRED"
    INVALID = "INVALID"
    TAKEN = "TAKEN"
    NOT_FOUND = "NOT_FOUND"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    SEGMENT_IN_USE = "SEGMENT_IN_USE"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    PROVIDER_REFUSED = "PROVIDER_REFUSED"
    PROVIDER_FAILED = "PROVIDER_FAILED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"


class UserError(msgspec.Struct, frozen=True):
    """One thing that the caller can see to; the message is ours, never a provider's."""

    message: str
    reason: Reason
    field: tuple[str, ...] | None = None
    provider: str | None = None
    request_id: str | None = None
    """What to look for in the log, where a provider refused or failed."""

    def below(self, *path: str) -> "UserError":
        """Return the same error with its field below a path."""
        return msgspec.structs.replace(self, field=(*path, *(self.field or ())))


class Validity(NamedTuple):
    """A stretch of time; an end that is None is open."""

    since: datetime | None
    until: datetime | None


class SegmentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A segment as a caller wants it to be: created, upserted, or one row of a bulk.

    `name` is the text in the provider's default language, `names` the whole map of languages;
    a draft has at most one of the two. None: not given.
    """

    key: str | None = None
    name: str | None = None
    names: Mapping[str, str] | None = None
    description: str | None = None
    descriptions: Mapping[str, str] | None = None
    customers: tuple[str, ...] | None = None
    """The provider's own ids of its members."""
    rule: Mapping[str, Any] | None = None
    """In the provider's own language."""
    emits_membership_events: bool | None = None
    priority: int | None = None
    status: Status | None = None
    validity: Validity | None = None
    site_code: str | None = None
    attributes: Mapping[str, Any] | None = None
    version: int | None = None
    """The version the caller has seen; the provider refuses when it is another by now."""


class SegmentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a segment: UNSET stays as it is, None is cleared.

    `names` and `descriptions` replace the whole map; `name` and `description` set the provider's
    default language and keep the others.
    """

    name: str | UnsetType | None = UNSET
    names: Mapping[str, str] | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    descriptions: Mapping[str, str] | UnsetType | None = UNSET
    status: Status | UnsetType | None = UNSET
    validity: Validity | UnsetType | None = UNSET
    site_code: str | UnsetType | None = UNSET
    attributes: Mapping[str, Any] | UnsetType | None = UNSET
    version: int | None = None


class Written(NamedTuple):
    """What a provider answered to a write of a segment."""

    key: str
    is_new: bool
    segment: Segment | None = None
    """The segment, where the answer tells it whole."""


class Outcome(Enum):
    """What became of one row of a bulk."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class RowResult(msgspec.Struct, frozen=True):
    """One row of a provider's answer to a bulk, in the order of the request."""

    outcome: Outcome
    key: str | None = None
    """The id, where the provider tells it."""
    error: UserError | None = None


class Assignee(NamedTuple):
    """Who is assigned: a customer, in B2B through one legal entity."""

    customer: str
    legal_entity: str | None = None


class Tag(NamedTuple):
    """A segment of a provider that knows only pairs: `type` and `value`."""

    type: str
    value: str

    @property
    def key(self) -> str:
        """The segment's id: both parts percent-encoded, with a colon between."""
        return f"{quote(self.type, safe='')}:{quote(self.value, safe='')}"


class Replacement(NamedTuple):
    """All the tags that a customer is to have; none clears."""

    customer: str
    tags: Sequence[Tag]
