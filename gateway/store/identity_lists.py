"""Lists of the index: customers that may have persons of several, and links by their age."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, select

from gateway.domain.entities import Ref
from gateway.identity.graph import Decision
from gateway.store.database import Database
from gateway.store.identity_index import IdentityIndex, rows_of
from gateway.store.identity_reads import decision_of, decisions_with_ends
from gateway.store.identity_tables import IDENTITY_CUSTOMERS, IDENTITY_LINKS, IDENTITY_VALUES

BATCH: Final = 250
"""Customers, or values, that are read at once."""

_CUSTOMERS, _VALUES, _LINKS = IDENTITY_CUSTOMERS.c, IDENTITY_VALUES.c, IDENTITY_LINKS.c


def _is_decided(
    end: ColumnElement[int], other_end: ColumnElement[int], sight: Sequence[str]
) -> ColumnElement[bool]:
    """Return whether a customer is at this end of a decision whose other end is in sight."""
    other = IDENTITY_CUSTOMERS.alias()
    return (
        exists()
        .where(end == _CUSTOMERS.number, other_end == other.c.number)
        .where(other.c.provider.in_(sight), other.c.is_gone.is_(False))
    )


class Window(NamedTuple):
    """A period in which links came about, and the customers that they may belong to."""

    since: datetime | None
    """The start, inclusive; None: all that is older is in it."""
    customers: Sequence[Ref]


class IdentityLists:
    """Lists of the index, of the customers at the providers in `sight`."""

    def __init__(self, database: Database, index: IdentityIndex) -> None:
        """Read what `index` writes."""
        self._database = database
        self._index = index

    async def connected_after(
        self, after: Ref | None, sight: Sequence[str], deadline: float
    ) -> Sequence[Ref]:
        """Return the next customers that share a value or have a decision, oldest first.

        `after` is one of them, or None to start. There are no more if it returns none. Raises
        `StoreFailed`.
        """
        return await self._database.read(self._connected_after(after, sight), deadline)

    async def _connected_after(self, after: Ref | None, sight: Sequence[str]) -> Sequence[Ref]:
        other = IDENTITY_VALUES.alias("other")
        shares = (
            exists()
            .where(_VALUES.number == _CUSTOMERS.number)
            .where(
                other.c.digest == _VALUES.digest,
                other.c.number != _VALUES.number,
                other.c.provider.in_(sight),
            )
        )
        # Also in how much is read, what is out of sight must not show.
        decided = _is_decided(_LINKS.a, _LINKS.b, sight) | _is_decided(_LINKS.b, _LINKS.a, sight)
        statement = (
            select(_CUSTOMERS.provider, _CUSTOMERS.customer)
            .where(_CUSTOMERS.provider.in_(sight), _CUSTOMERS.is_gone.is_(False), shares | decided)
            .order_by(_CUSTOMERS.number)
            .limit(BATCH)
        )
        async with self._database.reading() as connection:
            if after is not None:
                row = (await rows_of(connection, [after])).get(after)
                statement = statement.where(_CUSTOMERS.number > (0 if row is None else row.number))
            return [Ref(*each) for each in await connection.execute(statement)]

    async def window_until(
        self, until: datetime | None, sight: Sequence[str], deadline: float
    ) -> Window:
        """Return the period until a time, inclusive, in which the next links came about.

        Raises `StoreFailed`.
        """
        return await self._database.read(self._window_until(until, sight), deadline)

    async def _window_until(self, end: datetime | None, sight: Sequence[str]) -> Window:
        newest: ColumnElement[bool] = _VALUES.provider.in_(sight)
        until: Sequence[ColumnElement[bool]] = ()
        if end is not None:
            newest = and_(newest, _VALUES.seen_at <= end)
            until = (_LINKS.created_at <= end,)
        last = (
            select(_VALUES.seen_at)
            .where(newest)
            .order_by(_VALUES.seen_at.desc(), _VALUES.number.desc())
            .offset(BATCH - 1)
            .limit(1)
        )
        async with self._database.reading() as connection:
            since: datetime | None = await connection.scalar(last)
            values = (
                select(_CUSTOMERS.provider, _CUSTOMERS.customer)
                .join(IDENTITY_VALUES, _VALUES.number == _CUSTOMERS.number)
                .where(newest, *(() if since is None else (_VALUES.seen_at >= since,)))
                .distinct()
            )
            found = {Ref(*each) for each in await connection.execute(values)}
            decisions = decisions_with_ends().where(
                *until, *(() if since is None else (_LINKS.created_at >= since,))
            )
            for row in await connection.execute(decisions, {"sight": list(sight)}):
                found.update(decision_of(row)[2].pair)
        return Window(since, sorted(found, key=lambda ref: (ref.provider, ref.key)))

    async def blocked(self, sight: Sequence[str], deadline: float) -> Sequence[Decision]:
        """Return all pairs that are kept apart. Raises `StoreFailed`."""
        return await self._database.read(self._blocked(sight), deadline)

    async def _blocked(self, sight: Sequence[str]) -> Sequence[Decision]:
        statement = decisions_with_ends().where(_LINKS.is_link.is_(False))
        async with self._database.reading() as connection:
            rows = await connection.execute(statement, {"sight": list(sight)})
            return [decision_of(row)[2] for row in rows]
