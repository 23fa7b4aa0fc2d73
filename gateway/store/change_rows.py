"""Convert observations to rows of the change log, rows to entries, and filters to conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, tuple_

from gateway.domain.change_log import (
    AssignmentChange,
    AssignmentObservation,
    ChangeFilter,
    ChangeKind,
    ChangeSource,
    Cursor,
    Entry,
    Observation,
    ProviderObservation,
    ProviderTouched,
    SegmentChange,
    Visibility,
    provider_of,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.known import CHUNK
from gateway.store.limits import is_storable
from gateway.store.tables import CHANGES

ASSIGNMENT, SEGMENT, PROVIDER = "assignment", "segment", "provider"


def conditions_of(
    wanted: ChangeFilter, visible: Visibility | None
) -> Sequence[ColumnElement[bool]]:
    """Return conditions that every match fulfils. Long lists have none: check rows as well."""
    columns = CHANGES.c
    conditions: list[ColumnElement[bool]] = [columns.subject != PROVIDER]
    if visible is not None:
        conditions.append(columns.provider.in_(visible.providers))
    if wanted.providers is not None and len(wanted.providers) <= CHUNK:
        conditions.append(columns.provider.in_(wanted.providers))
    if wanted.sort is not None:
        subject = ASSIGNMENT if wanted.sort is AssignmentChange else SEGMENT
        conditions.append(columns.subject == subject)
    if wanted.kinds is not None:
        conditions.append(columns.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.since is not None:
        conditions.append(columns.recorded_at >= wanted.since)
    if wanted.segments is not None and len(wanted.segments) <= CHUNK:
        pairs = [(ref.provider, ref.key) for ref in wanted.segments]
        conditions.append(tuple_(columns.provider, columns.segment).in_(pairs))
    customers = wanted.customers
    if visible is not None and visible.own is not None:
        own = frozenset(Ref(*pair) for pair in visible.own.items())
        customers = own if customers is None else customers & own
    if customers is not None and len(customers) <= CHUNK:
        pairs = [(ref.provider, ref.key) for ref in customers]
        conditions.append(tuple_(columns.provider, columns.customer).in_(pairs))
    return conditions


def entry_of(row: Any, epoch: bytes) -> Entry:
    """Return the entry of a row of `CHANGES`."""
    cursor = Cursor(epoch, row.position, row.tag)
    source = ChangeSource(row.source)
    if row.subject == ASSIGNMENT:
        ref = AssignmentRef(row.provider, row.segment, row.customer, row.legal_entity)
        return AssignmentChange(
            cursor=cursor,
            ref=ref,
            kind=ChangeKind(row.kind),
            source=source,
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
    if row.subject == SEGMENT:
        return SegmentChange(
            cursor=cursor,
            ref=Ref(row.provider, row.segment),
            kind=ChangeKind(row.kind),
            source=source,
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
    return ProviderTouched(
        cursor=cursor,
        provider=row.provider,
        source=source,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
    )


def row_of(seen: Observation, kind: ChangeKind | None) -> dict[str, Any]:
    """Return the row of an observation, without its position in the log."""
    row: dict[str, Any] = {
        "subject": PROVIDER,
        "kind": None if kind is None else kind.value,
        "source": seen.source.value,
        "provider": provider_of(seen),
        "segment": None,
        "customer": None,
        "legal_entity": None,
        "occurred_at": seen.occurred_at,
    }
    if isinstance(seen, ProviderObservation):
        return row
    if isinstance(seen, AssignmentObservation):
        ref = seen.ref
        entity = ref.legal_entity
        rest = {"segment": ref.segment, "customer": ref.customer, "legal_entity": entity}
        return row | {"subject": ASSIGNMENT, **rest}
    return row | {"subject": SEGMENT, "segment": seen.ref.key}


def touched_by_writes(
    observations: Sequence[Observation], rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row for each provider that was written to and has none among these rows.

    The known state may be wrong, so that the write did change something.
    """
    written = {
        provider_of(each): each for each in observations if each.source is ChangeSource.WRITE
    }
    for row in rows:
        written.pop(row["provider"], None)
    return [row_of(touch(each), None) for each in written.values()]


def touch(seen: Observation) -> ProviderObservation:
    """Reduce an observation to the fact that something changed at its provider."""
    return ProviderObservation(
        provider=provider_of(seen), source=seen.source, occurred_at=seen.occurred_at
    )


def is_recordable(seen: Observation) -> bool:
    """Return whether the database can store the ids of an observation; see `store.limits`."""
    if isinstance(seen, ProviderObservation):
        return True
    texts = (getattr(seen.ref, name) for name in seen.ref.__struct_fields__)
    return is_storable(text for text in texts if text is not None)
