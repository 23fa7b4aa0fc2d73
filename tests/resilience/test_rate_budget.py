"""What a provider says it still allows is not overdrawn."""

import asyncio
import time
from typing import Any

import pytest

from gateway.errors import RateLimited
from gateway.providers.base.adapter import RateLimitStatus
from gateway.providers.base.exchange import Reply
from gateway.providers.registry import ADAPTERS
from gateway.upstream.resilience.rate_limit import RateLimit
from tests.resilience.accounts import Script, account, response, scope, things
from tests.resilience.clockwork import run


def limits(limit: int, remaining: int, retry: float) -> dict[str, str]:
    """Return Voucherify's headers, as keywords."""
    return {
        "x_rate_limit_limit": str(limit),
        "x_rate_limit_remaining": str(remaining),
        "x_rate_limit_retry": str(int(retry)),
    }


def test_at_zero_nothing_is_sent_until_the_reset() -> None:
    """After the reply that reports no calls left, the next call fails with the time to wait."""

    async def main() -> None:
        script = Script([response(200, "well", **limits(100, 0, time.time() + 30)), response()])
        upstream = account(script, kind="voucherify")
        assert await upstream.send(things(), scope()) == "well"
        with pytest.raises(RateLimited) as refused:
            await upstream.send(things(), scope())
        error = refused.value
        assert error.retry_after_s == pytest.approx(29.5, abs=1)
        assert (error.was_sent, error.status, len(script.at)) == (False, None, 1)
        await asyncio.sleep(31)
        assert await upstream.send(things(), scope()) == "well"

    run(main())


def test_background_work_yields_first() -> None:
    """With less than a tenth left, background calls and retries are not made."""

    async def main() -> None:
        low = limits(100, 9, time.time())
        script = Script([response(200, "well", **low), response(503, "no", **low)])
        upstream = account(script, kind="voucherify")
        assert await upstream.send(things(), scope(is_background=True)) == "well"
        with pytest.raises(RateLimited):
            await upstream.send(things(), scope(is_background=True))
        with pytest.raises(Exception, match="failed internally"):
            await upstream.send(things(), scope())
        assert len(script.at) == 2

    run(main())


def test_low_is_forgotten_in_a_minute() -> None:
    """Without newer replies background work tries again after a minute."""
    budget = RateLimit()
    budget.note(RateLimitStatus(100, 5, 1000), 1000, now=50)
    assert budget.refusal_s(50, is_background=True) == 60
    assert budget.refusal_s(50, is_background=False) is None
    assert budget.refusal_s(110, is_background=True) is None


@pytest.mark.parametrize("resets_at", [0.0, 1e15])
def test_a_reset_that_cannot_be(resets_at: float) -> None:
    """A reset in the past blocks nothing; one in the far future blocks for a minute."""
    budget = RateLimit()
    budget.note(RateLimitStatus(100, 0, resets_at), 1000, now=50)
    assert budget.refusal_s(50, is_background=False) == (None if resets_at == 0 else 60)


@pytest.mark.parametrize(
    ("headers", "meant"),
    [
        (("100", "99", "1700000000"), RateLimitStatus(100, 99, 1_700_000_000)),
        (("100", "-1", "1700000000"), None),
        (("100", "", "1700000000"), None),
        (("1e2", "9", "1700000000"), None),
        (("٣", "9", "1700000000"), None),
        (("9" * 400, "9", "1700000000"), None),
    ],
)
def test_voucherifys_headers(headers: tuple[str, str, str], meant: Any) -> None:
    """Three numbers, else nothing."""
    form = ADAPTERS["voucherify"]
    base = {"key": "v", "kind": "voucherify", "base_url": "https://v.test"}
    adapter: Any = form(form.Settings.model_validate({**base, "app_id": "i", "app_token": "t"}))
    names = ("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-retry")
    assert adapter.rate_limit(Reply(200, dict(zip(names, headers, strict=True)), b"")) == meant
    assert adapter.rate_limit(Reply(200, {}, b"")) is None
