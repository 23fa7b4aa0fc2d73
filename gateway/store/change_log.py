"""The change log: one durable order of everything that changed, read by cursor.

Appending is part of the transaction that settles a write, stores a webhook or compares: it locks
one row until the commit, so that positions follow the order of commits and a reader behind a
cursor misses nothing.
"""

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.change_log import (
    EVERY_CHANGE,
    TAG_BYTES,
    Change,
    ChangeFilter,
    ChangeKind,
    Cursor,
    Entry,
    Observation,
    ProviderObservation,
    ProviderTouched,
    Visibility,
)
from gateway.domain.entities import AssignmentRef
from gateway.errors import BadInput, CursorExpired
from gateway.store.change_rows import (
    conditions_of,
    entry_of,
    is_recordable,
    row_of,
    touch,
    touched_by_writes,
)
from gateway.store.database import Database
from gateway.store.known import load
from gateway.store.settling import Settling
from gateway.store.tables import CHANGE_HEAD, CHANGES, KNOWN_MEMBERS

SCANNED: Final = 50_000
"""Positions that one read looks through at most; a page that finds less says where it ended."""
SWEPT: Final = 10_000
"""Entries that one transaction of retention deletes at most."""

_ROW: Final = CHANGE_HEAD.c.id == 1


class Retention(NamedTuple):
    """How long entries are kept: `[changes] keep_days` and `keep_rows`."""

    keep: timedelta = timedelta(days=7)
    rows: int = 1_000_000


class Appended(NamedTuple):
    """What appending came to."""

    cursor: Cursor
    """Where the log stands now."""
    kinds: Sequence[ChangeKind | None]
    """For each observation, in order, the kind of the change that it is; None: no news."""


class EntryPage(NamedTuple):
    """A stretch of the log."""

    entries: Sequence[Entry]
    end: Cursor
    """Where the scan ended: behind the last entry that was looked at."""
    has_more: bool
    """The log goes on behind `end`."""


class ChangePage(NamedTuple):
    """A stretch of the log, only with what one caller wants and may see."""

    changes: Sequence[Change]
    start: Cursor
    """Behind which the scan began."""
    end: Cursor
    has_more: bool


class ChangeLog:
    """The log of one database, for any number of processes."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], settling: Settling
    ) -> None:
        """Keep it in this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock
        self._settling = settling
        self.retention = Retention()
        self.appended: Callable[[int], None] | None = None
        """Called in this process after each commit that appended, with the newest position."""

    async def append(
        self,
        connection: AsyncConnection,
        observations: Sequence[Observation],
        *,
        read_since: int | None = None,
    ) -> Appended:
        """Append what is news among these, in order, as part of a transaction that writes.

        Call it last: it locks a row until the commit. A write leaves an entry in any case, which
        drops caches in every process. `read_since` is the `revision` at which a comparison began
        to read: it passes over what was reported since.
        """
        head = (await connection.execute(select(CHANGE_HEAD).where(_ROW).with_for_update())).one()
        revision = head.revision + 1
        recordable = [each if is_recordable(each) else touch(each) for each in observations]
        known = await load(connection, recordable, revision, read_since)
        kinds: list[ChangeKind | None] = []
        rows: list[dict[str, Any]] = []
        for each in recordable:
            kind = None if isinstance(each, ProviderObservation) else known.news(each)
            if not isinstance(each, ProviderObservation) and each.is_stock:
                kind = None
            kinds.append(kind)
            if kind is not None or isinstance(each, ProviderObservation):
                rows.append(row_of(each, kind))
        rows += touched_by_writes(recordable, rows)
        await known.save(self._database, connection)
        recorded_at = self._clock()
        for place, row in enumerate(rows, 1):
            position, tag = head.position + place, os.urandom(TAG_BYTES)
            row |= {"position": position, "tag": tag, "recorded_at": recorded_at}
        cursor = Cursor(head.epoch, head.position, head.tag)
        if rows:
            await connection.execute(insert(CHANGES), rows)
            cursor = Cursor(head.epoch, rows[-1]["position"], rows[-1]["tag"])
            self._database.after_commit(connection, lambda: self._notify(cursor.position))
        await connection.execute(
            update(CHANGE_HEAD)
            .where(_ROW)
            .values(position=cursor.position, tag=cursor.tag, revision=revision)
        )
        return Appended(cursor, kinds)

    def _notify(self, position: int) -> None:
        if self.appended is not None:
            self.appended(position)

    async def settle(
        self, observations: Sequence[Observation], deadline: float, until: float
    ) -> Appended | None:
        """Append in a transaction of its own what a write came to, also while the store fails.

        Raises nothing: what a provider did cannot be taken back. Waits for the first attempt
        alone, and not beyond `deadline`; repeats it until `until`, both on the event loop's
        clock. Returns None where it is not done yet.
        """

        async def work() -> Appended:
            async with self._database.writing() as connection:
                return await self.append(connection, observations)

        return await self._settling.attempt(work, deadline, until)

    async def position(self, deadline: float | None = None) -> Cursor:
        """Return where the log stands now: behind its newest entry."""

        async def look() -> Cursor:
            async with self._database.reading() as connection:
                return await _head(connection)

        return await self._database.read(look(), deadline)

    async def revision(self, deadline: float | None = None) -> int:
        """Return what a comparison gives as `read_since`; take it before reading anything."""

        async def look() -> int:
            async with self._database.reading() as connection:
                found = await connection.execute(select(CHANGE_HEAD.c.revision).where(_ROW))
                return int(found.scalar_one())

        return await self._database.read(look(), deadline)

    async def entries(
        self, after: Cursor, limit: int = 1000, deadline: float | None = None
    ) -> EntryPage:
        """Return all entries behind a cursor, for readers that follow the log.

        Raises `CursorExpired` for a cursor of another database, of one restored from a backup,
        and of an entry that is no longer kept.
        """

        async def look() -> EntryPage:
            async with self._database.reading(is_snapshot=True) as connection:
                head = await _head(connection)
                if after == head:
                    return EntryPage((), after, has_more=False)
                await _check(connection, after, head)
                rows = (
                    await connection.execute(
                        select(CHANGES)
                        .where(CHANGES.c.position > after.position)
                        .order_by(CHANGES.c.position)
                        .limit(limit)
                    )
                ).all()
            entries = [entry_of(row, head.epoch) for row in rows]
            end = entries[-1].cursor if entries else after
            return EntryPage(entries, end, has_more=end.position < head.position)

        return await self._database.read(look(), deadline)

    async def read(
        self,
        after: Cursor | None,
        wanted: ChangeFilter = EVERY_CHANGE,
        visible: Visibility | None = None,
        limit: int = 100,
        deadline: float | None = None,
    ) -> ChangePage:
        """Return changes behind a cursor that are wanted and may be seen, oldest first.

        Without a cursor from the oldest entry kept. `visible` None: everything. Looks through
        `SCANNED` positions at most. Raises `CursorExpired`, as `entries` does.
        """

        async def look() -> ChangePage:
            async with self._database.reading(is_snapshot=True) as connection:
                head = await _head(connection)
                if after is None:
                    start = await _oldest(connection, head)
                else:
                    await _check(connection, after, head)
                    start = after
                conditions = conditions_of(wanted, visible)
                return await _page(connection, start, head, wanted, visible, conditions, limit)

        return await self._database.read(look(), deadline)

    async def change(self, cursor: Cursor, deadline: float | None = None) -> Change | None:
        """Return the change at a position while it is kept; None when it is not, or never was."""

        async def look() -> Change | None:
            async with self._database.reading() as connection:
                head = await _head(connection)
                found = await connection.execute(_at(cursor))
                row = found.one_or_none()
            if row is None or head.epoch != cursor.epoch:
                return None
            entry = entry_of(row, head.epoch)
            return None if isinstance(entry, ProviderTouched) else entry

        return await self._database.read(look(), deadline)

    async def members(
        self, provider: str, segment: str, deadline: float | None = None
    ) -> Sequence[AssignmentRef]:
        """Return the assignments of a segment that are known to be there."""

        async def look() -> Sequence[AssignmentRef]:
            columns = KNOWN_MEMBERS.c
            query = select(columns.customer, columns.legal_entity).where(
                columns.provider == provider, columns.segment == segment, columns.is_in
            )
            async with self._database.reading() as connection:
                rows = (await connection.execute(query)).all()
            return [AssignmentRef(provider, segment, who, entity or None) for who, entity in rows]

        return await self._database.read(look(), deadline)

    async def sweep(self) -> int:
        """Delete entries that are no longer kept, never the newest; return how many.

        To be called again while it returns `SWEPT`.
        """

        async def work() -> int:
            oldest = self._clock() - self.retention.keep
            async with self._database.reading() as connection:
                head = await _head(connection)
                expired = await connection.scalar(
                    select(func.max(CHANGES.c.position)).where(CHANGES.c.recorded_at < oldest)
                )
                first = await connection.scalar(select(func.min(CHANGES.c.position)))
            end = max(expired or 0, head.position - self.retention.rows)
            end = min(end, head.position - 1, (first or 0) + SWEPT - 1)
            if first is None or end < first:
                return 0
            async with self._database.writing() as connection:
                swept = await connection.execute(delete(CHANGES).where(CHANGES.c.position <= end))
                return int(swept.rowcount)

        return await self._database.finish(work())


def parse(text: str) -> Cursor:
    """Read a cursor that a client gives. Raises `BadInput` for a text that is no cursor."""
    cursor = Cursor.parse(text)
    if cursor is None:
        raise BadInput("This is not a cursor of the change log.")
    return cursor


async def _head(connection: AsyncConnection) -> Cursor:
    columns = CHANGE_HEAD.c
    found = await connection.execute(
        select(columns.epoch, columns.position, columns.tag).where(_ROW)
    )
    return Cursor(*found.one())


def _at(cursor: Cursor) -> Any:
    return select(CHANGES).where(
        CHANGES.c.position == cursor.position, CHANGES.c.tag == cursor.tag
    )


async def _check(connection: AsyncConnection, after: Cursor, head: Cursor) -> None:
    """Raise `CursorExpired` unless the entry of this cursor is in this database."""
    if after == head:
        return
    if after.epoch == head.epoch and after.position < head.position:
        if (await connection.execute(_at(after))).first() is not None:
            return
        is_start = after.position == 0 and not any(after.tag)
        if is_start and await _oldest(connection, head) == after:
            return
    raise CursorExpired


async def _oldest(connection: AsyncConnection, head: Cursor) -> Cursor:
    """Return the cursor before the oldest entry. It has no tag where that entry is deleted."""
    first = await connection.scalar(select(func.min(CHANGES.c.position)))
    return Cursor(head.epoch, (head.position + 1 if first is None else first) - 1, bytes(8))


async def _page(  # noqa: PLR0913, PLR0917  # all of one read
    connection: AsyncConnection,
    start: Cursor,
    head: Cursor,
    wanted: ChangeFilter,
    visible: Visibility | None,
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
) -> ChangePage:
    changes: list[Change] = []
    position, last = start.position, min(start.position + SCANNED, head.position)
    while len(changes) <= limit and position < last:
        rows = (
            await connection.execute(
                select(CHANGES)
                .where(CHANGES.c.position > position, CHANGES.c.position <= last, *conditions)
                .order_by(CHANGES.c.position)
                .limit(limit + 1)
            )
        ).all()
        for row in rows:
            entry = entry_of(row, head.epoch)
            if wanted.matches(entry) and (visible is None or visible.shows(entry)):
                changes.append(entry)  # type: ignore[arg-type]  # `matches` takes changes alone
        position = rows[-1].position if len(rows) > limit else last
    if len(changes) > limit:
        end = changes[limit - 1].cursor
        return ChangePage(changes[:limit], start, end, has_more=True)
    if last == start.position:
        return ChangePage(changes, start, start, has_more=False)
    tag = await connection.scalar(select(CHANGES.c.tag).where(CHANGES.c.position == last))
    return ChangePage(
        changes,
        start,
        Cursor(head.epoch, last, tag or head.tag),
        has_more=last < head.position,
    )
