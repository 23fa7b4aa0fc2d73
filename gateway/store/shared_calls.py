"""Count the calls of work that gets a share of a provider's rate limit.

The counts are stored, so that they hold across restarts and when another process takes over.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.tables import SHARED_CALLS

SECOND_S: Final = 1.0
"""The precision of the counts: calls are counted until the end of their second."""
EARLIEST_S: Final = 0.01
"""The least time to wait."""


class Taken(NamedTuple):
    """Calls that were taken, or the time to wait for them."""

    second: int
    calls: int
    wait_s: float
    """0: they may be made now."""


class SharedCalls:
    """The calls of one database's processes, by provider."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Count them in this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock
        self._corrections: dict[str, list[tuple[int, int]]] = {}
        """By provider, seconds and what their counts have to be changed by."""

    async def take(self, provider: str, calls: int, most: int, window_s: float) -> Taken:
        """Take calls if there are at most `most` in any `window_s` with them, else none."""
        corrections = self._corrections.pop(provider, [])

        async def work() -> Taken:
            now = self._clock().timestamp()
            oldest = now - window_s - SECOND_S
            of = SHARED_CALLS.c
            async with self._database.writing() as connection:
                for second, change in corrections:
                    await self._add(connection, provider, second, change)
                await connection.execute(
                    delete(SHARED_CALLS).where(of.provider == provider, of.second < oldest)
                )
                query = select(of.second, of.calls).where(of.provider == provider)
                counts = {
                    row.second: row.calls
                    for row in await connection.execute(query.order_by(of.second))
                }
                until = _expiring(counts, sum(counts.values()) + calls - most)
                if until is not None:
                    return Taken(0, 0, until - oldest + EARLIEST_S)
                await self._add(connection, provider, int(now), calls)
            return Taken(int(now), calls, 0)

        try:
            return await self._database.finish(work())
        except BaseException:
            # Perhaps they were stored all the same: only what counts more is repeated.
            self._corrections[provider] = [each for each in corrections if each[1] > 0]
            raise

    def settle(self, provider: str, taken: Taken, made: int) -> None:
        """Count the calls that were made, which may have arrived as late as now.

        It is stored with the next calls; until then all that were taken count.
        """
        second = int(self._clock().timestamp())
        corrections = self._corrections.setdefault(provider, [])
        if second == taken.second:
            corrections.append((second, made - taken.calls))
        else:
            corrections += [(second, made), (taken.second, -taken.calls)]

    async def _add(
        self, connection: AsyncConnection, provider: str, second: int, calls: int
    ) -> None:
        row = {"provider": provider, "second": second, "calls": calls}
        await connection.execute(
            self._database.insert(SHARED_CALLS)
            .values(row)
            .on_conflict_do_update(
                index_elements=["provider", "second"],
                set_={"calls": SHARED_CALLS.c.calls + calls},
            )
        )


def _expiring(counts: Mapping[int, int], excess: int) -> int | None:
    """Return the second with which `excess` calls have expired; None: there is no excess."""
    for second, calls in counts.items():
        if excess <= 0:
            return None
        excess -= calls
        if excess <= 0:
            return second
    return None
