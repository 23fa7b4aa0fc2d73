"""What confirmed writes of tags report to the change log: pure rules, no I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    ProviderObservation,
)
from gateway.domain.entities import AssignmentRef
from gateway.domain.mutations import Replacement, Tag
from gateway.store.tag_rows import CustomerEntry


def observations(
    provider: str,
    rows: Sequence[Replacement],
    entries: Mapping[str, CustomerEntry],
    occurred_at: datetime,
) -> Sequence[Observation]:
    """Return what a call changed, in the order of its rows, per customer LEFT before ENTERED.

    `entries` are those whose write was confirmed, by customer, as they were before. Where that
    is none, or nothing differs, the provider was written to all the same.
    """

    def seen(customer: str, tag: Tag, kind: ChangeKind) -> AssignmentObservation:
        return AssignmentObservation(
            ref=AssignmentRef(provider, tag.key, customer),
            kind=kind,
            source=ChangeSource.WRITE,
            occurred_at=occurred_at,
        )

    found: list[Observation] = []
    for row in rows:
        entry = entries.get(row.customer)
        if entry is None:
            continue
        had = {tag for tag, mark in entry.marks.items() if mark.was}
        left = sorted(tag for tag in had if not entry.marks[tag].wanted)
        # After attempts of unknown outcome `was` is no more than possible.
        sure = set() if entry.attempts else had
        found += [seen(row.customer, tag, ChangeKind.LEFT) for tag in left]
        found += [
            seen(row.customer, tag, ChangeKind.ENTERED) for tag in row.tags if tag not in sure
        ]
    source = ChangeSource.WRITE
    return found or [
        ProviderObservation(provider=provider, source=source, occurred_at=occurred_at)
    ]
