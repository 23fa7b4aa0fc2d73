"""What came of a write, as plain values: shown now, and kept to be shown again.

A receipt holds a segment as the provider's own document, so that a repeated request (same
idempotency key) is answered without asking the provider again.
"""

from datetime import datetime

import msgspec

from gateway.domain.entities import AssignmentKind, AssignmentRef, AssignmentState, Ref
from gateway.domain.mutations import Outcome, UserError

DONE, UNKNOWN = b"1", b"0"
"""What is kept under a key: the receipt behind the one, or that nobody knows the outcome."""


class SegmentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One segment after a write; without `ref` nothing was written."""

    ref: Ref | None = None
    document: bytes | None = None
    """The segment as the provider has it now; None where it could not be read again …"""
    sent: bytes | None = None
    """… then what was sent, as `DescribesWrites` has it."""
    is_new: bool | None = None
    errors: tuple[UserError, ...] = ()


class DeletionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The segment that is gone now, if it is."""

    ref: Ref | None = None
    errors: tuple[UserError, ...] = ()


class SegmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bulk of segments, at its place in the caller's input."""

    index: int
    outcome: Outcome
    ref: Ref | None = None
    document: bytes | None = None
    sent: bytes | None = None
    errors: tuple[UserError, ...] = ()


class SegmentsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk of segments: one row for each of the input, in its order."""

    rows: tuple[SegmentRow, ...] = ()
    errors: tuple[UserError, ...] = ()


class OrderReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Segments as they are ranked now; None when nothing was changed."""

    provider: str = ""
    documents: tuple[bytes, ...] | None = None
    errors: tuple[UserError, ...] = ()


class AssignmentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An assignment as the provider has it now."""

    ref: AssignmentRef
    legal_entity_name: str | None = None
    kind: AssignmentKind = AssignmentKind.UNKNOWN
    state: AssignmentState = AssignmentState.CONFIRMED
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    is_partial: bool = False


class AssignmentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One assignment after a write, or the one that is gone now."""

    assignment: AssignmentFacts | None = None
    deleted: AssignmentRef | None = None
    errors: tuple[UserError, ...] = ()


class AssignmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bulk of assignments, at its place in the caller's input."""

    index: int
    outcome: Outcome
    assignment: AssignmentFacts | None = None
    deleted: AssignmentRef | None = None
    errors: tuple[UserError, ...] = ()


class AssignmentsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk of assignments: one row for each of the input, in its order."""

    rows: tuple[AssignmentRow, ...] = ()
    errors: tuple[UserError, ...] = ()


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bulk of items, at its place in the caller's input."""

    index: int
    outcome: Outcome
    errors: tuple[UserError, ...] = ()


class ItemsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk of items: one row for each of the input, in its order."""

    rows: tuple[ItemRow, ...] = ()
    errors: tuple[UserError, ...] = ()


class ReplacementRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one customer's replacement; `outcome` is a value of `ReplaceOutcome`."""

    index: int
    customer: str
    outcome: str
    errors: tuple[UserError, ...] = ()


PLANNED = ""
"""The outcome of a row in a plan: it is sent now."""


class ReplacementsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replacement is about to do, kept so that its key can be settled without it."""

    provider: str
    rows: tuple[ReplacementRow, ...]


class ReplacementsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Replacements: one row for each of the input, in its order."""

    rows: tuple[ReplacementRow, ...] = ()
    errors: tuple[UserError, ...] = ()
