"""Budgets per caller and minute: the number of requests, and the cost of operations.

Token buckets. A process that is alone keeps them itself. With others it spends slices of budgets
that the store has; when it cannot reach the store it keeps its equal part of them itself. Times
are passed in, in seconds on any monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.errors import LimitExceeded
from gateway.limits.settings import LimitSettings
from gateway.limits.slices import Slice, Terms

MINUTE = 60.0

STEP = 0.01
"""How often budgets are refilled, in seconds."""

MAX_CALLERS = 10_000
"""Callers of the last minute with their own budget."""

ALONE: Final = 1.0
"""The part of each budget that belongs to a process without others."""


class LeaseNeeded(Exception):
    """A slice is used up: wait for the next exchange with the store, and try again."""

    def __init__(self, refusal: LimitExceeded, *, is_counted: bool) -> None:
        """`refusal`: what to raise instead of waiting. `is_counted`: the request has counted."""
        super().__init__(str(refusal))
        self.refusal = refusal
        self.is_counted = is_counted


class _Budget:
    """What one caller had left at a time."""

    __slots__ = ("at", "cost", "requests")

    def __init__(self, caller: str, now: float) -> None:
        self.requests = Slice(f"requests {caller}")
        self.cost = Slice(f"cost {caller}")
        self.at = now


class Budgets:
    """The budgets of one process.

    A caller that sent nothing for a minute is dropped: its budget is full again. While there are
    too many callers, new ones share one budget. So no budget is reset by dropping it, and a flood
    of addresses has one budget in total.
    """

    def __init__(self, limits: LimitSettings) -> None:
        """Apply these limits."""
        self.limits = limits
        self.part = ALONE
        """The part of each budget that this process keeps itself while it does not share."""
        self.is_shared = False
        self.soon: Callable[[Slice, Terms], None] = _nothing
        """Called with a slice whose exchange should not wait."""
        self._callers: OrderedDict[str, _Budget] = OrderedDict()
        self._shared: _Budget | None = None

    @property
    def limits(self) -> LimitSettings:
        """May be changed: balances are adjusted when they are refilled."""
        return self._limits

    @limits.setter
    def limits(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._requests = Terms(limits.requests_per_minute, MINUTE, refills=True)
        self._cost = Terms(limits.cost_per_minute, MINUTE, refills=True)

    def __len__(self) -> int:
        """Return the number of callers with their own budget."""
        return len(self._callers)

    def count(self, caller: str, now: float) -> None:
        """Count one request. Raises `LimitExceeded` and `LeaseNeeded`."""
        requests = self._of(caller, now).requests
        if requests.have < 1:
            self._lease(requests, "requests_per_minute", 1, now)
        requests.have -= 1

    def spend(self, caller: str, cost: int, now: float) -> None:
        """Charge an operation before it runs. Raises `LimitExceeded` and `LeaseNeeded`."""
        budget = self._of(caller, now).cost
        if budget.have < cost:
            self._lease(budget, "cost_per_minute", cost, now)
        budget.have -= cost

    def settle(self, caller: str, more: int, now: float) -> int:
        """Charge or refund the difference from what was spent; return the balance.

        The balance may be negative. It is that of the whole budget, as far as it is known here.
        """
        budget = self._of(caller, now).cost
        terms = self._cost
        budget.have = min(budget.have - more, terms.most)
        return int(budget.balance(terms, now) if self.is_shared else budget.have)

    def _lease(self, budget: Slice, limit: str, need: float, now: float) -> None:
        """Take what is needed in advance. Raises `LeaseNeeded` or `LimitExceeded` if it cannot."""
        terms = self._requests if limit == "requests_per_minute" else self._cost
        if not self.is_shared:
            missing, left = need - budget.have, budget.have
            raise self._exceeded(limit, need, left, missing * MINUTE / (terms.most * self.part))
        if budget.take_ahead(need, terms, now):
            return
        left = max(budget.balance(terms, now), budget.have)
        refusal = self._exceeded(limit, need, left, budget.refusal_s(need, terms, now))
        if budget.is_used_up(now):
            raise refusal
        budget.need = max(budget.need, need)
        self.soon(budget, terms)
        raise LeaseNeeded(refusal, is_counted=limit == "cost_per_minute")

    def _exceeded(self, limit: str, need: float, left: float, wait_s: float) -> LimitExceeded:
        state = "used up"
        if limit == "cost_per_minute":
            state = f"down to {int(left)}, and this operation costs {need}"
        most: int = getattr(self._limits, limit)
        message = f"{limit} is {state}; at most {most} are allowed (limits.{limit})."
        return LimitExceeded(message, wait_s)

    def _of(self, caller: str, now: float) -> _Budget:
        budget = self._callers.get(caller)
        if budget is None:
            budget = self._new(caller, now)
        else:
            self._callers.move_to_end(caller)
        passed = now - budget.at
        if passed >= STEP:
            if self.is_shared:
                self._renew(budget)
            else:
                self._refill(budget, passed / MINUTE)
            budget.at = now
        return budget

    def _renew(self, budget: _Budget) -> None:
        """Have the slices exchanged that are half used, before they are used up."""
        for each, terms in self._slices(budget):
            if each.is_low():
                self.soon(each, terms)

    def _refill(self, budget: _Budget, part: float) -> None:
        limits, own = self._limits, self.part
        most = limits.requests_per_minute * own
        requests, cost = budget.requests, budget.cost
        requests.have = min(requests.have + part * most, max(most, 1))
        most = limits.cost_per_minute * own
        # The most expensive operation must be possible with a part of the budget, too.
        largest = max(most, min(limits.cost, limits.cost_per_minute))
        cost.have = min(cost.have + part * most, largest)

    def _new(self, caller: str, now: float) -> _Budget:
        """Return a full budget, or the shared one when there are too many callers."""
        while self._callers:
            oldest = next(iter(self._callers.values()))
            if not self._is_full(oldest, now):
                break
            self._callers.popitem(last=False)
        if len(self._callers) < MAX_CALLERS:
            budget = self._callers[caller] = self._full(caller, now)
            return budget
        if self._shared is None:
            self._shared = self._full("", now)
        return self._shared

    def _full(self, caller: str, now: float) -> _Budget:
        budget = _Budget(caller, now)
        if not self.is_shared:
            for each, terms in self._slices(budget):
                each.keep_alone(terms, self.part, now)
        return budget

    def _is_full(self, budget: _Budget, now: float) -> bool:
        """Return whether a budget is full again; a negative balance takes longer to refill."""
        part = (now - budget.at) / MINUTE
        if self.is_shared:
            return part >= 1 and all(each.is_idle for each, _ in self._slices(budget))
        most = self.limits.cost_per_minute * self.part
        return part >= 1 and budget.cost.have + part * most >= most

    def _slices(self, budget: _Budget) -> Iterable[tuple[Slice, Terms]]:
        return (budget.requests, self._requests), (budget.cost, self._cost)

    def used(self) -> dict[Slice, Terms]:
        """Return all slices of which the store does not know everything."""
        return {each: terms for each, terms in self._all() if not each.is_idle}

    def _all(self) -> Iterator[tuple[Slice, Terms]]:
        shared = () if self._shared is None else (self._shared,)
        for budget in (*self._callers.values(), *shared):
            yield from self._slices(budget)

    def share(self, now: float) -> None:
        """Spend slices from now on, and owe the store what was spent without it."""
        if not self.is_shared:
            self._catch_up(now)
            for each, terms in self._all():
                each.share_again(terms, self.part, now)
            self.is_shared = True

    def keep_part(self, part: float, now: float) -> None:
        """Keep this part of each budget in this process: the store cannot be used."""
        if self.is_shared:
            for each, terms in self._all():
                each.keep_alone(terms, part, now)
            self.is_shared = False
        self.part = part

    def _catch_up(self, now: float) -> None:
        shared = () if self._shared is None else (self._shared,)
        for budget in (*self._callers.values(), *shared):
            self._refill(budget, (now - budget.at) / MINUTE)
            budget.at = now


def _nothing(_: Slice, __: Terms) -> None:
    """Do nothing: nobody exchanges slices."""
