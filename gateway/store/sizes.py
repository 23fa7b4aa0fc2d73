"""The sizes of segments as they pass by: one row for each hour and segment, the newest total.

Reads note totals without waiting: a task writes them a moment later, many in one transaction.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.entities import Ref
from gateway.domain.sizes import SizeInterval, SizePoint
from gateway.store.database import Database
from gateway.store.errors import StoreFailed
from gateway.store.limits import is_storable
from gateway.store.tables import SEGMENT_SIZES

WRITE_DELAY_S: Final = 1.0
MAX_PENDING: Final = 10_000
"""Totals that wait to be written while the database is down; further ones are dropped."""

NOTHING: Final = SizePoint(datetime.min, 0, is_exact=False)  # noqa: DTZ901  # never shown


class _Key(NamedTuple):
    ref: Ref
    hour: datetime


class _Total(NamedTuple):
    number: int
    is_exact: bool


class SegmentSizes:
    """The sizes of segments over time."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Use this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock
        self._pending: dict[_Key, _Total] = {}
        self._written: dict[Ref, tuple[datetime, _Total]] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, ref: Ref, count: int, *, is_exact: bool) -> None:
        """Note a total that was read now. It is written later; this does not wait or raise."""
        hour, total = SizeInterval.HOUR.start(self._clock()), _Total(count, is_exact)
        if self._written.get(ref) == (hour, total) or not is_storable((ref.provider, ref.key)):
            return
        if len(self._pending) < MAX_PENDING:
            self._pending[_Key(ref, hour)] = total
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_later())

    async def add(
        self,
        connection: AsyncConnection,
        ref: Ref,
        count: int,
        *,
        entered: int = 0,
        left: int = 0,
    ) -> None:
        """Record a watched segment's total, and add up who entered and left, in a transaction."""
        columns = SEGMENT_SIZES.c
        insert = self._database.insert(SEGMENT_SIZES).values(
            provider=ref.provider,
            segment=ref.key,
            hour=SizeInterval.HOUR.start(self._clock()),
            count=count,
            is_exact=True,
            entered=entered,
            left=left,
        )
        statement = insert.on_conflict_do_update(
            index_elements=["provider", "segment", "hour"],
            set_={
                "count": insert.excluded.count,
                "is_exact": True,
                "entered": func.coalesce(columns.entered, 0) + insert.excluded.entered,
                "left": func.coalesce(columns.left, 0) + insert.excluded.left,
            },
        )
        await connection.execute(statement)
        # Older totals, which must not replace this one.
        self._written.pop(ref, None)
        self._pending.pop(_Key(ref, SizeInterval.HOUR.start(self._clock())), None)

    async def history(
        self,
        ref: Ref,
        start: datetime,
        end: datetime,
        interval: SizeInterval,
        deadline: float | None = None,
    ) -> Sequence[SizePoint]:
        """Return the last total of each period between two moments, oldest first.

        Raises `StoreFailed`.
        """
        await self._database.finish(self._write(), deadline)
        return await self._database.read(self._read(ref, start, end, interval), deadline)

    async def close(self) -> None:
        """Write what is pending."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        with suppress(StoreFailed):
            await self._database.finish(self._write())

    async def _write_later(self) -> None:
        await asyncio.sleep(WRITE_DELAY_S)
        with suppress(StoreFailed):  # the next total starts another attempt
            await self._database.finish(self._write())

    async def _write(self) -> None:
        pending = self._pending
        if not pending:
            return
        self._pending = {}
        try:
            await self._save(pending)
        except BaseException:
            self._pending = {**pending, **self._pending}
            raise
        if len(self._written) > MAX_PENDING:
            self._written.clear()
        self._written.update((key.ref, (key.hour, total)) for key, total in pending.items())

    async def _save(self, totals: Mapping[_Key, _Total]) -> None:
        rows = [
            {
                "provider": key.ref.provider,
                "segment": key.ref.key,
                "hour": key.hour,
                "count": total.number,
                "is_exact": total.is_exact,
            }
            # In the order of the keys, so that two processes do not wait for each other.
            for key, total in sorted(totals.items(), key=_order)
        ]
        insert = self._database.insert(SEGMENT_SIZES)
        statement = insert.on_conflict_do_update(
            index_elements=["provider", "segment", "hour"],
            set_={name: insert.excluded[name] for name in ("count", "is_exact")},
        )
        async with self._database.writing() as connection:
            await connection.execute(statement, rows)

    async def _read(
        self, ref: Ref, start: datetime, end: datetime, interval: SizeInterval
    ) -> Sequence[SizePoint]:
        table = SEGMENT_SIZES.c
        query = (
            select(table.hour, table.count, table.is_exact, table.entered, table.left)
            .where(
                table.provider == ref.provider,
                table.segment == ref.key,
                table.hour >= interval.start(start),
                table.hour <= end,
            )
            .order_by(table.hour)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        points: dict[datetime, SizePoint] = {}
        for hour, count, is_exact, entered, left in rows:
            at = interval.start(hour)
            before = points.get(at, NOTHING)
            points[at] = SizePoint(
                at,
                count,
                is_exact,
                _sum((entered, before.entered)),
                _sum((left, before.left)),
            )
        return [*points.values()]


def _order(item: tuple[_Key, _Total]) -> tuple[str, str, datetime]:
    key, _ = item
    return (key.ref.provider, key.ref.key, key.hour)


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
