"""Budgets per caller and minute: the number of requests, and the cost of operations.

Token buckets, one set per process. Times are passed in, in seconds on any monotonic clock.
"""

from collections import OrderedDict

from gateway.errors import LimitExceeded
from gateway.limits.settings import LimitSettings

MINUTE = 60.0

STEP = 0.01
"""How often budgets are refilled, in seconds."""

MAX_CALLERS = 10_000
"""Callers of the last minute with their own budget."""


class _Budget:
    """What one caller had left at a time."""

    __slots__ = ("at", "cost", "requests")

    def __init__(self, limits: LimitSettings, now: float) -> None:
        self.requests: float = limits.requests_per_minute
        self.cost: float = limits.cost_per_minute
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
        """May be changed: balances are adjusted when they are refilled."""
        self._callers: OrderedDict[str, _Budget] = OrderedDict()
        self._shared: _Budget | None = None

    def __len__(self) -> int:
        """Return the number of callers with their own budget."""
        return len(self._callers)

    def count(self, caller: str, now: float) -> None:
        """Count one request. Raises `LimitExceeded`."""
        budget = self._of(caller, now)
        if budget.requests < 1:
            raise self._exceeded("requests_per_minute", 1 - budget.requests, "used up")
        budget.requests -= 1

    def spend(self, caller: str, cost: int, now: float) -> int:
        """Charge an operation before it runs; return the balance. Raises `LimitExceeded`."""
        budget = self._of(caller, now)
        if budget.cost < cost:
            text = f"down to {int(budget.cost)}, and this operation costs {cost}"
            raise self._exceeded("cost_per_minute", cost - budget.cost, text)
        budget.cost -= cost
        return int(budget.cost)

    def settle(self, caller: str, more: int, now: float) -> int:
        """Charge or refund the difference from what was spent; return the balance.

        The balance may be negative.
        """
        budget = self._of(caller, now)
        budget.cost = min(budget.cost - more, self.limits.cost_per_minute)
        return int(budget.cost)

    def _exceeded(self, limit: str, missing: float, state: str) -> LimitExceeded:
        most: int = getattr(self.limits, limit)
        message = f"{limit} is {state}; at most {most} are allowed (limits.{limit})."
        return LimitExceeded(message, missing * MINUTE / most)

    def _of(self, caller: str, now: float) -> _Budget:
        budget = self._callers.get(caller)
        if budget is None:
            budget = self._new(caller, now)
        else:
            self._callers.move_to_end(caller)
        passed = now - budget.at
        if passed >= STEP:
            limits, part = self.limits, passed / MINUTE
            most = limits.requests_per_minute
            budget.requests = min(budget.requests + part * most, most)
            most = limits.cost_per_minute
            budget.cost = min(budget.cost + part * most, most)
            budget.at = now
        return budget

    def _new(self, caller: str, now: float) -> _Budget:
        """Return a full budget, or the shared one when there are too many callers."""
        while self._callers:
            oldest = next(iter(self._callers.values()))
            if not self._is_full(oldest, now):
                break
            self._callers.popitem(last=False)
        if len(self._callers) < MAX_CALLERS:
            budget = self._callers[caller] = _Budget(self.limits, now)
            return budget
        if self._shared is None:
            self._shared = _Budget(self.limits, now)
        return self._shared

    def _is_full(self, budget: _Budget, now: float) -> bool:
        """Return whether a budget is full again; a negative balance takes longer to refill."""
        part = (now - budget.at) / MINUTE
        return part >= 1 and budget.cost + part * self.limits.cost_per_minute >= (
            self.limits.cost_per_minute
        )
