"""Observations of confirmed writes of tags, for the change log: pure functions, no I/O."""

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
    """Return what a call changed, in the order of its rows, LEFT before ENTERED.

    `entries` are the previous entries of customers whose write was confirmed. If nothing
    differs, the only observation is that the provider was written to.
    """

    def observation(customer: str, tag: Tag, kind: ChangeKind) -> AssignmentObservation:
        return AssignmentObservation(
            ref=AssignmentRef(provider, tag.key, customer),
            kind=kind,
            source=ChangeSource.WRITE,
            occurred_at=occurred_at,
        )

    observed: list[Observation] = []
    for row in rows:
        entry = entries.get(row.customer)
        if entry is None:
            continue
        had = {tag for tag, state in entry.tag_states.items() if state.was}
        left = sorted(tag for tag in had if not entry.tag_states[tag].wanted)
        # After attempts of unknown outcome, `was` means only that the tag is possible.
        certain = set() if entry.attempts else had
        observed += [observation(row.customer, tag, ChangeKind.LEFT) for tag in left]
        observed += [
            observation(row.customer, tag, ChangeKind.ENTERED)
            for tag in row.tags
            if tag not in certain
        ]
    source = ChangeSource.WRITE
    return observed or [
        ProviderObservation(provider=provider, source=source, occurred_at=occurred_at)
    ]
