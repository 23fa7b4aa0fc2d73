"""Receipts: the results of writes, from which payloads are built, now or for a repeated request.

A receipt contains a segment as the provider's own document, so that a request that is repeated
with its idempotency key needs no call to the provider.
"""

from datetime import datetime

import msgspec

from gateway.domain.entities import AssignmentKind, AssignmentRef, AssignmentState, Ref
from gateway.domain.mutations import Outcome, UserError

DONE, UNKNOWN = b"1", b"0"
"""The first byte of a stored result: `DONE` precedes a receipt, `UNKNOWN` stands alone."""


class SegmentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One segment after a write; `ref` is None if nothing was written."""

    ref: Ref | None = None
    document: bytes | None = None
    """The segment as it was read back; None if that failed."""
    sent: bytes | None = None
    """The document that was sent (`DescribesWrites`), if the segment could not be read back."""
    is_new: bool | None = None
    errors: tuple[UserError, ...] = ()


class DeletionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The deleted segment; `ref` is None if it was not deleted."""

    ref: Ref | None = None
    errors: tuple[UserError, ...] = ()


class SegmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bulk of segments, with its index in the caller's input."""

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


class CustomerReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One customer after a write; None if nothing was written.

    Their data is not stored: a payload reads it when it is needed.
    """

    customer: Ref | None = None
    errors: tuple[UserError, ...] = ()


class OrderReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Segments in their new order; `documents` is None if nothing was changed."""

    provider: str = ""
    documents: tuple[bytes, ...] | None = None
    errors: tuple[UserError, ...] = ()


class WrittenAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """An assignment after a write."""

    ref: AssignmentRef
    legal_entity_name: str | None = None
    kind: AssignmentKind = AssignmentKind.UNKNOWN
    state: AssignmentState = AssignmentState.CONFIRMED
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    is_partial: bool = False


class AssignmentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One assignment after a write, or the one that was deleted."""

    assignment: WrittenAssignment | None = None
    deleted: AssignmentRef | None = None
    errors: tuple[UserError, ...] = ()


class AssignmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bulk of assignments, with its index in the caller's input."""

    index: int
    outcome: Outcome
    assignment: WrittenAssignment | None = None
    deleted: AssignmentRef | None = None
    errors: tuple[UserError, ...] = ()


class AssignmentsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk of assignments: one row for each of the input, in its order."""

    rows: tuple[AssignmentRow, ...] = ()
    errors: tuple[UserError, ...] = ()


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bulk of items, with its index in the caller's input."""

    index: int
    outcome: Outcome
    errors: tuple[UserError, ...] = ()


class ItemsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk of items: one row for each of the input, in its order."""

    rows: tuple[ItemRow, ...] = ()
    errors: tuple[UserError, ...] = ()


class ReplacementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's replacement; `outcome` is a value of `ReplaceOutcome`."""

    index: int
    customer: str
    outcome: str
    errors: tuple[UserError, ...] = ()


PLANNED = ""
"""The outcome of a row that is about to be sent, in a plan."""


class ReplacementsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replacement will send, stored so that recovery can settle its key."""

    provider: str
    rows: tuple[ReplacementRow, ...]


class ReplacementsReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Replacements: one row for each of the input, in its order."""

    rows: tuple[ReplacementRow, ...] = ()
    errors: tuple[UserError, ...] = ()


class LinksReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Links from one customer to others; `customer` is None if nothing was linked."""

    customer: Ref | None = None
    links: tuple[tuple[Ref, Ref], ...] = ()
    errors: tuple[UserError, ...] = ()


class UnlinkReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Customers that are kept apart, and those they are kept apart from."""

    customers: tuple[Ref, ...] = ()
    errors: tuple[UserError, ...] = ()


class DecisionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A link that was accepted or rejected; None if nothing was decided."""

    link: tuple[Ref, Ref] | None = None
    errors: tuple[UserError, ...] = ()
