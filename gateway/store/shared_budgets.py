"""Budgets that processes share: each exchanges its slices, for all budgets in use at once.

A slice is taken from its budget when it is granted. So the lease of a process that is gone needs
no end of its own: what it had not spent is lost, at most `gateway.limits.slices.PART` of the
budget, and comes back as the budget refills. All times are the database's, so that the clocks of
replicas need not agree.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import delete, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.limits.slices import Claim, Grant, share_of
from gateway.store.database import Database
from gateway.store.tables import BUDGET_CALLS, BUDGETS

SWEPT: Final = 1000
"""Budgets that one sweep deletes at most."""
SECOND_S: Final = 1.0
"""The precision with which calls are counted."""
UNUSED_S: Final = 3600.0
"""After this time an unused budget is deleted: it is full again, unless its debt was absurd."""

_POSTGRES_NOW: Final = text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
_SQLITE_NOW: Final = text("SELECT (julianday('now') - 2440587.5) * 86400.0")


class SharedBudgets:
    """The budgets of one database's processes."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    async def exchange(
        self, claims: Sequence[Claim], processes: int, deadline: float
    ) -> Sequence[Grant]:
        """Store what the claims report, and grant what they ask for, in their order.

        `processes` is how many share the budgets. Without claims, only test whether the budgets
        can be used. Raises `StoreFailed`; then nothing is stored, except after a commit whose
        outcome is not known.
        """
        return await self._database.finish(self._exchange(claims, processes), deadline)

    async def _exchange(self, claims: Sequence[Claim], processes: int) -> Sequence[Grant]:
        names = [_digest(each.name) for each in claims]
        async with self._database.writing() as connection:
            left_at = await self._lock(connection, names)
            now = await database_clock(self._database, connection)
            windows = {
                name: each.terms.window_s
                for name, each in zip(names, claims, strict=True)
                if not each.terms.refills
            }
            calls = await self._calls(connection, windows, now)
            rows: list[Mapping[str, object]] = []
            changed_calls: list[Mapping[str, object]] = []
            grants: list[Grant] = []
            for name, claim in zip(names, claims, strict=True):
                if claim.terms.refills:
                    grant = from_bucket(*left_at[name], claim, processes, now)
                else:
                    grant, changes = from_window(calls[name], claim, processes, now)
                    changed_calls += [
                        {"name": name, "second": second, "calls": change}
                        for second, change in changes.items()
                    ]
                rows.append({"name": name, "left": grant.left, "at": now})
                grants.append(grant)
            await self._save(connection, rows, changed_calls)
        return grants

    async def _lock(
        self, connection: AsyncConnection, names: Sequence[str]
    ) -> dict[str, tuple[float, float]]:
        """Lock the budgets in the order of their names; new ones are full, since long ago."""
        of = BUDGETS.c
        if names:
            # Each name is locked by whoever inserts it first; others wait for that here.
            rows = [{"name": name, "left": 0.0, "at": 0.0} for name in sorted(names)]
            insert = self._database.insert(BUDGETS).values(rows)
            await connection.execute(insert.on_conflict_do_nothing())
        query = select(of.name, of.left, of.at).where(of.name.in_(names or [""]))
        locked = await connection.execute(query.order_by(of.name).with_for_update())
        return {row.name: (row.left, row.at) for row in locked}

    async def _calls(
        self, connection: AsyncConnection, windows: Mapping[str, float], now: float
    ) -> Mapping[str, Mapping[int, float]]:
        """Return the calls of each second, oldest first, of the budgets with such windows."""
        calls: dict[str, dict[int, float]] = {name: {} for name in windows}
        if windows:
            of, oldest = BUDGET_CALLS.c, now - max(windows.values()) - SECOND_S
            query = select(of.name, of.second, of.calls)
            query = query.where(of.name.in_(calls), of.second >= oldest)
            for row in await connection.execute(query.order_by(of.second)):
                calls[row.name][row.second] = row.calls
        return calls

    async def _save(
        self,
        connection: AsyncConnection,
        rows: Sequence[Mapping[str, object]],
        calls: Sequence[Mapping[str, object]],
    ) -> None:
        if rows:
            insert = self._database.insert(BUDGETS).values(rows)
            new = {"left": insert.excluded.left, "at": insert.excluded.at}
            await connection.execute(
                insert.on_conflict_do_update(index_elements=["name"], set_=new)
            )
        if calls:
            insert = self._database.insert(BUDGET_CALLS).values(calls)
            total = {"calls": BUDGET_CALLS.c.calls + insert.excluded.calls}
            keys = ["name", "second"]
            await connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=total))

    async def sweep(self) -> None:
        """Delete budgets that are not in use, and calls that no longer count."""
        await self._database.finish(self._sweep())

    async def _sweep(self) -> None:
        async with self._database.writing() as connection:
            now = await database_clock(self._database, connection)
            # What is in the future was written before the clock was set back.
            at, second = BUDGETS.c.at, BUDGET_CALLS.c.second
            is_unused = or_(at < now - UNUSED_S, at > now + UNUSED_S)
            unused = select(BUDGETS.c.name).where(is_unused).with_for_update(skip_locked=True)
            names = (await connection.execute(unused.limit(SWEPT))).scalars().all()
            await connection.execute(delete(BUDGETS).where(BUDGETS.c.name.in_(names)))
            is_past = or_(second < now - UNUSED_S, second > now + UNUSED_S)
            await connection.execute(delete(BUDGET_CALLS).where(is_past))


async def database_clock(database: Database, connection: AsyncConnection) -> float:
    """Return the time in seconds since 1970, by the database's clock."""
    clock = _SQLITE_NOW if database.is_sqlite else _POSTGRES_NOW
    return float((await connection.execute(clock)).scalar_one())


def from_bucket(left: float, at: float, claim: Claim, processes: int, now: float) -> Grant:
    """Return what is granted of a budget that refills, and had `left` at `at`."""
    most, per_s = claim.terms.most, claim.terms.per_s
    left = min(left + max(now - at, 0.0) * per_s, most)
    left = min(left + claim.change, most)
    granted = share_of(left, claim.want, claim.need, processes)
    missing = 0.0 if granted >= claim.need else claim.need - left
    return Grant(granted, left - granted, missing / per_s, 0)


def from_window(
    calls: Mapping[int, float], claim: Claim, processes: int, now: float
) -> tuple[Grant, Mapping[int, float]]:
    """Return what is granted of a number of calls in any window, and how the counts change.

    `calls` are those of each second, oldest first. They count for a second more than the window:
    they may be made that much later than they were granted.
    """
    second, oldest = int(now), now - claim.terms.window_s - SECOND_S
    # Later seconds were written before the clock was set back.
    counting = {at: each for at, each in calls.items() if oldest <= at <= second}
    changes: dict[int, float] = defaultdict(float)
    if claim.change < 0:
        changes[second] -= claim.change
    elif claim.change and claim.second in counting:
        changes[claim.second] -= claim.change
    left = claim.terms.most - sum(counting.values()) - sum(changes.values())
    granted = float(math.floor(share_of(left, claim.want, claim.need, processes)))
    if granted:
        changes[second] += granted
    wait_s = 0.0 if granted >= claim.need else _freed_s(counting, claim.need - left, oldest)
    return Grant(granted, left - granted, wait_s, second), changes


def _freed_s(counting: Mapping[int, float], missing: float, oldest: float) -> float:
    """Return the seconds until `missing` calls no longer count."""
    freed_s = 0.0
    for second, calls in counting.items():
        freed_s = second - oldest
        missing -= calls
        if missing <= 0:
            break
    return freed_s


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
