"""Budgets per caller and minute, with a fake clock and over HTTP."""

import pytest

from gateway.errors import LimitExceeded
from gateway.limits import caller_budgets
from gateway.limits.caller_budgets import Budgets
from gateway.limits.settings import LimitSettings
from tests.security.bounded import ask, bounded, errors_of

LIMITS = LimitSettings(requests_per_minute=60, cost_per_minute=600)


def test_requests_refill_by_the_second() -> None:
    """60 at once, then one per second; the error says when the next one is allowed."""
    known = Budgets(LIMITS)
    for _ in range(60):
        known.count("a", 0)
    with pytest.raises(LimitExceeded) as refused:
        known.count("a", 0.25)
    assert str(refused.value) == (
        "requests_per_minute is used up; at most 60 are allowed (limits.requests_per_minute)."
    )
    assert refused.value.retry_after_s == pytest.approx(0.75)
    known.count("a", 1.0)
    with pytest.raises(LimitExceeded):
        known.count("a", 1.5)
    known.count("b", 1.5)


def test_cost_is_charged_before_and_settled_after() -> None:
    """Unused cost is refunded, further cost is charged; the balance may be negative."""
    known = Budgets(LIMITS)
    known.spend("a", 500, 0)
    assert known.settle("a", -200, 0) == 300
    with pytest.raises(LimitExceeded) as refused:
        known.spend("a", 301, 0)
    assert str(refused.value) == (
        "cost_per_minute is down to 300, and this operation costs 301; at most 600 are allowed "
        "(limits.cost_per_minute)."
    )
    assert refused.value.retry_after_s == pytest.approx(0.1)
    assert known.settle("a", 900, 0) == -600
    assert known.settle("a", 0, 60) == 0
    assert known.settle("a", -10_000, 60) == 600


def test_who_asks_nothing_for_a_minute_is_forgotten() -> None:
    """A full budget is dropped; a negative balance is kept until it is full again."""
    known = Budgets(LIMITS)
    known.count("a", 0)
    known.settle("debtor", 1200, 0)
    known.count("b", 61)
    assert len(known) == 2
    with pytest.raises(LimitExceeded):
        known.spend("debtor", 601, 90)
    known.count("c", 1000)
    assert len(known) == 1


def test_a_flood_of_callers_has_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of callers takes no more memory, resets no budget, and shares one."""
    monkeypatch.setattr(caller_budgets, "MAX_CALLERS", 3)
    known = Budgets(LIMITS)
    known.spend("victim", 600, 0)
    for number in range(1000):
        try:
            known.count(f"stranger {number}", 1)
        except LimitExceeded:
            break
    assert number == 2 + 60
    assert len(known) == 3
    with pytest.raises(LimitExceeded):
        known.spend("victim", 11, 1)
    # A minute later there is room again.
    known.count("stranger 999", 62)
    assert len(known) == 1


async def test_too_many_requests_at_the_front_door() -> None:
    """The status is 429 with Retry-After, and nothing is sent; refused documents count."""
    async with bounded(requests_per_minute=3) as front:  # one was asked to sign in
        assert (await ask(front, "{ nothing }")).status_code == 400
        assert (await ask(front, "{ providers { key } }")).status_code == 200
        reply = await ask(front, "{ segments { totalCount } }")
        (error,) = reply.json()["errors"]
        assert errors_of(reply) == (
            429,
            [
                (
                    (
                        "requests_per_minute is used up; at most 3 are allowed "
                        "(limits.requests_per_minute)."
                    ),
                    "LIMIT_EXCEEDED",
                )
            ],
        )
        assert 0 < error["extensions"]["retryAfterMs"] <= 20_000
        assert 1 <= int(reply.headers["retry-after"]) <= 20
        assert front.calls == []


async def test_too_much_cost_at_the_front_door() -> None:
    """The response states the remaining budget, and the error states what is missing."""
    async with bounded(cost_per_minute=200) as front:
        reply = await ask(front, "{ segments(first: 100) { nodes { id } } }")
        cost = reply.json()["extensions"]["cost"]
        assert (cost["requested"], cost["calls"]) == (40 + 102, 4)
        # One of four providers is never called: 10 came back. The first request took 32 of it.
        assert cost["remaining"] in range(30, 60)
        front.forget()
        reply = await ask(front, "{ segments(first: 100) { nodes { id } } }")
        assert reply.status_code == 429
        assert "cost_per_minute is down to" in errors_of(reply)[1][0][0]
        assert front.calls == []
        assert (await ask(front, "{ __typename }")).status_code == 200
