"""Storing an outcome again until it succeeds, on a clock that jumps."""

from collections.abc import Coroutine
from itertools import pairwise
from typing import Any, cast

from gateway.store.database import Database
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.settling import Settling
from tests.resilience.clockwork import now, run

LEASE_S = 90.0


class DamagedDatabase:
    """Fails each transaction; `asked_at` are the times when it did."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []

    async def finish(self, work: Coroutine[Any, Any, bool]) -> bool:
        """Run nothing."""
        work.close()
        self.asked_at.append(now())
        raise StoreFailed(StoreState.DAMAGED)


async def stored() -> bool:
    """Be the transaction."""
    return True


def test_attempts_become_rare() -> None:
    """A database that stays damaged is asked at most once a second, until the lease ends."""
    database = DamagedDatabase()

    async def settle() -> float:
        settling, began = Settling(cast("Database", database)), now()
        assert await settling.attempt(stored, began + 5, began + LEASE_S) is None
        assert len(database.asked_at) == 1
        await next(iter(settling._tasks))  # noqa: SLF001  # nothing else shows its end
        return began

    began = run(settle())
    asked_at = database.asked_at
    pauses = [after - before for before, after in pairwise(asked_at)]
    assert (asked_at[0], asked_at[-1]) == (began, began + LEASE_S)
    assert pauses[:-1] == sorted(pauses[:-1])
    assert len(pauses) < LEASE_S + 20
