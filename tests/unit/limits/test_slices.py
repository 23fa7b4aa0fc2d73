"""Slices of budgets: how large, what the store learns, what goes back."""

import pytest

from gateway.limits.slices import Claim, Grant, Slice, Terms, share_of
from gateway.store.shared_budgets import from_bucket, from_window

TERMS = Terms(600, 60, refills=True)
CALLS = Terms(100, 60, refills=False)


@pytest.mark.parametrize(
    ("left", "want", "need", "share"),
    [
        pytest.param(600, 12, 0, 12, id="plenty"),
        pytest.param(30, 12, 0, 10, id="an equal part"),
        pytest.param(1.5, 12, 1, 1, id="at least what is needed"),
        pytest.param(100, 12, 142, 0, id="nothing, so that it accumulates"),
        pytest.param(0.5, 12, 1, 0, id="less than needed"),
        pytest.param(-20, 12, 0, 0, id="a debt"),
        pytest.param(500, 12, 400, 400, id="a costly operation"),
    ],
)
def test_shares(left: float, want: float, need: float, share: float) -> None:
    """One of three processes gets this of what is left."""
    assert share_of(left, want, need, 3) == share


@pytest.mark.parametrize(("most", "size"), [(60_000, 1200), (600, 12), (100, 2), (70, 1), (3, 1)])
def test_sizes(most: float, size: float) -> None:
    """A slice is a fiftieth, in whole numbers, at least one."""
    assert Terms(most, 60, refills=True).slice == size


def test_a_caller_who_comes_now_and_then() -> None:
    """The first request waits for nothing; the store learns of one request, and keeps the rest."""
    slice_ = Slice("requests a")
    assert slice_.take_ahead(1, TERMS, 0)
    slice_.have -= 1
    assert (slice_.have, slice_.owed, slice_.estimate(TERMS, 0)) == (11, 12, 588)
    claim = slice_.claim(TERMS)
    assert claim == Claim("requests a", TERMS, change=-1, want=0, need=0, second=0)
    slice_.grant(claim, Grant(0, 599, 0, 0), 0)
    assert slice_.is_idle
    assert slice_.balance(TERMS, 0) == 599
    assert slice_.balance(TERMS, 0.05) == 599.5


def test_a_budget_that_has_refilled_beside_a_slice() -> None:
    """No more is left than the whole budget."""
    slice_ = Slice("requests a")
    assert slice_.take_ahead(1, TERMS, 0)
    assert slice_.have == 12
    assert [slice_.balance(TERMS, now) for now in (0, 1, 60)] == [600, 600, 600]


def test_a_caller_who_asks_a_lot() -> None:
    """The next slice follows use; the one after a quiet second goes back."""
    slice_ = Slice("requests a")
    assert slice_.take_ahead(1, TERMS, 0)
    slice_.have -= 8
    assert slice_.is_low()
    claim = slice_.claim(TERMS)
    assert (claim.change, claim.want, claim.need) == (-12, 8, 0)
    slice_.have -= 1  # while the exchange is under way
    slice_.grant(claim, Grant(8, 580, 0, 0), 1)
    assert (slice_.have, slice_.start, slice_.is_low()) == (11, 12, False)
    slice_.have -= 1
    assert slice_.claim(TERMS)[2:5] == (10, 0, 0)
    assert slice_.have == 0


def test_with_little_left_the_store_comes_first() -> None:
    """Below a quarter nothing is taken in advance; for a while a refusal holds for others, too."""
    slice_ = Slice("requests a")
    slice_.left, slice_.left_at = 100, 5
    assert not slice_.take_ahead(1, TERMS, 5)
    slice_.need = 1
    claim = slice_.claim(TERMS)
    assert (claim.change, claim.want, claim.need) == (0, 12, 1)
    slice_.grant(claim, Grant(0, 0.5, 0.05, 0), 6)
    assert slice_.is_used_up(6.09)
    assert slice_.refusal_s(1, TERMS, 6) == pytest.approx(0.1)
    assert slice_.refusal_s(5, TERMS, 6) == pytest.approx(0.45)
    assert not slice_.is_used_up(6.11)


def test_a_debt_is_told() -> None:
    """An operation that cost more than was charged is paid by the whole budget."""
    slice_ = Slice("cost a")
    slice_.have = -2
    assert slice_.claim(TERMS)[2:5] == (-2, 0, 0)
    assert slice_.have == 0


def test_an_exchange_that_failed() -> None:
    """What a claim reported is reported with the next one."""
    slice_ = Slice("requests a")
    assert slice_.take_ahead(1, TERMS, 0)
    slice_.have -= 8
    slice_.withdraw(slice_.claim(TERMS))
    slice_.have -= 1
    assert slice_.claim(TERMS).change == -9
    assert slice_.have == 0


def test_without_the_store() -> None:
    """A process spends its part of what was left, and owes what it spent; alone it is all."""
    slice_ = Slice("requests a")
    slice_.have = slice_.start = 6
    slice_.left, slice_.left_at = 300, 0
    slice_.keep_alone(TERMS, 1 / 3, 0)
    assert slice_.have == 106
    slice_.have -= 80 - 10 * 3 / 3  # less what came back in three seconds, of a third of it
    slice_.share_again(TERMS, 1 / 3, 3)
    assert slice_.have == 0
    assert slice_.owed == pytest.approx(80 - 6)
    alone = Slice("requests a", have=450)
    alone.share_again(TERMS, 1, 100)
    assert (alone.have, alone.owed, alone.balance(TERMS, 100)) == (0, 150, 450)


def claim(change: float = 0, want: float = 0, need: float = 0, second: int = 0) -> Claim:
    """Return a claim on calls."""
    return Claim("calls a", CALLS, change, want, need, second)


def test_a_bucket() -> None:
    """It refills by the database's clock, to the top; a clock that was set back adds nothing."""
    ask = Claim("requests a", TERMS, -5, 12, 0, 0)
    assert from_bucket(100, 10, ask, 3, 12) == Grant(12, 103, 0, 0)
    assert from_bucket(100, 10, ask, 3, 3) == Grant(12, 83, 0, 0)
    assert from_bucket(0, 0, ask, 3, 1e9) == Grant(12, 583, 0, 0)
    lacks = Claim("requests a", TERMS, 0, 12, 3, 0)
    assert from_bucket(1, 10, lacks, 3, 10) == Grant(0, 1, 0.2, 0)
    back = Claim("requests a", TERMS, 50, 0, 0, 0)
    assert from_bucket(590, 10, back, 3, 10) == Grant(0, 600, 0, 0)


def test_a_window() -> None:
    """Calls count for the window and a second; what goes back was part of its own second."""
    calls = {100: 60.0, 130: 30.0}
    assert from_window(calls, claim(want=2), 3, 150.5) == (Grant(2, 8, 0, 150), {150: 2})
    assert from_window(calls, claim(want=2), 3, 161.5) == (Grant(2, 68, 0, 161), {161: 2})
    assert from_window(calls, claim(change=4, second=130), 3, 150.5) == (
        Grant(0, 14, 0, 150),
        {130: -4},
    )
    assert from_window(calls, claim(change=-4), 3, 150.5) == (Grant(0, 6, 0, 150), {150: 4})
    full = {100: 60.0, 130: 40.0}
    assert from_window(full, claim(want=2, need=1), 3, 150.5) == (Grant(0, 0, 10.5, 150), {})
    # Those of a clock that was set back do not block anything.
    assert from_window({9000: 100.0}, claim(want=2), 3, 150.5) == (Grant(2, 98, 0, 150), {150: 2})
