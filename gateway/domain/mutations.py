"""Requested changes and their results: values of the write side, no I/O.

The path of an error (`field`) starts in the input object of the mutation and uses its names:
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
    """Why something was not written: the codes of user errors."""

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
    """A mistake that the caller can correct; the message is ours, never a provider's."""

    message: str
    reason: Reason
    field: tuple[str, ...] | None = None
    provider: str | None = None
    request_id: str | None = None
    """The id to search for in the log, if a provider refused or failed."""

    def below(self, *path: str) -> "UserError":
        """Return the error with this path in front of its field."""
        return msgspec.structs.replace(self, field=(*path, *(self.field or ())))


class Validity(NamedTuple):
    """A period of time; a bound that is None is open."""

    since: datetime | None
    until: datetime | None


class SegmentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A segment to create or upsert, alone or as a row of a bulk mutation.

    `name` is in the provider's default language, `names` has all languages; a draft has at most
    one of the two. None: not given.
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
    """The version that the caller expects; the provider refuses the write for any other."""


class SegmentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to a segment: UNSET leaves a field unchanged, None clears it.

    `names` and `descriptions` replace all languages; `name` and `description` set the provider's
    default language only.
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
    """The provider's reply to a write of a segment."""

    key: str
    is_new: bool
    segment: Segment | None = None
    """The segment, if the reply has all of it."""


class Outcome(Enum):
    """The outcome of one row of a bulk mutation."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class RowResult(msgspec.Struct, frozen=True):
    """One row of a provider's reply to a bulk write, in the order of the request."""

    outcome: Outcome
    key: str | None = None
    """The id, if the provider reports it."""
    error: UserError | None = None


class Assignee(NamedTuple):
    """The customer to assign, in B2B through one legal entity."""

    customer: str
    legal_entity: str | None = None


class Tag(NamedTuple):
    """A segment of a provider whose segments are pairs of `type` and `value`."""

    type: str
    value: str

    @property
    def key(self) -> str:
        """The segment's id: both parts percent-encoded, with a colon between."""
        return f"{quote(self.type, safe='')}:{quote(self.value, safe='')}"


class Replacement(NamedTuple):
    """The new tags of a customer; an empty sequence removes all."""

    customer: str
    tags: Sequence[Tag]
