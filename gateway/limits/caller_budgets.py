"""What each caller may ask in a minute: requests, and the cost of their operations.

Buckets of tokens, of one process. Times are seconds on any clock that only goes forward; they are
handed in.
"""

from collections import OrderedDict

from gateway.errors import LimitExceeded
from gateway.limits.settings import LimitSettings

MINUTE = 60.0

STEP = 0.01
"""How often budgets are refilled, in seconds."""

MOST_CALLERS = 10_000
"""Callers of the last minute that have a budget of their own."""


class _Budget:
    """What one caller has left, at one moment."""

    __slots__ = ("at", "cost", "requests")

    def __init__(self, limits: LimitSettings, now: float) -> None:
        self.requests: float = limits.requests_per_minute
        self.cost: float = limits.cost_per_minute
        self.at = now


class Budgets:
    """The budgets of one process.

    A caller who asked nothing for a minute is forgotten: the budget is whole again. While there
    are too many callers, new ones share one budget, so that nobody's starts anew for being pushed
    out, and a flood of addresses has one budget for all of them.
    """

    def __init__(self, limits: LimitSettings) -> None:
        """Keep to these limits."""
        self._limits = limits
        self._callers: OrderedDict[str, _Budget] = OrderedDict()
        self._newcomers: _Budget | None = None

    def __len__(self) -> int:
        """Count the callers with a budget of their own."""
        return len(self._callers)

    def count(self, caller: str, now: float) -> None:
        """Take in one request. Raises `LimitExceeded`."""
        budget = self._of(caller, now)
        if budget.requests < 1:
            raise self._exceeded("requests_per_minute", 1 - budget.requests, "used up")
        budget.requests -= 1

    def spend(self, caller: str, cost: int, now: float) -> int:
        """Charge an operation before it runs; return what is left. Raises `LimitExceeded`."""
        budget = self._of(caller, now)
        if budget.cost < cost:
            told = f"down to {int(budget.cost)}, and this costs {cost}"
            raise self._exceeded("cost_per_minute", cost - budget.cost, told)
        budget.cost -= cost
        return int(budget.cost)

    def settle(self, caller: str, more: int, now: float) -> int:
        """Charge what an operation took beyond what was spent, or give back; return what is left.

        That may be less than nothing.
        """
        budget = self._of(caller, now)
        budget.cost = min(budget.cost - more, self._limits.cost_per_minute)
        return int(budget.cost)

    def _exceeded(self, bound: str, lacking: float, found: str) -> LimitExceeded:
        most: int = getattr(self._limits, bound)
        message = f"{bound} is {found}; at most {most} are allowed (limits.{bound})."
        return LimitExceeded(message, lacking * MINUTE / most)

    def _of(self, caller: str, now: float) -> _Budget:
        budget = self._callers.get(caller)
        if budget is None:
            budget = self._new(caller, now)
        else:
            self._callers.move_to_end(caller)
        passed = now - budget.at
        if passed >= STEP:
            limits, part = self._limits, passed / MINUTE
            most = limits.requests_per_minute
            budget.requests = min(budget.requests + part * most, most)
            most = limits.cost_per_minute
            budget.cost = min(budget.cost + part * most, most)
            budget.at = now
        return budget

    def _new(self, caller: str, now: float) -> _Budget:
        """Return a whole budget, or that of all newcomers where there is no room."""
        while self._callers:
            oldest = next(iter(self._callers.values()))
            if not self._is_whole(oldest, now):
                break
            self._callers.popitem(last=False)
        if len(self._callers) < MOST_CALLERS:
            budget = self._callers[caller] = _Budget(self._limits, now)
            return budget
        if self._newcomers is None:
            self._newcomers = _Budget(self._limits, now)
        return self._newcomers

    def _is_whole(self, budget: _Budget, now: float) -> bool:
        """Tell whether a budget is as good as a new one; a debt takes longer to refill."""
        part = (now - budget.at) / MINUTE
        return part >= 1 and budget.cost + part * self._limits.cost_per_minute >= (
            self._limits.cost_per_minute
        )
