"""Observations of writes for the change log; they occur when the provider's reply arrives."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    ProviderObservation,
    SegmentObservation,
    version_of,
)
from gateway.domain.entities import AssignmentRef, Ref, Segment
from gateway.providers.base.decoding import http_date


def assignment(
    ref: AssignmentRef,
    kind: ChangeKind,
    version: int | None = None,
    occurred_at: datetime | None = None,
) -> AssignmentObservation:
    """Observe that a customer entered or left a segment."""
    return AssignmentObservation(
        ref=ref,
        kind=kind,
        source=ChangeSource.WRITE,
        occurred_at=occurred_at or datetime.now(UTC),
        version=version,
    )


def known_assignment(ref: AssignmentRef) -> AssignmentObservation:
    """Observe that a customer is in a segment, which is not a change."""
    return AssignmentObservation(
        ref=ref, kind=ChangeKind.ENTERED, source=ChangeSource.WRITE, is_stock=True
    )


def members(
    segment: Ref, customers: Sequence[str], occurred_at: datetime
) -> Sequence[AssignmentObservation]:
    """Observe that a segment was created with these customers."""
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
    """Observe that a segment was created, updated or deleted; `written` is its new state."""
    return SegmentObservation(
        ref=ref,
        kind=kind,
        source=ChangeSource.WRITE,
        occurred_at=occurred_at or datetime.now(UTC),
        version=None if written is None else version_of(written),
    )


def touched(provider: str) -> ProviderObservation:
    """Observe that a write may have changed something unknown at a provider."""
    return ProviderObservation(
        provider=provider, source=ChangeSource.WRITE, occurred_at=datetime.now(UTC)
    )


def by_clock(seen: Observation, behind: timedelta) -> Observation:
    """Add the time by the clock of a provider that is behind ours."""
    if isinstance(seen, ProviderObservation) or seen.occurred_at is None:
        return seen
    return msgspec.structs.replace(seen, provider_at=seen.occurred_at - behind)


def clock_behind(date: str, replied_at: datetime) -> timedelta:
    """Return how far a provider's clock is behind ours, by the `Date` of a reply.

    It has whole seconds: less than a second is 0. A clock that is ahead counts as right, because
    the times of webhooks are limited by ours.
    """
    sent_at = http_date(date)
    if sent_at is None:
        return timedelta()
    return max(replied_at - sent_at - timedelta(seconds=1), timedelta())
