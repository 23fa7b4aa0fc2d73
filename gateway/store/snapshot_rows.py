"""The rows of one segment in the table `members`."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    func,
    insert,
    not_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.change_log import ChangeKind
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.database import Database
from gateway.store.known import CHUNK, rows_of_keys
from gateway.store.tables import KNOWN_MEMBERS, MEMBERS

COUNT_S: Final = 60.0
"""The time limit of counting the rows of a segment."""


class MemberKey(NamedTuple):
    """What identifies an assignment within its segment."""

    customer: str
    legal_entity: str
    """Empty: none."""

    @classmethod
    def of(cls, ref: AssignmentRef) -> "MemberKey":
        """Return the key of an assignment."""
        return cls(ref.customer, ref.legal_entity or "")


class MemberRow(NamedTuple):
    """An assignment that was read."""

    customer: str
    legal_entity: str
    number: int
    is_missed: bool


_COLUMNS: Final = [MEMBERS.c[name] for name in MemberRow._fields]


class MemberRows:
    """Statements about the assignments of one segment."""

    def __init__(self, database: Database, ref: Ref) -> None:
        """Read and change the rows of this segment."""
        self._database = database
        self._ref = ref
        self._here = and_(MEMBERS.c.provider == ref.provider, MEMBERS.c.segment == ref.key)

    async def numbers(self, keys: Collection[MemberKey]) -> dict[MemberKey, int]:
        """Return the numbers of those that are stored."""

        async def look() -> dict[MemberKey, int]:
            whole = {(self._ref.provider, self._ref.key, *key) for key in keys}
            async with self._database.reading() as connection:
                return {
                    MemberKey(row.customer, row.legal_entity): row.number
                    async for row in rows_of_keys(connection, MEMBERS, whole)
                }

        return await self._database.read(look())

    async def analyze(self) -> None:
        """Have PostgreSQL analyze the table, instead of a minute later or never.

        Before that it does not look for a key in the primary key, but among all rows of the
        segment: 34,000 of them took a page of 200 keys seconds.
        """
        if self._database.is_sqlite:
            return

        async def work() -> None:
            async with self._database.writing() as connection:
                await connection.execute(text(f"ANALYZE {MEMBERS.name}"))

        await self._database.finish(work())

    async def numbered(self, numbers: Collection[int]) -> Sequence[MemberRow]:
        """Return the rows with these numbers, in order."""
        return await self._look(self._select(MEMBERS.c.number.in_(numbers)))

    async def missed(self) -> Sequence[MemberRow]:
        """Return the rows that the previous reading may have missed."""
        return await self._look(self._select(MEMBERS.c.is_missed))

    async def behind(self, number: int) -> AsyncIterator[Sequence[MemberRow]]:
        """Yield the rows with higher numbers, in order and in chunks."""
        while rows := await self._look(self._select(MEMBERS.c.number > number).limit(CHUNK)):
            yield rows
            number = rows[-1].number

    async def contradicting(
        self, kind: ChangeKind, after: MemberKey, *, high: int, read_since: int
    ) -> Sequence[MemberKey]:
        """Return a chunk of the assignments that the log knows otherwise than the snapshot.

        LEFT: they are known to be there, through a write or a webhook, and are not in the
        snapshot. ENTERED: they are known to have ended, and are in the snapshot. What was reported
        after the revision `read_since` does not count.
        """
        known, is_left = KNOWN_MEMBERS.c, kind is ChangeKind.LEFT
        conditions = [MEMBERS.c[column.name] == column for column in KNOWN_MEMBERS.primary_key]
        is_there = select(MEMBERS.c.number).where(*conditions, MEMBERS.c.number <= high)
        if not is_left:
            is_there = is_there.where(not_(MEMBERS.c.is_missed))
        query = (
            select(known.customer, known.legal_entity)
            .where(
                known.provider == self._ref.provider,
                known.segment == self._ref.key,
                tuple_(known.customer, known.legal_entity) > tuple_(*after),
                known.is_in if is_left else not_(known.is_in),
                known.revision <= read_since,
                not_(is_there.exists()) if is_left else is_there.exists(),
            )
            .order_by(known.customer, known.legal_entity)
            .limit(CHUNK)
        )

        async def look() -> Sequence[MemberKey]:
            async with self._database.reading() as connection:
                return [MemberKey(*row) for row in await connection.execute(query)]

        return await self._database.read(look())

    async def insert(
        self, connection: AsyncConnection, numbers: dict[MemberKey, int], seen_at: datetime
    ) -> None:
        """Store new rows."""
        rows = [
            {
                "provider": self._ref.provider,
                "segment": self._ref.key,
                "customer": key.customer,
                "legal_entity": key.legal_entity,
                "number": number,
                "seen_at": seen_at,
                "is_missed": False,
            }
            for key, number in numbers.items()
        ]
        await connection.execute(insert(MEMBERS), rows)

    async def delete(self, connection: AsyncConnection, numbers: Collection[int]) -> None:
        """Delete the rows with these numbers."""
        if numbers:
            await connection.execute(
                delete(MEMBERS).where(self._here, MEMBERS.c.number.in_(numbers))
            )

    async def set_missed(
        self, connection: AsyncConnection, numbers: Collection[int], *, is_missed: bool
    ) -> None:
        """Record whether a reading missed them."""
        if numbers:
            await connection.execute(
                update(MEMBERS)
                .where(self._here, MEMBERS.c.number.in_(numbers))
                .values(is_missed=is_missed)
            )

    async def customers_of(
        self, connection: AsyncConnection, rows: Sequence[MemberRow], *, up_to: int
    ) -> Collection[str]:
        """Return those of the customers who have an assignment with a number up to this one."""
        keys = {(self._ref.provider, self._ref.key, row.customer) for row in rows}
        return {
            row.customer
            async for row in rows_of_keys(connection, MEMBERS, keys)
            if row.number <= up_to
        }

    async def count_customers(self) -> int:
        """Count the different customers of all rows."""
        entities = func.count(func.nullif(MEMBERS.c.legal_entity, ""))
        several = select(func.count(MEMBERS.c.customer.distinct())).where(self._here)

        async def look() -> int:
            async with self._database.reading() as connection:
                query = select(func.count(), entities).where(self._here)
                rows, with_entity = (await connection.execute(query)).one()
                # Sorting a million takes seconds, and only those may be there more than once.
                return (await connection.scalar(several) or 0) if with_entity else int(rows)

        return await self._database.read(look(), asyncio.get_running_loop().time() + COUNT_S)

    def _select(self, condition: ColumnElement[bool]) -> Any:
        return select(*_COLUMNS).where(self._here, condition).order_by(MEMBERS.c.number)

    async def _look(self, query: Any) -> Sequence[MemberRow]:
        async def look() -> Sequence[MemberRow]:
            async with self._database.reading() as connection:
                return [MemberRow(*row) for row in await connection.execute(query)]

        return await self._database.read(look())
