"""Processes that share budgets, on one clock that jumps: the sums, failures, and the hot path."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import LimitExceeded, RateLimited
from gateway.http import budget_sharing
from gateway.http.budget_sharing import BudgetSharing
from gateway.limits import caller_budgets
from gateway.limits.caller_budgets import Budgets, LeaseNeeded
from gateway.limits.settings import LimitSettings
from gateway.limits.slices import Claim, Grant
from gateway.settings.tables import StoreSettings
from gateway.store import owners
from gateway.store.database_url import database_url
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.shared_budgets import from_bucket, from_window
from gateway.store.store import Store
from gateway.upstream.resilience.guard import UpstreamGuard
from tests.e2e.serving import serving, settings_with
from tests.resilience.accounts import Script, account, response
from tests.resilience.clockwork import now, run
from tests.security.bounded import ask, errors_of

LIMITS = LimitSettings(requests_per_minute=600, cost_per_minute=6000)


class Database:
    """The store of several processes, which takes a few milliseconds."""

    def __init__(self, processes: int, ahead_s: float = 1e9) -> None:
        """Start full; its clock is another one than that of the processes."""
        self.owners = SimpleNamespace(processes=processes)
        self.budgets = self
        self.ahead_s = ahead_s
        self.exchanges = 0
        self.fails: Callable[[], Any] | None = None
        self._left: dict[str, tuple[float, float]] = {}
        self._calls: dict[str, dict[int, float]] = {}

    async def exchange(
        self, claims: Sequence[Claim], processes: int, deadline: float
    ) -> Sequence[Grant]:
        """Do what the database does."""
        self.exchanges += 1
        await asyncio.sleep(0.003)
        if self.fails is not None:
            await asyncio.sleep(max(deadline - now(), 0))
            raise StoreFailed(StoreState.FROZEN, "frozen")
        clock = now() + self.ahead_s
        grants: list[Grant] = []
        for each in claims:
            if each.terms.refills:
                left, at = self._left.get(each.name, (0.0, 0.0))
                grant = from_bucket(left, at, each, processes, clock)
                self._left[each.name] = grant.left, clock
            else:
                calls = self._calls.setdefault(each.name, {})
                grant, changes = from_window(calls, each, processes, clock)
                for second, change in changes.items():
                    calls[second] = calls.get(second, 0) + change
            grants.append(grant)
        return grants


class Process:
    """What one gateway has of budgets."""

    def __init__(self, database: Database, **settings: Any) -> None:
        """Start sharing."""
        self.budgets = Budgets(LIMITS)
        self.script = Script([response()])
        self.upstream = account(self.script, **settings)
        store: Any = database
        providers: Any = {"acme": SimpleNamespace(upstream=self.upstream)}
        self.sharing = BudgetSharing(store, self.budgets, providers)
        self.sharing.start()
        self.accepted = 0
        self.refusals: list[LimitExceeded] = []
        self.called: list[float] = []
        self.waits: list[float | None] = []

    @property
    def guard(self) -> UpstreamGuard:
        """Guard of the provider."""
        return self.upstream.guard

    async def ask(self, caller: str, pause_s: float, until: float) -> None:
        """Send one request after the other."""
        while now() < until:
            try:
                await self.count(caller)
                self.accepted += 1
            except LimitExceeded as error:
                self.refusals.append(error)
            await asyncio.sleep(pause_s)

    async def count(self, caller: str) -> None:
        """Count a request as `OperationRunner` does."""
        for _ in range(5):
            try:
                return self.budgets.count(caller, now())
            except LeaseNeeded as needed:
                refusal = needed.refusal
                await self.sharing.lease()
        raise refusal

    async def call(self, pause_s: float, until: float) -> None:
        """Make one call after the other."""

        async def called() -> None:
            self.called.append(now())

        while now() < until:
            try:
                await self.guard.run(called, "read", until, turn=1, is_background=False)
            except RateLimited as error:
                self.waits.append(error.retry_after_s)
            await asyncio.sleep(pause_s)

    async def die(self) -> None:
        """End without giving anything back."""
        self.sharing.stop()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop."""
        await self.sharing.close()
        await self.upstream.close()


@pytest.mark.parametrize("dies", [False, True])
def test_the_sum_over_two_minutes(dies: bool) -> None:  # noqa: FBT001
    """Three processes, 600 requests a minute: what one may do alone, within 5 %."""

    async def main() -> int:
        database = Database(3)
        processes = [Process(database) for _ in range(3)]
        start = now()
        asking = [
            asyncio.create_task(each.ask("a", pause_s, start + 120))
            for each, pause_s in zip(processes, (0.02, 0.05, 0.15), strict=True)
        ]
        await asyncio.sleep(1.5)
        if dies:
            asking[0].cancel()
            await processes[0].die()
        await asyncio.gather(*asking, return_exceptions=True)
        for each in processes:
            assert all(error.retry_after_s for error in each.refusals)
            await each.close()
        # When it is used up, a process asks ten times a second at most.
        assert database.exchanges < 3 * 120 * 12
        return sum(each.accepted for each in processes)

    assert run(main()) == pytest.approx(600 + 10 * 120, rel=0.05)


def test_a_providers_limit() -> None:
    """Three processes, 100 calls a minute: never more in any 60 seconds, and nearly as many."""

    async def main() -> list[float]:
        database = Database(3)
        processes = [Process(database, calls_per_minute=100) for _ in range(3)]
        start = now()
        calling = [asyncio.create_task(each.call(0.02, start + 180)) for each in processes]
        await asyncio.sleep(0.5)
        calling[0].cancel()
        await processes[0].die()
        await asyncio.gather(*calling, return_exceptions=True)
        for each in processes:
            assert all(wait_s is None or 0 < wait_s <= 62 for wait_s in each.waits)
            await each.close()
        return sorted(at - start for each in processes for at in each.called)

    called = run(main())
    most = max(sum(at <= each < at + 60 for each in called) for at in called)
    assert most <= 100
    assert len(called) == pytest.approx(300, rel=0.05)


def test_alone_nothing_is_exchanged() -> None:
    """A process without others keeps its budgets in memory; it owes what it spent to the first."""

    async def main() -> None:
        database = Database(1)
        process = Process(database)
        assert process.guard.budget.terms is None
        await process.ask("a", 0.001, now() + 0.5)
        assert (database.exchanges, process.budgets.is_shared) == (0, False)
        spent = process.accepted
        database.owners.processes = 2
        await asyncio.sleep(1)
        assert (database.exchanges, process.budgets.is_shared) == (1, True)
        for _ in range(50):
            await process.count("a")
        await process.ask("a", 0.001, now() + 1)
        assert process.accepted + 50 == pytest.approx(600 + 10 * 2.5, abs=12)
        assert spent < 550
        await process.close()

    run(main())


def test_an_unspent_slice_needs_no_store() -> None:
    """Requests of a slice exchange nothing; the next slice is there before this one is used up."""

    async def main() -> None:
        database = Database(2)
        process = Process(database)
        process.budgets.count("a", now())
        await asyncio.sleep(1.1)
        before = database.exchanges
        for _ in range(6):
            process.budgets.count("a", now())
        await asyncio.sleep(0.02)
        assert database.exchanges == before  # it was taken in advance
        for _ in range(300):
            process.budgets.count("a", now())
            process.budgets.spend("a", 1, now())
            await asyncio.sleep(0.02)
        # Half of a slice of 12 is used each time, or a second passes.
        assert database.exchanges <= before + 1 + 300 / 6 + 6
        await process.close()

    run(main())


def test_a_frozen_store_costs_a_second_once() -> None:
    """Each process goes on with its part, waits for nothing, and shares again afterwards."""

    async def main() -> None:
        database = Database(3)
        process = Process(database, calls_per_minute=60)
        await process.ask("a", 0.001, now() + 2)  # uses it up
        database.fails = lambda: None
        began = now()
        await process.ask("b", 0.01, now() + 3)
        assert (process.budgets.is_shared, process.budgets.part) == (False, 1 / 3)
        before = process.accepted
        started = now()
        for _ in range(100):
            try:
                await process.count("c")
            except LimitExceeded:
                break
        assert now() == started
        await process.ask("d", 0.1, now() + 10)
        assert process.accepted == before + 100
        await process.ask("a", 0.1, now() + 30)
        calls = asyncio.create_task(process.call(0.01, now() + 3))
        await calls
        assert len(process.called) in {20, 21}  # a third, and what came back meanwhile
        assert now() - began > 40
        database.fails = None
        await asyncio.sleep(2.5)
        assert process.budgets.is_shared
        await process.close()

    run(main())


def test_nobody_waits_longer_than_an_exchange() -> None:
    """A request that waits for a store that is frozen goes on with the part of its process."""

    async def main() -> None:
        database = Database(2)
        process = Process(database)
        await process.ask("a", 0.001, now() + 1)
        await asyncio.sleep(5)  # below a quarter nothing is taken in advance
        database.fails = lambda: None
        started = now()
        await process.count("a")
        assert now() - started <= 2 * budget_sharing.DEADLINE_S
        await process.close()

    run(main())


async def test_a_request_that_waits_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP: the second operation waits for a slice of cost, and is not counted twice."""
    opened: list[Budgets] = []

    class Captured(Budgets):
        def __init__(self, limits: LimitSettings) -> None:
            super().__init__(limits)
            opened.append(self)

    monkeypatch.setattr("gateway.asgi.Budgets", Captured)
    monkeypatch.setattr(owners, "EVERY_S", 0.05)
    monkeypatch.setattr(budget_sharing, "DEADLINE_S", 30.0)
    # Of a minute's length nothing comes back meanwhile.
    monkeypatch.setattr(caller_budgets, "MINUTE", 1e9)
    limits = LimitSettings(requests_per_minute=5, cost_per_minute=300)
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    settings = settings_with().model_copy(
        update={"limits": limits, "store": StoreSettings(url=url)}
    )
    async with serving(settings=settings) as front:
        other = await Store.open(database_url(url, {}))
        (budgets,) = opened
        async with asyncio.timeout(60):
            while not budgets.is_shared:  # noqa: ASYNC110  # when the other one was seen
                await asyncio.sleep(0.01)
        costly = "{ segments(first: 100) { nodes { id } } }"
        replies = [await ask(front, query) for query in (costly, costly, *["{ __typename }"] * 4)]
        assert [reply.status_code for reply in replies] == [200] * 5 + [429]
        assert errors_of(replies[5])[1][0][1] == "LIMIT_EXCEEDED"
        await other.close()
