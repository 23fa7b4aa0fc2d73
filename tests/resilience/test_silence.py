"""A provider that hangs: its circuit opens before the first time-out, however few calls there are.

Equal reads share a call, so that the breaker alone would see one failure each `timeout_s`.
"""

import asyncio
from typing import Any

import pytest

from gateway.errors import ProviderError, Unavailable
from gateway.upstream.client import UpstreamClient
from tests.resilience.accounts import Script, account, circuit, response, scope, things
from tests.resilience.clockwork import now, run

HANGS = 600.0


async def visit(
    upstream: UpstreamClient, count: int, every_s: float
) -> list[tuple[float, float, Any]]:
    """Have callers read the same one after the other; return when each came, its wait, its end."""
    started = now()

    async def one(number: int) -> tuple[float, float, Any]:
        await asyncio.sleep(number * every_s)
        came = now()
        try:
            end: Any = await upstream.read(things(), scope())
        except ProviderError as error:
            end = error
        return came - started, now() - came, end

    return await asyncio.gather(*(one(number) for number in range(count)))


def test_equal_reads_are_slow_for_half_the_timeout_at_most() -> None:
    """Of ten callers a second those of the first 2.5 s wait; all later ones fail at once."""

    async def main() -> None:
        script = Script([HANGS])
        upstream = account(script, probe_interval_s=5)
        visits = await visit(upstream, 45, 0.1)
        slow = [came for came, waited, _ in visits if waited > 0.2]
        assert 1 <= max(slow) <= 3
        refused = [end for came, _, end in visits if came > 3]
        assert {type(end) for end in refused} == {Unavailable}
        assert len(script.at) == 1

    run(main())


def test_few_callers_are_no_evidence() -> None:
    """Four callers of a slow call wait to its end, and the circuit stays closed."""

    async def main() -> None:
        upstream = account(Script([response()], takes_s=4.5))
        visits = await visit(upstream, 4, 1)
        assert [end for *_, end in visits] == ["well"] * 4
        assert circuit(upstream) == "CLOSED"

    run(main())


def test_an_answer_after_all_closes_it_again() -> None:
    """A slow provider is called again after its first reply, without waiting for a probe."""

    async def main() -> None:
        script = Script([response()], takes_s=4)
        upstream = account(script, probe_interval_s=60)
        visits = await visit(upstream, 39, 0.1)
        assert {type(end) for came, _, end in visits if came > 3} == {Unavailable}
        assert circuit(upstream) == "CLOSED"
        # What it takes is known now: the same again is no reason to open.
        assert {end for *_, end in await visit(upstream, 39, 0.1)} == {"well"}
        assert len(script.at) == 2

    run(main())


def test_one_that_answers_something_is_not_silent() -> None:
    """While other calls get replies, a hanging one does not open the circuit early."""

    async def main() -> None:
        script = Script([HANGS, response()])
        upstream = account(script, cache_ttl_s=0)
        hanging = asyncio.create_task(visit(upstream, 1, 0))
        await asyncio.sleep(0.1)
        for _ in range(40):
            assert await upstream.send(things(), scope()) == "well"
            await asyncio.sleep(0.1)
        assert circuit(upstream) == "CLOSED"
        await hanging

    run(main())


def test_writes_count_as_callers() -> None:
    """Five writes that hang open the circuit for the sixth after half of the time-out."""

    async def main() -> None:
        script = Script([HANGS])
        upstream = account(script)
        writes = [asyncio.create_task(upstream.send(things(), scope())) for _ in range(5)]
        await asyncio.sleep(2.6)
        with pytest.raises(Unavailable):
            await upstream.send(things(), scope())
        await asyncio.wait(writes)
        assert len(script.at) == 5

    run(main())


def test_the_wait_that_is_told_is_the_one_that_is_obeyed() -> None:
    """A retry after `retryAfterMs` is sent; one a moment earlier is not."""

    async def main() -> None:
        script = Script([response(500)] * 5 + [response()])
        upstream = account(script, retries=0, probe_interval_s=7)
        for _ in range(4):
            with pytest.raises(ProviderError) as failed:
                await upstream.read(things(), scope())
            assert failed.value.retry_after_s is None
        with pytest.raises(ProviderError) as failed:  # the one that opens it
            await upstream.read(things(), scope())
        assert (failed.value.status, failed.value.retry_after_s) == (500, 7)
        await asyncio.sleep(6)
        with pytest.raises(Unavailable) as refused:
            await upstream.read(things(), scope())
        assert refused.value.retry_after_s == pytest.approx(1)
        await asyncio.sleep(1)
        assert await upstream.read(things(), scope()) == "well"

    run(main())


def test_a_readers_patience_with_a_probe_tells_the_next_probe() -> None:
    """A caller that gives up on a hanging probe learns when the next one is due."""

    async def main() -> None:
        script = Script([response(500)] * 5 + [HANGS])
        upstream = account(script, retries=0, probe_interval_s=4)
        for _ in range(5):
            with pytest.raises(ProviderError):
                await upstream.read(things(), scope())
        await asyncio.sleep(4)
        started = now()
        with pytest.raises(Unavailable) as given_up:
            await upstream.read(things(), scope())
        waited = now() - started
        assert given_up.value.retry_after_s == pytest.approx(4 - waited)
        with pytest.raises(Unavailable) as refused:
            await upstream.send(things(), scope())
        assert refused.value.retry_after_s == pytest.approx(4 - waited)
        await upstream.close()

    run(main())
