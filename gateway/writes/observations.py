"""What writes report to the change log: it occurred when the provider's answer came, just now."""

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    ProviderObservation,
    SegmentObservation,
    version_of,
)
from gateway.domain.entities import AssignmentRef, Ref, Segment


def assignment(
    ref: AssignmentRef,
    kind: ChangeKind,
    version: int | None = None,
    occurred_at: datetime | None = None,
) -> AssignmentObservation:
    """Return that a customer entered or left a segment."""
    return AssignmentObservation(
        ref=ref,
        kind=kind,
        source=ChangeSource.WRITE,
        occurred_at=occurred_at or datetime.now(UTC),
        version=version,
    )


def known_assignment(ref: AssignmentRef) -> AssignmentObservation:
    """Return that a customer is in a segment, which is no change."""
    return AssignmentObservation(
        ref=ref, kind=ChangeKind.ENTERED, source=ChangeSource.WRITE, is_stock=True
    )


def members(
    segment: Ref, customers: Sequence[str], occurred_at: datetime
) -> Sequence[AssignmentObservation]:
    """Return that a segment was made of these customers."""
    return [
        assignment(
            AssignmentRef(segment.provider, segment.key, customer),
            ChangeKind.ENTERED,
            occurred_at=occurred_at,
        )
        for customer in dict.fromkeys(customers)
    ]


def segment(
    ref: Ref,
    kind: ChangeKind,
    written: Segment | None = None,
    occurred_at: datetime | None = None,
) -> SegmentObservation:
    """Return that a segment was created, updated or deleted; `written` is as it is now."""
    return SegmentObservation(
        ref=ref,
        kind=kind,
        source=ChangeSource.WRITE,
        occurred_at=occurred_at or datetime.now(UTC),
        version=None if written is None else version_of(written),
    )


def touched(provider: str) -> ProviderObservation:
    """Return that a write may have changed something, without knowing what."""
    return ProviderObservation(
        provider=provider, source=ChangeSource.WRITE, occurred_at=datetime.now(UTC)
    )
