"""Lock, read and update one provider's tags within a transaction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.entities import AssignmentState
from gateway.domain.mutations import Tag
from gateway.store.database import Database
from gateway.store.leases import MAX_LEASE
from gateway.store.tables import CUSTOMERS, OUTCOMES, TAGGINGS, TAGS, TOTALS
from gateway.store.tag_states import TagState, TagStates


class CustomerEntry(NamedTuple):
    """A customer's row and tags; the columns are explained in `gateway.store.tables`."""

    customer: str
    state: AssignmentState
    write: str
    claim: str | None
    due_at: datetime | None
    attempts: int
    confirmed_at: datetime | None
    tag_states: TagStates

    @property
    def is_open(self) -> bool:
        """Whether a write is open."""
        return self.due_at is not None

    @property
    def is_void(self) -> bool:
        """Whether the row can be deleted: no write was ever applied."""
        return not self.is_open and self.confirmed_at is None


_FIELDS = CustomerEntry._fields[1:-1]
"""The fields that can change, without the tags."""


class TagRows:
    """One provider's rows, in one transaction for writing."""

    def __init__(
        self, database: Database, connection: AsyncConnection, provider: str, now: datetime
    ) -> None:
        """Use this connection; `now` is the time of all changes."""
        self._insert = database.insert
        self._connection = connection
        self._provider = provider
        self._now = now
        self._entered = 0

    async def enter(self, customers: Sequence[str], write: str) -> None:
        """Insert a row for each customer without one; `customers` must be sorted."""
        if not customers:
            return
        row = {
            "provider": self._provider,
            "state": AssignmentState.CONFIRMED,
            "write": write,
            "attempts": 0,
            "created_at": self._now,
            "updated_at": self._now,
        }
        statement = (
            self._insert(CUSTOMERS).on_conflict_do_nothing().returning(CUSTOMERS.c.customer)
        )
        new = await self._connection.execute(
            statement, [row | {"customer": customer} for customer in customers]
        )
        self._entered += len(new.all())

    async def free(self, customers: Sequence[str]) -> Sequence[CustomerEntry]:
        """Lock and read the entries of those customers that are not leased."""
        return await self._read(
            _entries(self._provider)
            .where(
                CUSTOMERS.c.customer.in_(customers),
                or_(CUSTOMERS.c.claim.is_(None), self._is_due),
            )
            .order_by(CUSTOMERS.c.customer)
            .with_for_update(skip_locked=True)
        )

    async def locked(self, customers: Sequence[str]) -> Sequence[CustomerEntry]:
        """Lock and read the entries of these customers, waiting for other transactions."""
        return await self._read(
            _entries(self._provider)
            .where(CUSTOMERS.c.customer.in_(customers))
            .order_by(CUSTOMERS.c.customer)
            .with_for_update()
        )

    async def due(self, limit: int) -> Sequence[CustomerEntry]:
        """Lock and read the `limit` entries whose open write has been due longest."""
        return await self._read(
            _entries(self._provider)
            .where(CUSTOMERS.c.due_at.is_not(None), self._is_due)
            .order_by(CUSTOMERS.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )

    async def begin_outcomes(self, write: str, customers: Sequence[str]) -> None:
        """Store that the write of an idempotency key was started for these customers."""
        row = {"write": write, "provider": self._provider, "outcome": None}
        if customers:
            statement = self._insert(OUTCOMES).on_conflict_do_nothing()
            rows = [row | {"customer": customer} for customer in customers]
            await self._connection.execute(statement, rows)

    async def settle_outcomes(self, outcomes: Sequence[tuple[str, str, str]]) -> None:
        """Store outcomes by write and customer; writes without a key have no row."""
        if not outcomes:
            return
        statement = (
            update(OUTCOMES)
            .where(
                OUTCOMES.c.write == bindparam("of_write"),
                OUTCOMES.c.provider == self._provider,
                OUTCOMES.c.customer == bindparam("of_customer"),
            )
            .values(outcome=bindparam("new_outcome"))
        )
        names = ("of_write", "of_customer", "new_outcome")
        rows = [dict(zip(names, each, strict=True)) for each in outcomes]
        await self._connection.execute(statement, rows)

    @property
    def _is_due(self) -> ColumnElement[bool]:
        """Whether a lease or a pause is over, or was written by a wrong clock."""
        due_at = CUSTOMERS.c.due_at
        return or_(due_at <= self._now, due_at > self._now + MAX_LEASE)

    async def _read(self, statement: Select[Any]) -> Sequence[CustomerEntry]:
        rows = (await self._connection.execute(statement)).all()
        if not rows:
            return []
        tags = await self._connection.execute(
            select(
                TAGGINGS.c.customer,
                TAGGINGS.c.type,
                TAGGINGS.c.value,
                *(TAGGINGS.c[name] for name in TagState._fields),
            ).where(
                TAGGINGS.c.provider == self._provider,
                TAGGINGS.c.customer.in_([row.customer for row in rows]),
            )
        )
        states: dict[str, dict[Tag, TagState]] = {row.customer: {} for row in rows}
        for customer, kind, value, *state in tags:
            states[customer][Tag(kind, value)] = TagState(*state)
        return [CustomerEntry._make((*row, states[row.customer])) for row in rows]

    async def change(
        self, before: Sequence[CustomerEntry], after: Sequence[CustomerEntry]
    ) -> None:
        """Write the differences between the entries that were read and the new ones."""
        await self._change_customers(before, after)
        tags = await self._change_taggings(before, after)
        await self._add_up(self._entered - sum(entry.is_void for entry in after), tags)
        self._entered = 0

    async def _change_customers(
        self, before: Sequence[CustomerEntry], after: Sequence[CustomerEntry]
    ) -> None:
        this = (
            CUSTOMERS.c.provider == self._provider,
            CUSTOMERS.c.customer == bindparam("of_customer"),
        )
        changed = [
            {f"new_{name}": value for name, value in zip(_FIELDS, new[1:-1], strict=True)}
            | {"of_customer": new.customer}
            for old, new in zip(before, after, strict=True)
            if new[:-1] != old[:-1] and not new.is_void
        ]
        if changed:
            values = _bound(_FIELDS)
            statement = update(CUSTOMERS).where(*this).values(updated_at=self._now, **values)
            await self._connection.execute(statement, changed)
        void = [{"of_customer": entry.customer} for entry in after if entry.is_void]
        if void:
            await self._connection.execute(delete(CUSTOMERS).where(*this), void)

    async def _change_taggings(
        self, before: Sequence[CustomerEntry], after: Sequence[CustomerEntry]
    ) -> int:
        """Write the differences of tags; return the change in the number of tags."""
        added, changed, removed = [], [], []
        counts: Counter[Tag] = Counter()
        for old, new in zip(before, after, strict=True):
            for tag in sorted(old.tag_states.keys() | new.tag_states.keys()):
                state, of = new.tag_states.get(tag), {"of_customer": old.customer, **_of(tag)}
                if state is None:
                    removed.append(of)
                    counts[tag] -= 1
                elif tag not in old.tag_states:
                    added.append({**tag._asdict(), "customer": old.customer, **state._asdict()})
                    counts[tag] += 1
                elif state != old.tag_states[tag]:
                    changed.append(
                        of | {f"new_{name}": flag for name, flag in state._asdict().items()}
                    )
        this = (
            TAGGINGS.c.provider == self._provider,
            TAGGINGS.c.customer == bindparam("of_customer"),
            TAGGINGS.c.type == bindparam("of_type"),
            TAGGINGS.c.value == bindparam("of_value"),
        )
        if removed:
            await self._connection.execute(delete(TAGGINGS).where(*this), removed)
        if changed:
            values = _bound(TagState._fields)
            statement = update(TAGGINGS).where(*this).values(updated_at=self._now, **values)
            await self._connection.execute(statement, changed)
        if added:
            new_row = {
                "provider": self._provider,
                "created_at": self._now,
                "updated_at": self._now,
            }
            await self._connection.execute(insert(TAGGINGS), [new_row | row for row in added])
        return await self._count(counts)

    async def _count(self, counts: Mapping[Tag, int]) -> int:
        """Update the member counts in the order of the tags, and delete tags without members."""
        rows = [
            {
                "provider": self._provider,
                **tag._asdict(),
                "members": count,
                "created_at": self._now,
                "updated_at": self._now,
            }
            for tag, count in sorted(counts.items())
            if count
        ]
        if not rows:
            return 0
        statement = self._insert(TAGS)
        updated = await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[TAGS.c.provider, TAGS.c.type, TAGS.c.value],
                set_={
                    "members": TAGS.c.members + statement.excluded.members,
                    "updated_at": statement.excluded.updated_at,
                },
            ).returning(TAGS.c.type, TAGS.c.value, TAGS.c.members),
            rows,
        )
        members = {Tag(kind, value): number for kind, value, number in updated}
        new = sum(1 for tag, number in members.items() if number == counts[tag])
        empty = [_of(tag) for tag, number in members.items() if not number]
        if empty:
            delete_empty = delete(TAGS).where(
                TAGS.c.provider == self._provider,
                TAGS.c.type == bindparam("of_type"),
                TAGS.c.value == bindparam("of_value"),
            )
            await self._connection.execute(delete_empty, empty)
        return new - len(empty)

    async def _add_up(self, customers: int, tags: int) -> None:
        """Update the provider's totals by these differences."""
        if not customers and not tags:
            return
        statement = self._insert(TOTALS).values(
            provider=self._provider, customers=customers, tags=tags
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[TOTALS.c.provider],
                set_={
                    "customers": TOTALS.c.customers + statement.excluded.customers,
                    "tags": TOTALS.c.tags + statement.excluded.tags,
                },
            )
        )


def _entries(provider: str) -> Select[Any]:
    return select(*(CUSTOMERS.c[name] for name in CustomerEntry._fields[:-1])).where(
        CUSTOMERS.c.provider == provider
    )


def _bound(names: Iterable[str]) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(f"new_{name}") for name in names}


def _of(tag: Tag) -> Mapping[str, str]:
    return {"of_type": tag.type, "of_value": tag.value}
