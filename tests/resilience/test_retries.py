"""Which calls are made again, when, and how often in an outage."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from gateway.errors import Broken, ProviderError, RateLimited, Refused, TimedOut, Unreachable
from gateway.providers.base.exchange import Exchange
from gateway.upstream.client import UpstreamClient
from gateway.upstream.resilience.retry import MAX_BUDGET, RetryPolicy
from tests.resilience.accounts import Script, account, response, scope, things
from tests.resilience.clockwork import now, run

WELL = response()


async def failing(
    upstream: UpstreamClient, exchange: Exchange[str], **within: Any
) -> ProviderError:
    """Return the error that a call fails with."""
    with pytest.raises(ProviderError) as failed:
        await upstream.send(exchange, scope(**within))
    return failed.value


@pytest.mark.parametrize(
    "step",
    [
        response(429),
        response(502),
        response(503),
        response(504),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("torn"),
    ],
    ids=["429", "502", "503", "504", "unreachable", "reset", "torn"],
)
def test_what_may_pass_is_tried_again(step: httpx.Response | Exception) -> None:
    """One such failure is not seen by the caller; it costs one more call."""

    async def main() -> None:
        script = Script([step, WELL])
        assert await account(script).send(things(), scope()) == "well"
        assert len(script.at) == 2

    run(main())


@pytest.mark.parametrize(
    ("step", "meant"),
    [
        (response(500), Broken),
        (response(501), Broken),
        (response(400), Refused),
        (response(404), Refused),
        (60.0, TimedOut),
    ],
    ids=["500", "501", "400", "404", "no answer"],
)
def test_what_will_not_pass_is_not(
    step: httpx.Response | float, meant: type[ProviderError]
) -> None:
    """Any other failure is the result, after one call."""

    async def main() -> None:
        script = Script([step])
        assert type(await failing(account(script), things())) is meant
        assert len(script.at) == 1

    run(main())


@pytest.mark.parametrize("step", [response(503), httpx.ConnectError("refused"), response(429)])
def test_what_is_not_idempotent_is_sent_once(step: httpx.Response | Exception) -> None:
    """A POST that creates is never sent again, whatever happened to it."""

    async def main() -> None:
        script = Script([step])
        await failing(account(script), things(method="POST", is_idempotent=False))
        assert len(script.at) == 1

    run(main())


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_as_often_as_configured(retries: int) -> None:
    """`retries = 0` means one attempt."""

    async def main() -> None:
        script = Script([response(503)])
        await failing(account(script, retries=retries, probe_interval_s=600), things())
        # Five failures in a row open the circuit: the sixth call is not sent.
        assert len(script.at) == min(retries + 1, 5)

    run(main())


def test_waits_grow_and_scatter() -> None:
    """The wait doubles from 0.1 s to 2 s; chance takes up to half of it away."""
    for chance, expected in [(0.0, [0.05, 0.1, 0.2, 0.4, 0.8]), (1.0, [0.1, 0.2, 0.4, 0.8, 1.6])]:
        retries = RetryPolicy(9, partial(float, chance))
        error = Broken("acme", "x", status=503)
        waits = [retries.wait_s(error, done, 100) for done in range(5)]
        assert waits == pytest.approx(expected)


def test_retry_after_is_obeyed_when_it_fits() -> None:
    """The second call comes after this many seconds, and at most a tenth of one later."""

    async def main() -> None:
        script = Script([response(429, retry_after="3"), WELL])
        assert await account(script).send(things(), scope()) == "well"
        assert 3.01 <= script.at[1] - script.at[0] <= 3.1

    run(main())


def test_retry_after_as_a_date_is_measured_by_the_providers_clock() -> None:
    """A date two seconds after the reply's own Date is two seconds."""

    async def main() -> None:
        headers = {
            "retry_after": "Sun, 22 Nov 2026 10:00:02 GMT",
            "date": "Sun, 22 Nov 2026 10:00:00 GMT",
        }
        script = Script([response(503, **headers), WELL])
        assert await account(script).send(things(), scope()) == "well"
        assert 2.01 <= script.at[1] - script.at[0] <= 2.1

    run(main())


def test_retry_after_that_does_not_fit_fails_at_once_with_the_number() -> None:
    """30 s exceed the deadline of 5 s: the caller fails at once, and no call is sent meanwhile."""

    async def main() -> None:
        script = Script([response(429, retry_after="30")])
        upstream, started = account(script), now()
        error = await failing(upstream, things())
        assert (type(error), error.retry_after_s, now() - started) == (RateLimited, 30, 0)
        await asyncio.sleep(10)
        error = await failing(upstream, things())
        assert (type(error), error.retry_after_s, error.was_sent) == (RateLimited, 20, False)
        assert len(script.at) == 1
        await asyncio.sleep(20)
        await failing(upstream, things())
        assert len(script.at) == 2

    run(main())


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", "", "٣", "Sun, 99 Nov 2026 10:00:00 GMT"])
def test_retry_after_that_says_nothing(text: str) -> None:
    """It is as if it were not there."""

    async def main() -> None:
        answer = httpx.Response(429, headers={b"retry-after": text.encode()}, text="no")
        error = await failing(account(Script([answer]), retries=0), things())
        assert error.retry_after_s is None

    run(main())


def test_retry_after_of_ages_is_a_day() -> None:
    """400 digits are a number too."""

    async def main() -> None:
        error = await failing(account(Script([response(429, retry_after="9" * 400)])), things())
        assert error.retry_after_s == 86_400

    run(main())


def test_no_retry_beyond_the_time_left() -> None:
    """A wait that would exceed the deadline is not started."""

    async def main() -> None:
        script = Script([response(503)])
        started = now()
        await failing(account(script), things(), seconds=0.04)
        assert (len(script.at), now() - started) == (1, 0)

    run(main())


def test_an_outage_is_multiplied_by_little() -> None:
    """1000 calls into an outage earn 100 retries, beside the ten that were saved."""
    retries = RetryPolicy(2, lambda: 0.5)
    error = Unreachable("acme", "x")
    made = 0
    for _ in range(1000):
        retries.count_call()
        done = 0
        while retries.wait_s(error, done, 5) is not None:
            done += 1
            made += 1
    assert MAX_BUDGET + 90 <= made <= MAX_BUDGET + 100


def test_what_was_sent_once_may_have_acted() -> None:
    """Sent and lost, then not reachable: the provider may have acted all the same."""

    async def main() -> None:
        script = Script([httpx.ReadError("reset"), httpx.ConnectError("refused")])
        error = await failing(account(script), things(method="PUT"))
        assert (type(error), error.was_sent, len(script.at)) == (Unreachable, True, 3)

    run(main())


def test_a_date_without_a_date_is_measured_by_ours() -> None:
    """A moment long gone is no wait."""

    async def main() -> None:
        past = datetime(2020, 1, 1, tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        error = await failing(
            account(Script([response(429, retry_after=past)]), retries=0), things()
        )
        assert error.retry_after_s == 0

    run(main())
