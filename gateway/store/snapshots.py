"""Snapshots: who was in a watched segment when it was last read.

Reading one takes the memory of its largest page, and one bit for each member. A reading that
breaks off leaves the snapshot as it was; the next one uses the rows that it stored.
"""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    cast,
    delete,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from gateway.domain.change_log import ChangeKind, ChangeSource, SegmentObservation
from gateway.domain.entities import Ref
from gateway.store.change_log import ChangeLog
from gateway.store.database import Database
from gateway.store.known import CHUNK
from gateway.store.sizes import SegmentSizes
from gateway.store.snapshot_reading import SnapshotReading
from gateway.store.tables import KNOWN_SEGMENTS, MEMBERS, SNAPSHOTS

DELETED_ROWS: Final = 5_000
"""The most rows of members that one transaction deletes."""
READ_ROWS: Final = 20_000
"""The most rows that one statement reads."""
SEGMENT_LIST: Final = ""
"""The key of the snapshot of a provider's list of segments; no segment has it."""


class SnapshotState(NamedTuple):
    """What is known of a segment's snapshot."""

    size: int | None
    """What the provider counted before the members were read. None: read them again."""
    customers: int
    taken_at: datetime | None
    """When its reading began. None: there is no complete one yet."""
    checked_at: datetime | None
    """When the provider was last asked for the size."""


class SnapshotMembers(NamedTuple):
    """The customers of a snapshot, each once."""

    keys: Mapping[str, None]
    """A set in the order in which they were first read."""
    taken_at: datetime


class SegmentListDifference(NamedTuple):
    """How a list of segments differs from what is known."""

    observations: Sequence[SegmentObservation]
    """Those of segments that are in the list."""
    missing: Sequence[str]
    """The segments that are known and not in the list."""


_STATE: Final = [SNAPSHOTS.c[name] for name in SnapshotState._fields]


class Snapshots:
    """The snapshots of one database."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        changes: ChangeLog,
        sizes: SegmentSizes,
    ) -> None:
        """Store them in this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock
        self._changes = changes
        self._sizes = sizes

    async def states(self, provider: str) -> Mapping[str, SnapshotState]:
        """Return the states of a provider's snapshots, by segment."""

        async def look() -> Mapping[str, SnapshotState]:
            query = select(SNAPSHOTS.c.segment, *_STATE).where(SNAPSHOTS.c.provider == provider)
            async with self._database.reading() as connection:
                rows = await connection.execute(query)
                return {segment: SnapshotState(*state) for segment, *state in rows}

        return await self._database.read(look())

    async def state(self, ref: Ref, deadline: float | None = None) -> SnapshotState | None:
        """Return the state of a segment's snapshot; None if it was never read."""

        async def look() -> SnapshotState | None:
            async with self._database.reading() as connection:
                row = (await connection.execute(select(*_STATE).where(_is_of(ref)))).one_or_none()
            return None if row is None else SnapshotState(*row)

        return await self._database.read(look(), deadline)

    async def note_size(self, ref: Ref, count: int) -> None:
        """Record that a segment's size has not moved; `count` is its number of customers."""

        async def work() -> None:
            async with self._database.writing() as connection:
                await connection.execute(
                    update(SNAPSHOTS).where(_is_of(ref)).values(checked_at=self._clock())
                )
                await self._sizes.add(connection, ref, count)

        await self._database.finish(work())

    async def start(self, ref: Ref, read_since: int) -> SnapshotReading:
        """Start to read a segment's members; an earlier reading of it must not go on.

        `read_since` is the `revision` of the change log, from before anything was read.
        """
        token, started_at = secrets.token_hex(8), self._clock()

        async def work() -> SnapshotReading:
            async with self._database.writing() as connection:
                await connection.execute(
                    self._database.insert(SNAPSHOTS)
                    .values(provider=ref.provider, segment=ref.key, high=0, customers=0)
                    .on_conflict_do_nothing()
                )
                await connection.execute(
                    update(SNAPSHOTS).where(_is_of(ref)).values(reading=token)
                )
                row = (
                    await connection.execute(
                        select(SNAPSHOTS.c.high, SNAPSHOTS.c.taken_at).where(_is_of(ref))
                    )
                ).one()
                top = await connection.scalar(select(func.max(MEMBERS.c.number)).where(_has(ref)))
            return SnapshotReading(
                self._database,
                self._changes,
                self._sizes,
                ref,
                token=token,
                started_at=started_at,
                read_since=read_since,
                high=row.high,
                top=max(top or 0, row.high),
                is_stock=row.taken_at is None,
            )

        return await self._database.finish(work())

    async def members(self, ref: Ref, deadline: float | None = None) -> SnapshotMembers | None:
        """Return the customers of a segment's snapshot; None if there is no complete one."""

        async def look() -> SnapshotMembers | None:
            async with self._database.reading(is_snapshot=True) as connection:
                query = select(SNAPSHOTS.c.high, SNAPSHOTS.c.taken_at).where(_is_of(ref))
                state = (await connection.execute(query)).one_or_none()
                if state is None or state.taken_at is None:
                    return None
                keys: dict[str, None] = {}
                last: int | None = 0
                while last is not None:  # in parts, between which other requests are served
                    part, last = (
                        await connection.execute(self._part(ref, last, state.high))
                    ).one()
                    keys.update(dict.fromkeys(msgspec.json.decode(part or b"[]")))
                return SnapshotMembers(keys, state.taken_at)

        return await self._database.read(look(), deadline)

    def _part(self, ref: Ref, after: int, high: int) -> Any:
        """Return a query for a part of the customers, as a JSON array, and the last number.

        A row for each of a million members would take SQLAlchemy seconds.
        """
        of = MEMBERS.c
        part = (
            select(of.customer, of.number)
            .where(_has(ref), of.number > after, of.number <= high)
            .order_by(of.number)
            .limit(READ_ROWS)
            .subquery()
        )
        if self._database.is_sqlite:
            customers: ColumnElement[Any] = func.json_group_array(part.c.customer)
        else:
            customers = cast(func.json_agg(part.c.customer), Text)
        return select(customers, func.max(part.c.number))

    async def compare_segments(
        self, provider: str, versions: Mapping[str, int | None]
    ) -> SegmentListDifference:
        """Compare a provider's list of segments, with their versions, with what is known."""

        async def look() -> Mapping[str, int | None]:
            columns = KNOWN_SEGMENTS.c
            query = select(columns.segment, columns.version).where(
                columns.provider == provider, columns.is_there
            )
            async with self._database.reading() as connection:
                return {row.segment: row.version for row in await connection.execute(query)}

        known = await self._database.read(look())
        observations = []
        for key, version in versions.items():
            kind, before = ChangeKind.UPDATED, known.get(key)
            if key not in known:
                kind = ChangeKind.CREATED
            elif version is None or (before is not None and version <= before):
                continue
            observations.append(
                SegmentObservation(
                    ref=Ref(provider, key),
                    kind=kind,
                    source=ChangeSource.DIFF,
                    version=version,
                    # Which version the known state had is not known: this is no change.
                    is_stock=kind is ChangeKind.UPDATED and before is None,
                )
            )
        return SegmentListDifference(observations, [key for key in known if key not in versions])

    async def settle_segments(
        self, provider: str, observations: Sequence[SegmentObservation], read_since: int
    ) -> None:
        """Append the changes of a list of segments, and record when it was compared."""
        started = {"taken_at": self._clock(), "checked_at": self._clock()}
        insert = self._database.insert(SNAPSHOTS).values(
            provider=provider, segment=SEGMENT_LIST, high=0, customers=0, **started
        )

        async def work(chunk: Sequence[SegmentObservation], *, is_last: bool) -> None:
            async with self._database.writing() as connection:
                if chunk:
                    await self._changes.append(connection, chunk, read_since=read_since)
                if is_last:
                    await connection.execute(
                        insert.on_conflict_do_update(
                            index_elements=["provider", "segment"], set_=started
                        )
                    )

        for start in range(0, max(len(observations), 1), CHUNK):
            chunk = observations[start : start + CHUNK]
            is_last = start + CHUNK >= len(observations)
            await self._database.finish(work(chunk, is_last=is_last))

    async def report_deleted(self, deleted: SegmentObservation, read_since: int) -> None:
        """Append that a segment is gone; with it goes its snapshot."""

        async def work() -> None:
            async with self._database.writing() as connection:
                await self._changes.append(connection, [deleted], read_since=read_since)

        await self._database.finish(work())
        await self.delete_rows(deleted.ref)

    async def keep_only(self, watched: Mapping[str, Collection[str] | None]) -> None:
        """Delete all other snapshots: of segments that are not watched any more, or are gone.

        `watched` has the segments of each provider; None: all of them.
        """
        kept: list[ColumnElement[bool]] = [
            SNAPSHOTS.c.provider.in_(
                [key for key, segments in watched.items() if segments is None]
            )
        ]
        for provider, segments in watched.items():
            if segments is not None:
                kept.append(
                    and_(SNAPSHOTS.c.provider == provider, SNAPSHOTS.c.segment.in_(segments))
                )

        async def drop() -> None:
            async with self._database.writing() as connection:
                await connection.execute(delete(SNAPSHOTS).where(not_(or_(*kept))))

        async def look() -> Sequence[Any]:
            pairs = select(MEMBERS.c.provider, MEMBERS.c.segment).distinct()
            known = select(SNAPSHOTS.c.provider, SNAPSHOTS.c.segment)
            async with self._database.reading() as connection:
                of = MEMBERS.c
                query = pairs.where(tuple_(of.provider, of.segment).not_in(known))
                return (await connection.execute(query)).all()

        await self._database.finish(drop())
        for provider, segment in await self._database.read(look()):
            await self.delete_rows(Ref(provider, segment))

    async def delete_rows(self, ref: Ref) -> None:
        """Delete the members of a segment that has no snapshot any more."""

        async def work() -> int:
            async with self._database.writing() as connection:
                has_snapshot = select(SNAPSHOTS.c.high).where(_is_of(ref)).exists()
                first = select(func.min(MEMBERS.c.number)).where(_has(ref)).scalar_subquery()
                deleted = await connection.execute(
                    delete(MEMBERS).where(
                        _has(ref), MEMBERS.c.number < first + DELETED_ROWS, not_(has_snapshot)
                    )
                )
                return int(deleted.rowcount)

        while await self._database.finish(work()):
            pass


def _is_of(ref: Ref) -> ColumnElement[bool]:
    return and_(SNAPSHOTS.c.provider == ref.provider, SNAPSHOTS.c.segment == ref.key)


def _has(ref: Ref) -> ColumnElement[bool]:
    return and_(MEMBERS.c.provider == ref.provider, MEMBERS.c.segment == ref.key)
