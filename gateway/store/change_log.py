"""The change log: one durable order of all changes, read by cursor.

Appending is part of the transaction that settles a write, stores a webhook or compares. It locks
one row until the commit, so that positions are in commit order and a reader misses nothing.
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
"""The most positions that one read scans; a shorter page reports where its scan ended."""
SWEPT: Final = 10_000
"""The most entries that one transaction deletes."""

_ROW: Final = CHANGE_HEAD.c.id == 1


class Retention(NamedTuple):
    """How long entries are kept: `[changes] keep_days` and `keep_rows`."""

    keep: timedelta = timedelta(days=7)
    rows: int = 1_000_000


class Appended(NamedTuple):
    """The result of appending."""

    cursor: Cursor
    """The newest entry of the log."""
    kinds: Sequence[ChangeKind | None]
    """The kind of change of each observation, in order; None: it was known already."""
    outdated: Sequence[Observation] = ()
    """The observations that were skipped, because they are older than what is known."""


class EntryPage(NamedTuple):
    """A page of the log."""

    entries: Sequence[Entry]
    end: Cursor
    """The last entry that was scanned."""
    has_more: bool
    """The log has entries after `end`."""


class ChangePage(NamedTuple):
    """A page of the changes that match a filter and that the caller may see."""

    changes: Sequence[Change]
    start: Cursor
    """The scan started after this entry."""
    end: Cursor
    has_more: bool


class ChangeLog:
    """The log of one database, for any number of processes."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], settling: Settling
    ) -> None:
        """Use this database; `clock` is the wall clock, in UTC."""
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
        """Append the new ones of these observations, in order, within a write transaction.

        Call it last: it locks a row until the commit. A write always adds an entry, which drops
        caches in every process. `read_since` is the `revision` at which a comparison or the
        confirmation of a webhook started to read: objects that were reported since are skipped.
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
        for offset, row in enumerate(rows, 1):
            position, tag = head.position + offset, os.urandom(TAG_BYTES)
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
        return Appended(cursor, kinds, known.outdated)

    def _notify(self, position: int) -> None:
        if self.appended is not None:
            self.appended(position)

    async def settle(
        self, observations: Sequence[Observation], deadline: float, until: float
    ) -> Appended | None:
        """Append a write's observations in a separate transaction; see `Settling.attempt`.

        Raises nothing if the store fails, as a provider's action cannot be undone. Returns None
        if it is not done yet.
        """

        async def work() -> Appended:
            async with self._database.writing() as connection:
                return await self.append(connection, observations)

        return await self._settling.attempt(work, deadline, until)

    async def position(self, deadline: float | None = None) -> Cursor:
        """Return the cursor of the newest entry."""

        async def look() -> Cursor:
            async with self._database.reading() as connection:
                return await _head(connection)

        return await self._database.read(look(), deadline)

    async def revision(self, deadline: float | None = None) -> int:
        """Return the `read_since` of a comparison or confirmation; call it before any read."""

        async def look() -> int:
            async with self._database.reading() as connection:
                result = await connection.execute(select(CHANGE_HEAD.c.revision).where(_ROW))
                return int(result.scalar_one())

        return await self._database.read(look(), deadline)

    async def entries(
        self, after: Cursor, limit: int = 1000, deadline: float | None = None
    ) -> EntryPage:
        """Return all entries after a cursor, for readers that follow the log.

        Raises `CursorExpired` for a cursor of another or a restored database, and of an entry
        that was deleted.
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
        """Return changes after a cursor that match a filter and are visible, oldest first.

        Without a cursor it starts at the oldest entry. `visible` None means everything. Scans at
        most `SCANNED` positions. Raises `CursorExpired`, as `entries` does.
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
        """Return the change at a position; None if it was deleted or never existed."""

        async def look() -> Change | None:
            async with self._database.reading() as connection:
                head = await _head(connection)
                row = (await connection.execute(_at(cursor))).one_or_none()
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
            return [
                AssignmentRef(provider, segment, customer, entity or None)
                for customer, entity in rows
            ]

        return await self._database.read(look(), deadline)

    async def sweep(self) -> int:
        """Delete expired entries, but never the newest; return how many.

        Call it again while it returns `SWEPT`.
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
    """Parse a client's cursor. Raises `BadInput` if it is not a cursor."""
    cursor = Cursor.parse(text)
    if cursor is None:
        raise BadInput("This is not a cursor of the change log.")
    return cursor


async def _head(connection: AsyncConnection) -> Cursor:
    columns = CHANGE_HEAD.c
    result = await connection.execute(
        select(columns.epoch, columns.position, columns.tag).where(_ROW)
    )
    return Cursor(*result.one())


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
    """Return the cursor before the oldest entry; its tag is zero."""
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
                changes.append(entry)  # type: ignore[arg-type]  # `matches` only accepts changes
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
