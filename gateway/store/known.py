"""Decide whether an observation of a segment or its members is a change.

It is compared with the newest report of a write, a webhook or a comparison, else with the newest
snapshot of a watched segment; without either it is a change. Event times are only compared between
webhooks, and versions only until the object is deleted.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    SegmentObservation,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.database import Database
from gateway.store.tables import KNOWN_MEMBERS, KNOWN_SEGMENTS, MEMBERS, SNAPSHOTS

CHUNK: Final = 500
"""The most keys of one statement, and the most observations of one append by a comparison."""


class Known(NamedTuple):
    """The newest report of one segment or one assignment."""

    holds: bool
    """The segment exists; the customer is in it."""
    version: int | None
    event_at: datetime | None
    """The time of the newest webhook or write, by the provider's clock."""
    revision: int
    """The log's revision at the last report, changed or not."""


IN_SNAPSHOT: Final = Known(holds=True, version=None, event_at=None, revision=0)
"""What the newest snapshot of a segment says of its members."""


class MemberKey(NamedTuple):
    """One customer and one segment, through any legal entity."""

    provider: str
    segment: str
    customer: str


class KnownState:
    """The known state of the objects of some observations, within one append."""

    def __init__(
        self,
        segments: Mapping[Ref, Known],
        members: Mapping[MemberKey, Mapping[str, Known]],
        revision: int,
        read_since: int | None,
    ) -> None:
        """Start from the stored state; `revision` is that of the append.

        `read_since` is the revision at which a comparison started to read, for `DIFF`.
        """
        self._segments = dict(segments)
        self._members = {key: dict(known) for key, known in members.items()}
        self._revision = revision
        self._read_since = read_since
        self._changed_members: dict[AssignmentRef, Known] = {}
        self._changed_segments: dict[Ref, Known] = {}
        self._emptied: set[Ref] = set()
        self.outdated: list[AssignmentObservation | SegmentObservation] = []
        """The observations that are older than what is known."""

    def news(self, observation: AssignmentObservation | SegmentObservation) -> ChangeKind | None:
        """Apply an observation, and return the change to the known state; None: no change."""
        if isinstance(observation, SegmentObservation):
            return self._of_segment(observation)
        return self._of_member(observation)

    def _of_segment(self, seen: SegmentObservation) -> ChangeKind | None:
        known = self._segments.get(seen.ref)
        if known is not None and self._is_outdated(seen, known):
            self.outdated.append(seen)
            return None
        is_there = seen.kind is not ChangeKind.DELETED
        self._note_segment(seen, known, is_there=is_there)
        if not is_there:
            self._forget_members(seen.ref)
            return None if known is not None and not known.holds else ChangeKind.DELETED
        if known is None:
            return seen.kind
        if not known.holds:
            return ChangeKind.CREATED
        if seen.kind is ChangeKind.CREATED or _has_version(known, seen.version):
            return None
        return ChangeKind.UPDATED

    def _of_member(self, seen: AssignmentObservation) -> ChangeKind | None:
        ref = seen.ref
        entities = self._members.setdefault(MemberKey(ref.provider, ref.segment, ref.customer), {})
        entity = ref.legal_entity or ""
        known = entities.get(entity)
        segment = self._segments.get(Ref(ref.provider, ref.segment))
        ended = segment if segment is not None and not segment.holds else None
        related = [each for each in (known, ended) if each is not None]
        if seen.source is ChangeSource.DIFF:  # compares customers, not their legal entities
            related += entities.values()
        if any(self._is_outdated(seen, each) for each in related):
            self.outdated.append(seen)
            return None
        has_others = any(each.holds for name, each in entities.items() if name != entity)
        is_known = bool(entities)
        is_in = seen.kind is not ChangeKind.LEFT
        self._note_member(seen, known, is_in=is_in)
        if is_in:
            return _entered(seen, known, has_others=has_others, is_known=is_known)
        # Deleting a segment is one change: the assignments end with it, except those made since.
        is_out = (is_known or ended is not None) and not has_others
        if is_out if known is None else not known.holds:
            return None
        return ChangeKind.UPDATED if has_others else ChangeKind.LEFT

    def _is_outdated(self, seen: AssignmentObservation | SegmentObservation, known: Known) -> bool:
        if seen.source is ChangeSource.DIFF:
            return self._is_newer(known)
        if seen.source is not ChangeSource.WEBHOOK:
            return False
        if self._read_since is not None:  # confirmed by a read, which is newer than any event
            return self._is_newer(known)
        if seen.occurred_at is None or known.event_at is None:
            return False
        if seen.occurred_at != known.event_at:
            return seen.occurred_at < known.event_at
        return (
            seen.version is not None and known.version is not None and seen.version < known.version
        )

    def _is_newer(self, known: Known) -> bool:
        """Return whether there was a report after the comparison or confirmation started to read.

        Its own ones do not count.
        """
        return self._read_since is not None and self._read_since < known.revision < self._revision

    def _note_segment(
        self, seen: SegmentObservation, known: Known | None, *, is_there: bool
    ) -> None:
        noted = self._noted(seen, known, holds=is_there)
        self._segments[seen.ref] = self._changed_segments[seen.ref] = noted

    def _note_member(
        self, seen: AssignmentObservation, known: Known | None, *, is_in: bool
    ) -> None:
        ref = seen.ref
        noted = self._noted(seen, known, holds=is_in)
        key = MemberKey(ref.provider, ref.segment, ref.customer)
        self._members[key][ref.legal_entity or ""] = self._changed_members[ref] = noted

    def _noted(
        self,
        seen: AssignmentObservation | SegmentObservation,
        known: Known | None,
        *,
        holds: bool,
    ) -> Known:
        is_same_life = holds and known is not None and known.holds
        versions = [seen.version, known.version if known is not None and is_same_life else None]
        version = max((each for each in versions if each is not None), default=None)
        times = [seen.provider_at or seen.occurred_at, None if known is None else known.event_at]
        event_at = max((each for each in times if each is not None), default=None)
        return Known(holds, version if holds else None, event_at, self._revision)

    def _forget_members(self, segment: Ref) -> None:
        """Delete the members: a new segment with the same id starts without any."""
        self._emptied.add(segment)
        for key in self._members:
            if (key.provider, key.segment) == (segment.provider, segment.key):
                self._members[key] = {}
        for ref in [*self._changed_members]:
            if (ref.provider, ref.segment) == (segment.provider, segment.key):
                del self._changed_members[ref]

    async def save(self, database: Database, connection: AsyncConnection) -> None:
        """Store the changed state."""
        for segment in self._emptied:
            for table in (KNOWN_MEMBERS, SNAPSHOTS):
                of = table.c
                await connection.execute(
                    delete(table).where(of.provider == segment.provider, of.segment == segment.key)
                )
        segments = [
            {"provider": ref.provider, "segment": ref.key, **_columns(known, "is_there")}
            for ref, known in self._changed_segments.items()
        ]
        members = [
            {
                "provider": ref.provider,
                "segment": ref.segment,
                "customer": ref.customer,
                "legal_entity": ref.legal_entity or "",
                **_columns(known, "is_in"),
            }
            for ref, known in self._changed_members.items()
        ]
        await _upsert(database, connection, KNOWN_SEGMENTS, segments)
        await _upsert(database, connection, KNOWN_MEMBERS, members)


def _entered(
    seen: AssignmentObservation, known: Known | None, *, has_others: bool, is_known: bool
) -> ChangeKind | None:
    """Return the change when a customer is in a segment.

    `has_others`: through other legal entities already; `is_known`: something is known of them.
    """
    if known is not None and known.holds:
        if seen.kind is ChangeKind.ENTERED or _has_version(known, seen.version):
            return None
        return ChangeKind.UPDATED
    was_in = has_others or (not is_known and seen.kind is ChangeKind.UPDATED)
    return ChangeKind.UPDATED if was_in else ChangeKind.ENTERED


def _has_version(known: Known, version: int | None) -> bool:
    return version is not None and known.version is not None and version <= known.version


def _columns(known: Known, holds: str) -> Mapping[str, Any]:
    return {
        holds: known.holds,
        "version": known.version,
        "event_at": known.event_at,
        "revision": known.revision,
    }


async def _upsert(
    database: Database,
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    insert = database.insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=keys,
        set_={name: insert.excluded[name] for name in rows[0] if name not in keys},
    )
    await connection.execute(statement, rows)


async def load(
    connection: AsyncConnection,
    observations: Sequence[Observation],
    revision: int,
    read_since: int | None,
) -> KnownState:
    """Read the known state of the objects of these observations."""
    segments: dict[Ref, Known] = {}
    members: dict[MemberKey, dict[str, Known]] = {}
    refs = {
        each.ref
        if isinstance(each, SegmentObservation)
        else Ref(each.ref.provider, each.ref.segment)
        for each in observations
        if isinstance(each, SegmentObservation | AssignmentObservation)
    }
    pairs = {(ref.provider, ref.key) for ref in refs}
    async for provider, segment, *known in rows_of_keys(connection, KNOWN_SEGMENTS, pairs):
        segments[Ref(provider, segment)] = Known(*known)
    keys = {
        (each.ref.provider, each.ref.segment, each.ref.customer)
        for each in observations
        if isinstance(each, AssignmentObservation)
    }
    if keys:
        high = {
            (row.provider, row.segment): row.high
            async for row in rows_of_keys(connection, SNAPSHOTS, pairs)
            if row.taken_at is not None
        }
        shown = {key for key in keys if key[:2] in high}
        async for row in rows_of_keys(connection, MEMBERS, shown):
            if row.number <= high[row.provider, row.segment]:
                by_entity = members.setdefault(MemberKey(*row[:3]), {})
                by_entity[row.legal_entity] = IN_SNAPSHOT
    # What was reported of an assignment is newer than the snapshot: comparisons report, too.
    async for *key, entity, is_in, version, event_at, at in rows_of_keys(
        connection, KNOWN_MEMBERS, keys
    ):
        by_entity = members.setdefault(MemberKey(*key), {})
        by_entity[entity] = Known(is_in, version, event_at, at)
    return KnownState(segments, members, revision, read_since)


async def rows_of_keys(
    connection: AsyncConnection, table: Table, keys: AbstractSet[tuple[str, ...]]
) -> AsyncIterator[Any]:
    """Yield the rows whose first columns are one of these keys."""
    remaining = sorted(keys)
    while part := remaining[:CHUNK]:
        del remaining[:CHUNK]
        query = _query_by_keys(table, len(part[0]), is_sqlite=connection.dialect.name == "sqlite")
        parameters = {"keys": msgspec.json.encode(part).decode()}
        for row in await connection.execute(query, parameters):
            yield row


@cache
def _query_by_keys(table: Table, width: int, *, is_sqlite: bool) -> Select[Any]:
    """Return a query by the first `width` columns, whose parameter `keys` is a JSON array.

    As one parameter the text of the query is always the same: compiling a list of 500 keys takes
    SQLAlchemy longer than their lookup. A join, as SQLite scans the table for `(a, b) IN (…)`.
    """
    keys = bindparam("keys", type_=Text)
    parts: list[ColumnElement[Any]]
    if is_sqlite:
        each = func.json_each(keys).table_valued("value").alias("each")
        parts = [func.json_extract(each.c.value, f"$[{place}]") for place in range(width)]
    else:
        element = func.jsonb_array_elements(cast(keys, _jsonb())).column_valued("each")
        parts = [element.op("->>")(literal_column(str(place))) for place in range(width)]
    columns = list(table.columns)[:width]
    named = [part.label(column.name) for part, column in zip(parts, columns, strict=True)]
    wanted = select(*named).cte("wanted")
    matches = and_(*(column == wanted.c[column.name] for column in columns))
    return select(table).select_from(wanted.join(table, matches))


def _jsonb() -> TypeEngine[Any]:
    """Return PostgreSQL's type."""
    from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415  # where there is one

    return JSONB()
