"""One reading of a segment's members: its pages, and the changes since the snapshot.

Members have numbers. Those up to `high` are the snapshot; a reading stores further ones behind it,
and they become part of it together with the entries of the change log.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.change_log import AssignmentObservation, ChangeKind, ChangeSource
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.bit_set import BitSet
from gateway.store.change_log import ChangeLog
from gateway.store.database import Database
from gateway.store.known import CHUNK
from gateway.store.limits import is_storable
from gateway.store.sizes import SegmentSizes
from gateway.store.snapshot_rows import MemberKey, MemberRow, MemberRows
from gateway.store.tables import SNAPSHOTS

ANALYZED_FROM: Final = 1_000
"""The size at which a new snapshot is analyzed first, and again when it is four times larger."""

K = TypeVar("K", MemberKey, MemberRow)


class Superseded(Exception):
    """Another reading of the same segment has started, or the segment was deleted."""


class SnapshotReading:
    """Takes the members page by page; `finish` appends the changes and replaces the snapshot.

    Its methods raise `Superseded` and `StoreFailed`; then the snapshot is as before, or has a
    part of the changes, with their entries in the log.
    """

    def __init__(  # noqa: PLR0913  # most by name
        self,
        database: Database,
        changes: ChangeLog,
        sizes: SegmentSizes,
        ref: Ref,
        *,
        token: str,
        started_at: datetime,
        read_since: int,
        high: int,
        top: int,
        is_stock: bool,
    ) -> None:
        """Use `Snapshots.start`. `top` is the highest number; `is_stock`: no snapshot yet."""
        self._database = database
        self._changes = changes
        self._sizes = sizes
        self._ref = ref
        self._token = token
        self._started_at = started_at
        self._read_since = read_since
        self._high = high
        self._top = top
        self._is_stock = is_stock
        self._has_rows_before = top > high
        self._analyze_at = ANALYZED_FROM if is_stock else 4 * top
        self._rows = MemberRows(database, ref)
        self._seen = BitSet()
        self._unnumbered = 0
        self._has_outdated = False

    @property
    def count(self) -> int:
        """The number of different assignments so far."""
        return len(self._seen) + self._unnumbered

    async def add(
        self, refs: Iterable[AssignmentRef], unconfirmed: Iterable[AssignmentRef] = ()
    ) -> None:
        """Add a page.

        `unconfirmed` are those with an open write: they neither enter nor leave with this reading.
        """
        opened = set(map(MemberKey.of, unconfirmed))
        page = [*dict.fromkeys(map(MemberKey.of, refs)), *opened]
        owner = (self._ref.provider, self._ref.key)
        keys = [key for key in page if is_storable((*owner, *key))]
        numbers = await self._rows.numbers(keys)
        fresh = [key for key in keys if key not in numbers and key not in opened]
        if fresh:
            new = {key: self._top + place for place, key in enumerate(fresh, 1)}
            await self._database.finish(self._insert(new))
            self._top += len(fresh)
            numbers |= new
            if self._top >= self._analyze_at:
                self._analyze_at = 4 * self._top
                await self._rows.analyze()
        for number in numbers.values():
            self._seen.add(number)
        self._unnumbered += len(page) - len(numbers)
        self._has_outdated |= bool(opened)

    async def finish(
        self, size: int, *, counts_customers: bool, is_consistent: bool, is_whole: bool
    ) -> None:
        """Append the changes, and make what was read the snapshot.

        `size` is the provider's count from before the reading; `counts_customers`: it counts each
        customer once. Not `is_consistent`: the list changed while it was read, so that who is
        missing may have been passed over: they are out if the next reading misses them, too. Not
        `is_whole`: members have unreadable ids, so that nobody is known to be out.
        """
        if self._is_stock:
            if is_consistent and self._has_rows_before:
                await self._forget_unseen()
            elif not is_consistent and not self._has_rows_before:
                return  # whoever it passed over would enter with the next reading
            await self._database.finish(self._complete_stock(await self._rows.count_customers()))
            self._high = self._top
        else:
            await self._enter()
            if is_whole:
                await self._leave(is_consistent=is_consistent)
        if is_consistent and is_whole:
            await self._correct(ChangeKind.LEFT)
        await self._correct(ChangeKind.ENTERED)
        is_settled = is_consistent and not self._has_outdated
        await self._database.finish(
            self._complete(size, counts_customers=counts_customers, is_settled=is_settled)
        )

    async def _insert(self, new: dict[MemberKey, int]) -> None:
        async with self._database.writing() as connection:
            await self._advance(connection)
            await self._rows.insert(connection, new, self._started_at)

    async def _forget_unseen(self) -> None:
        """Delete what only an earlier reading showed, which broke off."""
        async for rows in self._rows.behind(self._high):
            unseen = {row.number for row in rows if row.number not in self._seen}
            if unseen:
                await self._database.finish(self._delete(unseen))

    async def _delete(self, numbers: Collection[int]) -> None:
        async with self._database.writing() as connection:
            await self._advance(connection)
            await self._rows.delete(connection, numbers)

    async def _complete_stock(self, customers: int) -> None:
        async with self._database.writing() as connection:
            await self._advance(
                connection, high=self._top, customers=customers, taken_at=self._started_at
            )

    async def _enter(self) -> None:
        """Append who is new, in chunks, each of which becomes part of the snapshot."""
        async for rows in self._rows.behind(self._high):
            await self._database.finish(self._enter_rows(rows))
            self._high = rows[-1].number

    async def _enter_rows(self, rows: Sequence[MemberRow]) -> None:
        seen = [row for row in rows if row.number in self._seen]
        async with self._database.writing() as connection:
            outdated = await self._append(connection, ChangeKind.ENTERED, seen)
            entered = [row for row in seen if row not in outdated]
            others = await self._rows.customers_of(connection, entered, up_to=self._high)
            count = len({row.customer for row in entered} - {*others})
            await self._advance(connection, entered=count, high=rows[-1].number)
            gone = {row.number for row in rows} - {row.number for row in entered}
            await self._rows.delete(connection, gone)

    async def _leave(self, *, is_consistent: bool) -> None:
        """Append who is not there any more, in chunks."""
        back = {row.number for row in await self._rows.missed() if row.number in self._seen}
        if back:
            await self._database.finish(self._unmark(back))
        missing = self._seen.missing(self._high)
        while numbers := [*islice(missing, CHUNK)]:
            if rows := await self._rows.numbered(numbers):
                await self._database.finish(self._leave_rows(rows, is_consistent=is_consistent))

    async def _unmark(self, numbers: Collection[int]) -> None:
        async with self._database.writing() as connection:
            await self._rows.set_missed(connection, numbers, is_missed=False)

    async def _leave_rows(self, rows: Sequence[MemberRow], *, is_consistent: bool) -> None:
        gone = [row for row in rows if is_consistent or row.is_missed]
        async with self._database.writing() as connection:
            outdated = await self._append(connection, ChangeKind.LEFT, gone)
            left = [row for row in gone if row not in outdated]
            await self._advance(connection)  # locked before its members
            await self._rows.delete(connection, {row.number for row in left})
            others = await self._rows.customers_of(connection, left, up_to=self._high)
            count = len({row.customer for row in left} - {*others})
            await self._advance(connection, left=count)
            missed = {row.number for row in rows if row not in gone}
            await self._rows.set_missed(connection, missed, is_missed=True)

    async def _correct(self, kind: ChangeKind) -> None:
        """Append where the log knows otherwise than what was read; see `contradicting`."""
        last = MemberKey("", "")
        while keys := await self._rows.contradicting(
            kind, last, high=self._high, read_since=self._read_since
        ):
            await self._database.finish(self._correct_keys(kind, keys))
            last = keys[-1]

    async def _correct_keys(self, kind: ChangeKind, keys: Sequence[MemberKey]) -> None:
        async with self._database.writing() as connection:
            await self._append(connection, kind, keys)
            await self._advance(connection)

    async def _complete(self, size: int, *, counts_customers: bool, is_settled: bool) -> None:
        async with self._database.writing() as connection:
            customers = await self._advance(
                connection,
                reading=None,
                size=size if is_settled else None,
                taken_at=self._started_at,
                checked_at=self._started_at,
            )
            count = size if counts_customers and is_settled else customers
            await self._sizes.add(connection, self._ref, count)

    async def _advance(
        self, connection: AsyncConnection, *, entered: int = 0, left: int = 0, **values: Any
    ) -> int:
        """Update the snapshot's row, unless another reading has started; return its customers.

        Call it after `_append`: the row is locked after that of the log.
        """
        customers = SNAPSHOTS.c.customers + entered - left
        updated = await connection.execute(
            update(SNAPSHOTS)
            .where(
                SNAPSHOTS.c.provider == self._ref.provider,
                SNAPSHOTS.c.segment == self._ref.key,
                SNAPSHOTS.c.reading == self._token,
            )
            .values({"customers": customers, **values})
            .returning(SNAPSHOTS.c.customers)
        )
        count: int | None = updated.scalar_one_or_none()
        if count is None:
            raise Superseded
        if entered or left:
            await self._sizes.add(connection, self._ref, count, entered=entered, left=left)
        return count

    async def _append(
        self, connection: AsyncConnection, kind: ChangeKind, rows: Sequence[K]
    ) -> Collection[K]:
        """Append changes; return those of the rows that the log learned of meanwhile."""
        if not rows:
            return ()
        ref = self._ref
        of_ref = {
            AssignmentRef(ref.provider, ref.key, row.customer, row.legal_entity or None): row
            for row in rows
        }
        observations = [
            AssignmentObservation(
                ref=each, kind=kind, source=ChangeSource.DIFF, is_stock=self._is_stock
            )
            for each in of_ref
        ]
        appended = await self._changes.append(
            connection, observations, read_since=self._read_since
        )
        outdated = {
            of_ref[each.ref]
            for each in appended.outdated
            if isinstance(each, AssignmentObservation)
        }
        self._has_outdated |= bool(outdated)
        return outdated
