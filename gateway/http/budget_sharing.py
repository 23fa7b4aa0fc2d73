"""Share budgets with the other processes of the store: callers' budgets, providers' rate limits.

Requests spend slices that this process holds. In the background it exchanges them with the store,
all in one transaction: every second, at once when one is nearly used up, and never more than one
exchange at a time. Without other processes callers' budgets stay in memory.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from gateway.context import Provider
from gateway.limits.caller_budgets import Budgets
from gateway.limits.slices import Claim, Slice, Terms
from gateway.store.errors import StoreFailed
from gateway.store.store import Store
from gateway.upstream.resilience.call_budget import WINDOW_S

EVERY_S: Final = 1.0
"""Seconds between two exchanges of everything that is in use; also the life of a lease."""
DEADLINE_S: Final = 1.0
"""How long an exchange may take, and so a request that waits for one."""
BATCH: Final = 500
"""Budgets in one transaction."""

log = structlog.get_logger(__name__)


class BudgetSharing:
    """Exchanges the slices of one process."""

    def __init__(self, store: Store, budgets: Budgets, providers: Mapping[str, Provider]) -> None:
        """Share these budgets, and those of these providers, which may change."""
        self._store = store
        self._budgets = budgets
        self._providers = providers
        self._due: dict[Slice, Terms] = {}
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._is_shared = False
        """Other processes were seen: from then on all budgets are shared."""
        self._fails = False
        self._all_at = 0.0
        self._task: asyncio.Task[None] | None = None
        budgets.soon = self.soon

    def start(self) -> None:
        """Share from now on, in the background."""
        self._follow()
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Exchange nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Give back what is left."""
        if self._task is None:
            return
        self.stop()
        await asyncio.gather(self._task, return_exceptions=True)
        self._release()
        unused = {} if self._fails else self._used()
        for each in unused:
            each.start = each.have
        if unused:
            with contextlib.suppress(StoreFailed):
                await self._exchange(unused)

    def soon(self, part: Slice, terms: Terms) -> None:
        """Exchange this slice without waiting for the second to pass."""
        self._due[part] = terms
        self._wake.set()

    async def lease(self) -> None:
        """Wait for the end of an exchange that starts after this call, or for its failure."""
        if self._fails or self._task is None or self._task.done():
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._wake.set()
        await waiting

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), EVERY_S)
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._step()
            except StoreFailed as error:
                self._fail(error.cause)
            except Exception:  # a bug must not stop requests
                log.exception("budgets cannot be shared")
                self._fail("bug")
            finally:
                self._release(waiting)

    async def _step(self) -> None:
        self._follow()
        now = asyncio.get_running_loop().time()
        slices, self._due = self._due, {}
        if now - self._all_at >= EVERY_S or self._fails:
            self._all_at = now
            slices = self._used()
        if not (slices or self._fails):
            return
        await self._exchange({} if self._fails else slices)
        if self._fails:
            self._fails = False
            self._follow()
            log.info("budgets are shared again")

    async def _exchange(self, slices: Mapping[Slice, Terms]) -> None:
        """Exchange these; without any, test whether the budgets can be used."""
        made = [(each, each.claim(terms)) for each, terms in slices.items()]
        claims = [(each, claim) for each, claim in made if claim.change or claim.want]
        if slices and not claims:
            return
        for start in range(0, max(len(claims), 1), BATCH):
            await self._exchange_batch(claims[start : start + BATCH])

    async def _exchange_batch(self, batch: Sequence[tuple[Slice, Claim]]) -> None:
        loop, processes = asyncio.get_running_loop(), self._store.owners.processes
        try:
            grants = await self._store.budgets.exchange(
                [claim for _, claim in batch], processes, loop.time() + DEADLINE_S
            )
        except StoreFailed:
            for part, claim in batch:
                part.withdraw(claim)
            raise
        now = loop.time()
        for (part, claim), grant in zip(batch, grants, strict=True):
            part.grant(claim, grant, now)

    def _follow(self) -> None:
        """Share what has to be shared now: other processes and other limits may be there."""
        if self._fails:
            return
        now = asyncio.get_running_loop().time()
        processes = self._store.owners.processes
        if processes > 1 and not self._is_shared:
            self._is_shared = True
            log.info("budgets are shared", processes=processes)
        if self._is_shared:
            self._budgets.share(now)
        for provider in self._providers.values():
            guard = provider.upstream.guard
            limit = guard.limit(is_shared=self._is_shared)
            if limit is not None:
                guard.budget.limit(Terms(limit, WINDOW_S, refills=False), self, now)
            elif guard.budget.terms is not None:
                guard.budget.no_limit()

    def _used(self) -> dict[Slice, Terms]:
        used = self._budgets.used() if self._budgets.is_shared else {}
        for provider in self._providers.values():
            budget = provider.upstream.guard.budget
            if budget.terms is not None and not budget.slice.is_idle:
                used[budget.slice] = budget.terms
        return used

    def _fail(self, cause: str | None) -> None:
        """Keep a part of each budget here until the store can be used again."""
        part, now = 1 / self._store.owners.processes, asyncio.get_running_loop().time()
        self._due.clear()
        self._budgets.keep_part(part, now)
        for provider in self._providers.values():
            provider.upstream.guard.budget.keep_part(part, now)
        if not self._fails:
            self._fails = True
            log.warning("budgets cannot be shared; each process has a part", cause=cause)

    def _release(self, waiting: "list[asyncio.Future[None]] | None" = None) -> None:
        for each in (*(waiting or ()), *(self._waiting if self._fails or waiting is None else ())):
            if not each.done():
                each.set_result(None)
