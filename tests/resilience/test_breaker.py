"""A provider that fails too often rests, is tried by one call at a time, and comes back."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.errors import Broken, Denied, ProviderError, Refused, TimedOut, Unavailable
from gateway.upstream.client import UpstreamClient
from gateway.upstream.resilience.circuit_breaker import MIN_CALLS, WINDOW, Circuit, CircuitBreaker
from tests.resilience.accounts import Script, Step, account, circuit, response, scope, things
from tests.resilience.clockwork import now, run


async def outcomes(upstream: UpstreamClient, count: int, **within: Any) -> list[Any]:
    """Make sequential calls; return values and classes of errors."""
    results: list[Any] = []
    for _ in range(count):
        try:
            results.append(await upstream.send(things(), scope(**within)))
        except ProviderError as error:
            results.append(type(error).__name__)
    return results


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (response(500), "Broken"),
        (response(429), "RateLimited"),
        (response(301), "Malformed"),
        (httpx.ReadError("x"), "Unreachable"),
        (60.0, "TimedOut"),
    ],
    ids=["5xx", "429", "unreadable", "torn", "timeout"],
)
def test_opens_after_five_of_a_start(step: Step, name: str) -> None:
    """Every kind of failure counts; then nothing is sent, and calls fail at once."""

    async def main() -> None:
        script = Script([step])
        upstream = account(script, retries=0, probe_interval_s=30)
        assert await outcomes(upstream, 5) == [name] * 5
        started = now()
        with pytest.raises(Unavailable) as refused:
            await upstream.send(things(), scope())
        assert (refused.value.retry_after_s, refused.value.was_sent) == (30, False)
        assert (len(script.at), now() - started) == (5, 0)
        assert circuit(upstream) == "OPEN"

    run(main())


@pytest.mark.parametrize("status", [400, 401, 403, 404], ids=str)
def test_the_callers_faults_do_not_count(status: int) -> None:
    """A provider that refuses is well."""

    async def main() -> None:
        script = Script([response(status)])
        upstream = account(script)
        meant = (Denied if status in {401, 403} else Refused).__name__
        assert await outcomes(upstream, 100) == [meant] * 100
        assert (len(script.at), circuit(upstream)) == (100, "CLOSED")

    run(main())


def test_one_call_probes_and_closes_it() -> None:
    """After the interval one probe is sent, others still fail; once it succeeds all are sent."""

    async def main() -> None:
        script = Script([response(500)] * 5 + [response()])
        upstream = account(script, retries=0, probe_interval_s=5)
        with capture_logs() as lines:
            await outcomes(upstream, 5)
            assert await outcomes(upstream, 20) == ["Unavailable"] * 20
            await asyncio.sleep(5)
            script.takes_s = 0.5
            probe = asyncio.create_task(upstream.send(things(), scope()))
            await asyncio.sleep(0.1)
            assert circuit(upstream) == "HALF_OPEN"
            assert await outcomes(upstream, 20) == ["Unavailable"] * 20
            assert await probe == "well"
            assert circuit(upstream) == "CLOSED"
            assert await outcomes(upstream, 20) == ["well"] * 20
        assert len(script.at) == 26
        changes = [line["event"] for line in lines if line["event"].startswith("circuit")]
        assert changes == ["circuit opened", "circuit closed"]

    run(main())


def test_a_failed_probe_is_another_rest() -> None:
    """Ten minutes of outage cost one call every five seconds, and no line in the log."""

    async def main() -> None:
        script = Script([response(500)])
        upstream = account(script, retries=0, probe_interval_s=5)
        await outcomes(upstream, 5)
        with capture_logs() as lines:
            for _ in range(600):
                await asyncio.sleep(1)
                await outcomes(upstream, 1)
        assert len(script.at) == 5 + 120
        assert [line for line in lines if line["event"].startswith("circuit")] == []

    run(main())


def test_a_probe_that_is_given_up_lets_the_next_one_probe() -> None:
    """A client that hangs up neither heals nor hurts the provider."""

    async def main() -> None:
        script = Script([response(500)] * 5 + [4.0, response()])
        upstream = account(script, retries=0, probe_interval_s=5)
        await outcomes(upstream, 5)
        await asyncio.sleep(5)
        probe = asyncio.create_task(upstream.send(things(), scope()))
        await asyncio.sleep(1)
        probe.cancel()
        await asyncio.wait([probe])
        assert circuit(upstream) == "HALF_OPEN"
        assert await outcomes(upstream, 1) == ["well"]
        assert circuit(upstream) == "CLOSED"

    run(main())


def test_stragglers_of_before_say_nothing_of_now() -> None:
    """A call that was sent while the provider was well, and fails later, changes nothing."""
    changes: list[Circuit] = []
    breaker = CircuitBreaker(changes.append, probe_interval_s=5)
    late = [breaker.begin(0) for _ in range(10)]
    for generation in late[:5]:
        breaker.end(generation, 1, failed=True)
    probe = breaker.begin(6)
    for generation in late[5:]:
        breaker.end(generation, 6, failed=True)
    assert breaker.circuit is Circuit.HALF_OPEN
    breaker.end(probe, 7, failed=False)
    assert changes == [Circuit.OPEN, Circuit.CLOSED]


def test_a_share_of_failures_is_borne() -> None:
    """Below half of the newest twenty it stays closed, from half on it opens."""
    changes: list[Circuit] = []
    breaker = CircuitBreaker(changes.append, probe_interval_s=5)
    for place in range(1000):
        breaker.end(breaker.begin(0), 0, failed=place % 9 < 4 and place % 9 != 0)
    assert changes == []
    for _ in range(WINDOW):
        breaker.end(breaker.begin(0), 0, failed=False)
    failures = 0
    while breaker.circuit is Circuit.CLOSED:
        breaker.end(breaker.begin(0), 0, failed=True)
        failures += 1
    assert (failures, MIN_CALLS) == (WINDOW // 2, 5)


def test_time_that_others_used_up_is_not_the_providers() -> None:
    """Requests that have a tenth of a second left time out; the provider is not blamed."""

    async def main() -> None:
        upstream = account(Script([response()], takes_s=0.2), timeout_s=5)
        assert await outcomes(upstream, 20, seconds=0.1) == [TimedOut.__name__] * 20
        assert circuit(upstream) == "CLOSED"
        assert await outcomes(upstream, 1) == ["well"]

    run(main())


def test_a_reader_does_not_wait_for_its_probe() -> None:
    """The caller that causes a probe fails early; the probe continues and closes the circuit."""

    async def main() -> None:
        script = Script([response(500)] * 5 + [3.0, response()])
        upstream = account(script, retries=0, probe_interval_s=5)
        await outcomes(upstream, 5)
        await asyncio.sleep(5)
        started, usual = now(), 0.1
        for path in ("/things", "/things", "/others"):
            with pytest.raises(Unavailable):
                await upstream.read(things(path), scope())
        # The second waits for the same probe, the third is refused.
        assert now() - started == pytest.approx(2 * 1.1 * usual)
        assert len(script.at) == 6
        await asyncio.sleep(3)
        assert circuit(upstream) == "CLOSED"
        assert await upstream.read(things(), scope()) == "well"

    run(main())


def test_a_failed_probe_is_not_retried() -> None:
    """The retry would be refused, so its reader fails as soon as the probe does."""

    async def main() -> None:
        script = Script([response(503)])
        upstream = account(script, retries=2, probe_interval_s=5)
        await outcomes(upstream, 2)
        assert (len(script.at), circuit(upstream)) == (5, "OPEN")
        await asyncio.sleep(5)
        script.takes_s, started = 0.1, now()
        with pytest.raises(Broken):
            await upstream.read(things(), scope())
        assert now() - started == pytest.approx(0.1)
        assert len(script.at) == 6

    run(main())


def test_a_probe_that_answers_as_usual_is_the_answer() -> None:
    """Once a provider is back, the first caller gets its result."""

    async def main() -> None:
        script = Script([response(500)] * 5 + [response()], takes_s=0.1)
        upstream = account(script, retries=0, probe_interval_s=5)
        await outcomes(upstream, 5)
        await asyncio.sleep(5)
        assert await upstream.read(things(), scope()) == "well"
        assert circuit(upstream) == "CLOSED"

    run(main())
