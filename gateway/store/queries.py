"""Answer the lookups of adapters, each with one or two indexed statements."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import starmap
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.mutations import Tag
from gateway.errors import BadInput
from gateway.providers.base.store_lookup import CustomerRow, Lookup, Rows, TaggingRow, TagRow
from gateway.store.database import Database
from gateway.store.limits import size_of
from gateway.store.tables import CUSTOMERS, TAGGINGS, TAGS, TOTALS

T = TypeVar("T")

_TAG_ROWS: Final = select(TAGS.c.type, TAGS.c.value, TAGS.c.created_at, TAGS.c.updated_at)
_CUSTOMER_ROWS: Final = select(CUSTOMERS.c.customer)
# A subquery for each row that is shown. PostgreSQL executes a join as a merge, which reads all
# customers up to the page: 94 ms, measured in the middle of 250,000.
_STATE: Final = (
    select(CUSTOMERS.c.state)
    .where(
        CUSTOMERS.c.provider == TAGGINGS.c.provider, CUSTOMERS.c.customer == TAGGINGS.c.customer
    )
    .scalar_subquery()
)
_TAGGING_ROWS: Final = select(
    TAGGINGS.c.customer,
    TAGGINGS.c.type,
    TAGGINGS.c.value,
    _STATE,
    TAGGINGS.c.created_at,
    TAGGINGS.c.updated_at,
    TAGGINGS.c.position,
)
_IN_ORDER: Final = (TAGGINGS.c.position, TAGGINGS.c.type, TAGGINGS.c.value)
"""A customer's few tags are sorted as they are read: no index has this order."""


class StoreQueries:
    """Queries over one provider's rows."""

    def __init__(self, database: Database) -> None:
        """Query this database."""
        self._database = database
        self._methods: Mapping[str, Callable[[AsyncConnection, str, Lookup], Awaitable[Any]]] = {
            "segments": self._segments,
            "segment": self._segment,
            "members": self._members,
            "member_count": self._member_count,
            "customers": self._customers,
            "customer": self._customer,
            "assignments": self._assignments,
        }

    async def look_up(self, provider: str, lookup: Lookup, deadline: float | None = None) -> Any:
        """Return the result that `Lookup` describes. The deadline is on the event loop's clock.

        While a write of a customer is open, both their previous and their new tags are returned,
        as PENDING or UNCONFIRMED. Raises `StoreFailed`, and `BadInput` for an impossible `after`.
        """
        if lookup.after is not None and size_of(map(str, lookup.after)) is None:
            raise BadInput("The cursor is not one of this list.")
        # What cannot be stored cannot be there.
        keys = tuple(key for key in lookup.keys if size_of(key) is not None)
        if not keys and lookup.what not in {"segments", "customers"}:
            empty = Rows[Any]((), total=0 if lookup.with_total else None)
            return 0 if lookup.what == "member_count" else empty
        lookup = Lookup(lookup.what, keys, lookup.after, lookup.size, lookup.with_total)
        return await self._database.read(self._look_up(provider, lookup), deadline)

    async def _look_up(self, provider: str, lookup: Lookup) -> Any:
        async with self._database.reading() as connection:
            return await self._methods[lookup.what](connection, provider, lookup)

    async def newest_tags(
        self, provider: str, customer: str, deadline: float | None = None
    ) -> Sequence[Tag]:
        """Return the tags of a customer's newest write, in its order."""
        if size_of((customer,)) is None:
            return []
        statement = (
            select(TAGGINGS.c.type, TAGGINGS.c.value)
            .where(
                TAGGINGS.c.provider == provider, TAGGINGS.c.customer == customer, TAGGINGS.c.wanted
            )
            .order_by(*_IN_ORDER)
        )
        return await self._database.read(self._tags(statement), deadline)

    async def _tags(self, statement: Select[Any]) -> Sequence[Tag]:
        async with self._database.reading() as connection:
            return list(starmap(Tag, await connection.execute(statement)))

    async def _segments(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> Rows[TagRow]:
        statement = _page(
            _TAG_ROWS.where(TAGS.c.provider == provider), lookup, TAGS.c.type, TAGS.c.value
        )
        total = await _total(connection, provider, lookup, TOTALS.c.tags)
        return _rows(TagRow, await connection.execute(statement), lookup, total)

    async def _segment(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> Rows[TagRow]:
        values = defaultdict[str, list[str]](list)
        for kind, value in lookup.keys:
            values[kind].append(value)
        # Grouped by type: PostgreSQL would search the index once for every pair.
        any_of = [
            and_(TAGS.c.type == kind, TAGS.c.value.in_(of_kind))
            for kind, of_kind in values.items()
        ]
        statement = _TAG_ROWS.where(TAGS.c.provider == provider, or_(*any_of))
        return _rows(TagRow, await connection.execute(statement), lookup, None)

    async def _members(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> Rows[TaggingRow]:
        [(kind, value)] = lookup.keys
        statement = _page(
            _TAGGING_ROWS.where(
                TAGGINGS.c.provider == provider,
                TAGGINGS.c.type == kind,
                TAGGINGS.c.value == value,
            ),
            lookup,
            TAGGINGS.c.customer,
        )
        total = None
        if lookup.with_total:
            total = await self._member_count(connection, provider, lookup)
        return _rows(TaggingRow, await connection.execute(statement), lookup, total)

    async def _member_count(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> int:
        [(kind, value)] = lookup.keys
        statement = select(TAGS.c.members).where(
            TAGS.c.provider == provider, TAGS.c.type == kind, TAGS.c.value == value
        )
        return (await connection.execute(statement)).scalar() or 0

    async def _customers(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> Rows[CustomerRow]:
        statement = _page(
            _CUSTOMER_ROWS.where(CUSTOMERS.c.provider == provider), lookup, CUSTOMERS.c.customer
        )
        total = await _total(connection, provider, lookup, TOTALS.c.customers)
        return _rows(CustomerRow, await connection.execute(statement), lookup, total)

    async def _customer(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> Rows[CustomerRow]:
        statement = _CUSTOMER_ROWS.where(
            CUSTOMERS.c.provider == provider,
            CUSTOMERS.c.customer.in_([customer for (customer,) in lookup.keys]),
        )
        return _rows(CustomerRow, await connection.execute(statement), lookup, None)

    async def _assignments(
        self, connection: AsyncConnection, provider: str, lookup: Lookup
    ) -> Rows[TaggingRow]:
        [(customer,)] = lookup.keys
        of_customer = (TAGGINGS.c.provider == provider, TAGGINGS.c.customer == customer)
        statement = _page(_TAGGING_ROWS.where(*of_customer), lookup, *_IN_ORDER)
        total = None
        if lookup.with_total:
            count = select(func.count()).select_from(TAGGINGS).where(*of_customer)
            total = (await connection.execute(count)).scalar_one()
        return _rows(TaggingRow, await connection.execute(statement), lookup, total)


def _page(statement: Select[Any], lookup: Lookup, *order: ColumnElement[Any]) -> Select[Any]:
    """Select one page and one more row, which shows whether another page follows."""
    if lookup.after is not None:
        statement = statement.where(tuple_(*order) > tuple_(*lookup.after))
    if lookup.size:
        statement = statement.limit(lookup.size + 1)
    return statement.order_by(*order)


def _rows(
    of: Callable[..., T], result: Iterable[Sequence[Any]], lookup: Lookup, total: int | None
) -> Rows[T]:
    rows = list(starmap(of, result))
    is_last = not lookup.size or len(rows) <= lookup.size
    return Rows(rows if is_last else rows[: lookup.size], is_last, total)


async def _total(
    connection: AsyncConnection, provider: str, lookup: Lookup, column: ColumnElement[int]
) -> int | None:
    if not lookup.with_total:
        return None
    statement = select(column).where(TOTALS.c.provider == provider)
    return (await connection.execute(statement)).scalar() or 0
