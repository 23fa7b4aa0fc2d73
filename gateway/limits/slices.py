"""Slices: the parts of shared budgets that one process may spend without asking the store.

Pure: times are passed in, in seconds on any monotonic clock of the process. A process exchanges
its slices with the store (`gateway.store.shared_budgets`) in the background, for all budgets in
use together.
"""

from typing import Final, NamedTuple

PART: Final = 0.02
"""The largest slice, as a part of the budget: what is lost when its process dies."""
PLENTY: Final = 0.25
"""With this part of a budget left, a process takes a slice first and tells the store then."""
PAUSE_S: Final = 0.1
"""How long a budget counts as used up before the store is asked again."""
SOON_S: Final = 0.001
"""The least time after which a refused request is sent again."""


class Terms(NamedTuple):
    """What a budget allows."""

    most: float
    window_s: float
    refills: bool
    """It refills continuously, in `window_s`; else `most` is for any `window_s`."""

    @property
    def slice(self) -> float:
        """The size of a full slice."""
        return max(float(int(self.most * PART)), 1.0)

    @property
    def per_s(self) -> float:
        """How much comes back in a second, on average."""
        return self.most / self.window_s


class Claim(NamedTuple):
    """What a process reports of one budget, and asks for."""

    name: str
    terms: Terms
    change: float
    """What it gives back; negative: what it has taken in advance."""
    want: float
    need: float
    """What a waiting request lacks: with less it would have to be refused."""
    second: int
    """The second of its newest grant, which what it gives back is part of."""


class Grant(NamedTuple):
    """The store's reply to a claim."""

    granted: float
    left: float
    """What the whole budget has left besides all slices; negative: a debt."""
    wait_s: float
    """The time until it has what was needed, if nobody else takes it; 0: it was granted."""
    second: int


def share_of(left: float, want: float, need: float, processes: int) -> float:
    """Return what one of several processes gets of what is left.

    A need is met, or nothing is granted, so that it accumulates. Beyond it, each gets at most an
    equal part.
    """
    if left <= 0 or need > left:
        return 0.0
    return min(left, max(need, min(want, left / processes)))


class Slice:
    """One budget's balance in this process."""

    __slots__ = (
        *("free_at", "have", "is_scarce", "left", "left_at", "name"),
        *("need", "owed", "second", "start"),
    )

    def __init__(self, name: str, have: float = 0.0) -> None:
        """Start with this balance; the name is the same in all processes."""
        self.name = name
        self.have = have
        """What may be spent; negative after an operation that cost more than was charged."""
        self.owed = 0.0
        """What was taken in advance: the store does not know of it yet."""
        self.start = 0.0
        """The balance after the last exchange, with what was taken in advance since."""
        self.need = 0.0
        self.left: float | None = None
        """What the store last had left; None: not known."""
        self.left_at = 0.0
        self.is_scarce = False
        """The last exchange did not grant what was needed."""
        self.free_at = 0.0
        """When the store may have what it did not grant."""
        self.second = 0

    def estimate(self, terms: Terms, now: float) -> float:
        """Return what the store has left, unless other processes take it."""
        if self.left is None:
            return terms.most
        passed = now - self.left_at
        if terms.refills:
            return min(self.left + passed * terms.per_s, terms.most)
        return self.left if passed < terms.window_s else terms.most

    def balance(self, terms: Terms, now: float) -> float:
        """Return what is left of the whole budget, as far as this process knows."""
        return min(self.have + self.estimate(terms, now), terms.most)

    def take_ahead(self, need: float, terms: Terms, now: float) -> bool:
        """Take a slice before the store knows of it, if the budget has plenty left.

        One at a time, or processes that know nothing of each other would take everything.
        """
        missing = max(need - self.have, terms.slice)
        left = self.estimate(terms, now)
        if self.owed > 0 or self.is_scarce or left - missing < terms.most * PLENTY:
            return False
        self.left, self.left_at = left - missing, now
        self.have += missing
        self.owed += missing
        self.start += missing
        return True

    def refusal_s(self, need: float, terms: Terms, now: float) -> float:
        """Return the seconds until a budget without `need` may have it."""
        wait_s = self.free_at - now
        if terms.refills:
            wait_s = (need - self.balance(terms, now)) / terms.per_s
        return max(wait_s, self.left_at + PAUSE_S - now, SOON_S)

    def is_used_up(self, now: float) -> bool:
        """Return whether the store has just refused: it is not asked for every request."""
        return self.is_scarce and now - self.left_at < PAUSE_S

    def is_low(self) -> bool:
        """Return whether half of the slice is used."""
        return self.have * 2 < self.start

    def claim(self, terms: Terms) -> Claim:
        """Return what to tell the store now; `grant` or a local balance must follow.

        The next slice is what was used since the last exchange, doubled. What is hardly used goes
        back.
        """
        used = self.start - self.have
        target = min(terms.slice, 2 * used) if used * 4 >= terms.slice else 0.0
        lacks = 0.0
        if self.need:
            target, lacks = max(terms.slice, self.need), max(self.need - self.have, 0.0)
        surplus = max(self.have - target, 0.0) if target else self.have  # or a debt
        change, self.owed = surplus - self.owed, 0.0
        self.have -= surplus
        self.need = 0.0
        self.start = self.have
        return Claim(self.name, terms, change, max(target - self.have, 0.0), lacks, self.second)

    def grant(self, claim: Claim, grant: Grant, now: float) -> None:
        """Take what the store has granted; more may have been spent meanwhile."""
        self.have += grant.granted
        self.start += grant.granted
        self.left, self.left_at = grant.left - self.owed, now
        self.is_scarce = grant.granted < claim.need
        self.free_at = now + grant.wait_s
        if grant.granted:
            self.second = grant.second

    def withdraw(self, claim: Claim) -> None:
        """Report again what a claim reported, next time: the store could not be used."""
        self.owed -= claim.change

    @property
    def is_idle(self) -> bool:
        """Whether the store knows everything about it."""
        return not self.have and not self.owed and not self.need

    def keep_alone(self, terms: Terms, part: float, now: float) -> None:
        """Go on without the store, with this part of what it has left."""
        self.have += max(self.estimate(terms, now), 0.0) * part
        self.need, self.is_scarce = 0.0, False

    def share_again(self, terms: Terms, part: float, now: float) -> None:
        """Owe the store what was spent of this part of the budget without it."""
        left = self.estimate(terms, now)
        self.owed += max(left, 0.0) * part - self.have
        self.have = self.start = 0.0
        self.left, self.left_at = left - self.owed, now
