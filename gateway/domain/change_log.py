"""The change log's values: what sources report, what the log holds, cursors and filters. No I/O.

A source (a write, a webhook, a comparison) reports *observations*. The log decides, by what is
known already, whether an observation is news; then it is appended as a *change*.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from gateway.domain.entities import Assignment, AssignmentRef, Ref, Segment


class ChangeKind(Enum):
    """What happened."""

    ENTERED = "ENTERED"
    LEFT = "LEFT"
    UPDATED = "UPDATED"
    CREATED = "CREATED"
    DELETED = "DELETED"


class ChangeSource(Enum):
    """Which source reported a change first."""

    WRITE = "WRITE"
    WEBHOOK = "WEBHOOK"
    DIFF = "DIFF"


_MARK: Final = b"\xc1"
"""The first byte of every cursor: other texts of the same length are no cursors."""
TAG_BYTES: Final = 8
"""Bytes of an epoch and of an entry's tag."""
_POSITION_BYTES: Final = 7
_CURSOR_BYTES: Final = 1 + TAG_BYTES + _POSITION_BYTES + TAG_BYTES


class Cursor(NamedTuple):
    """A position in one database's log. `text` is the same for every caller."""

    epoch: bytes
    """Random, one for each database."""
    position: int
    """0 is before the first entry."""
    tag: bytes
    """Random, one for each entry: in a restored database the same position has another."""

    @property
    def text(self) -> str:
        """Return the opaque text that clients get."""
        position = self.position.to_bytes(_POSITION_BYTES, "big")
        return urlsafe_b64encode(_MARK + self.epoch + position + self.tag).decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Read a cursor's text; None for a text that is no cursor."""
        try:
            packed = urlsafe_b64decode(text.encode("ascii"))
        except (UnicodeEncodeError, binascii.Error, ValueError):
            return None
        if len(packed) != _CURSOR_BYTES or packed[:1] != _MARK:
            return None
        epoch, rest = packed[1 : 1 + TAG_BYTES], packed[1 + TAG_BYTES :]
        position = int.from_bytes(rest[:_POSITION_BYTES], "big")
        cursor = cls(epoch, position, rest[_POSITION_BYTES:])
        return cursor if cursor.text == text else None


class AssignmentObservation(msgspec.Struct, frozen=True, kw_only=True):
    """A source reports that an assignment was made (ENTERED), ended (LEFT) or UPDATED."""

    ref: AssignmentRef
    kind: ChangeKind
    source: ChangeSource
    occurred_at: datetime | None = None
    """WRITE: when the provider replied. WEBHOOK: the provider's time. DIFF: None."""
    provider_at: datetime | None = None
    """WRITE: `occurred_at` by the provider's clock; its own report is not later."""
    version: int | None = None
    """The assignment's version at the provider, where the source knows it; see `version_of`."""
    is_stock: bool = False
    """Recorded as known, but never appended: the state at the first comparison."""


class SegmentObservation(msgspec.Struct, frozen=True, kw_only=True):
    """A source reports that a segment was CREATED, UPDATED or DELETED."""

    ref: Ref
    kind: ChangeKind
    source: ChangeSource
    occurred_at: datetime | None = None
    provider_at: datetime | None = None
    version: int | None = None
    is_stock: bool = False


class ProviderObservation(msgspec.Struct, frozen=True, kw_only=True):
    """Something at a provider changed that no `Change` describes: its caches are dropped."""

    provider: str
    source: ChangeSource
    occurred_at: datetime | None = None


Observation: TypeAlias = AssignmentObservation | SegmentObservation | ProviderObservation


class AssignmentChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the log: a customer entered or left a segment, or their assignment changed."""

    cursor: Cursor
    ref: AssignmentRef
    kind: ChangeKind
    source: ChangeSource
    occurred_at: datetime | None
    recorded_at: datetime


class SegmentChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the log: a segment was created, updated or deleted."""

    cursor: Cursor
    ref: Ref
    kind: ChangeKind
    source: ChangeSource
    occurred_at: datetime | None
    recorded_at: datetime


class ProviderTouched(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry that only drops caches; readers skip it."""

    cursor: Cursor
    provider: str
    source: ChangeSource
    occurred_at: datetime | None
    recorded_at: datetime


Change: TypeAlias = AssignmentChange | SegmentChange
Entry: TypeAlias = AssignmentChange | SegmentChange | ProviderTouched


def provider_of(entry: Entry | Observation) -> str:
    """Return the key of the provider that an entry or observation is about."""
    if isinstance(entry, ProviderTouched | ProviderObservation):
        return entry.provider
    return entry.ref.provider


class ChangeFilter(NamedTuple):
    """Selects changes. None is no condition; an empty set matches nothing."""

    providers: frozenset[str] | None = None
    segments: frozenset[Ref] | None = None
    customers: frozenset[Ref] | None = None
    """Leaves segment changes out."""
    kinds: frozenset[ChangeKind] | None = None
    since: datetime | None = None
    """Recorded at this moment or later."""
    sort: type[AssignmentChange] | type[SegmentChange] | None = None
    """Only changes of this sort."""

    def matches(self, entry: Entry) -> bool:
        """Tell whether the caller wants this entry; never one that is no `Change`."""
        if isinstance(entry, ProviderTouched):
            return False
        if self.sort is not None and not isinstance(entry, self.sort):
            return False
        ref = entry.ref
        if isinstance(ref, AssignmentRef):
            segment = Ref(ref.provider, ref.segment)
            customer = Ref(ref.provider, ref.customer)
            if self.customers is not None and customer not in self.customers:
                return False
        elif self.customers is not None:
            return False
        else:
            segment = ref
        return (
            (self.providers is None or ref.provider in self.providers)
            and (self.segments is None or segment in self.segments)
            and (self.kinds is None or entry.kind in self.kinds)
            and (self.since is None or entry.recorded_at >= self.since)
        )


EVERY_CHANGE: Final = ChangeFilter()


class Visibility(NamedTuple):
    """Which changes a caller may see: the providers for each type of change."""

    segments: frozenset[str]
    """Providers whose segment changes may be seen."""
    assignments: frozenset[str]
    """Providers whose assignment changes may be seen."""
    own: Mapping[str, str] | None = None
    """With `own:read` alone: by provider, the only customer whose changes may be seen."""

    def shows(self, entry: Entry) -> bool:
        """Return whether the caller may see this entry."""
        if isinstance(entry, AssignmentChange):
            if entry.ref.provider not in self.assignments:
                return False
            return self.own is None or self.own.get(entry.ref.provider) == entry.ref.customer
        return isinstance(entry, SegmentChange) and entry.ref.provider in self.segments

    @property
    def providers(self) -> frozenset[str]:
        """The providers at which any change may be seen."""
        return self.segments | self.assignments


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def version_of(entity: Segment | Assignment) -> int | None:
    """Return a number that orders the states of one object; None if the provider has none.

    It is the provider's version, else its time of the last change in microseconds.
    """
    if entity.version is not None:
        return entity.version
    return None if entity.updated_at is None else microseconds(entity.updated_at)


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND
