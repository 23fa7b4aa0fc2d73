"""The concurrency limit, the queue, and the limit of calls per operation."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from gateway.errors import Busy, ProviderError, TooManyCalls
from gateway.request_scope import Scope
from gateway.upstream.client import UpstreamClient
from tests.resilience.accounts import Script, Step, account, response, scope, things
from tests.resilience.clockwork import now, run


async def together(
    upstream: UpstreamClient, count: int, request_id: str = "request-1", seconds: float = 10
) -> Counter[Any]:
    """Make concurrent calls of one operation; count values and classes of errors."""
    within = Scope(request_id, now() + seconds)
    results = await asyncio.gather(
        *(upstream.send(things(), within) for _ in range(count)), return_exceptions=True
    )
    return Counter(each if isinstance(each, str) else type(each).__name__ for each in results)


def test_a_full_queue_refuses_at_once() -> None:
    """Of 40 calls 5 run, 10 wait; the others are refused before any time passes."""

    async def main() -> None:
        script = Script([response()], takes_s=1)
        upstream = account(script, max_concurrency=5, max_queue=10)
        assert await together(upstream, 40) == {"well": 15, "Busy": 25}
        assert (script.most, len(script.at)) == (5, 15)

    run(main())


def test_a_queue_that_takes_too_long_refuses_at_once() -> None:
    """Once calls are known to take 2 s, within 5 s one round can be waited for and no more."""

    async def main() -> None:
        script = Script([response()], takes_s=2)
        upstream = account(script, max_concurrency=2, max_queue=1000)
        for _ in range(30):
            await together(upstream, 2)
        script.at.clear()
        assert await together(upstream, 20) == {"well": 4, "Busy": 16}
        assert len(script.at) == 4

    run(main())


def test_who_is_refused_was_not_sent() -> None:
    """The refusal is immediate, retryable, and says that nothing was sent."""

    async def main() -> None:
        upstream = account(Script([response()], takes_s=1), max_concurrency=1, max_queue=0)
        first = asyncio.create_task(upstream.send(things(), scope()))
        await asyncio.sleep(0.5)
        started = now()
        with pytest.raises(Busy) as refused:
            await upstream.send(things(), scope())
        error = refused.value
        assert (error.was_sent, error.retryable, now() - started) == (False, True, 0)
        assert await first == "well"

    run(main())


def test_all_places_come_back() -> None:
    """After replies, failures, timeouts and disconnected callers every slot is free."""

    async def main() -> None:
        steps: list[Step] = [response(), response(500), 60.0, response(404), 60.0] * 20
        upstream = account(Script(steps), max_concurrency=3, probe_interval_s=0.001)
        calls = [asyncio.create_task(upstream.send(things(), scope())) for _ in range(60)]
        await asyncio.sleep(0.1)
        for call in calls[::7]:
            call.cancel()
        late = asyncio.create_task(together(upstream, 10, "late"))
        await asyncio.wait([*calls, late])
        bulkhead = upstream.guard.bulkhead
        assert (bulkhead.in_use, bulkhead.waiting) == (0, 0)

    run(main())


def test_calls_of_one_operation_are_bounded() -> None:
    """The eleventh call of an operation is refused; another operation's first is not."""

    async def main() -> None:
        script = Script([response()])
        upstream = account(script, max_calls_per_operation=10)
        one = scope()
        for _ in range(10):
            await upstream.send(things(), one)
        with pytest.raises(TooManyCalls) as refused:
            await upstream.read(things(), one)
        assert refused.value.was_sent is False
        assert await upstream.read(things(), scope()) == "well"
        assert len(script.at) == 11

    run(main())


def test_operations_take_turns() -> None:
    """One has a hundred calls waiting; the next one's five are made in the next two rounds."""

    async def main() -> None:
        script = Script([response()], takes_s=0.1)
        upstream = account(script, max_concurrency=5, timeout_s=60)
        large = asyncio.create_task(together(upstream, 100, "large", seconds=60))
        await asyncio.sleep(0.05)
        started = now()
        assert await together(upstream, 5, "small") == {"well": 5}
        assert now() - started == pytest.approx(0.05 + 2 * 0.1)
        assert await large == {"well": 100}
        assert now() - started == pytest.approx(2.1 - 0.05)

    run(main())


def test_a_queue_that_one_operation_fills_has_room_for_others() -> None:
    """Its newest calls give way, until both have as much of the queue."""

    async def main() -> None:
        script = Script([response()], takes_s=0.1)
        upstream = account(script, max_concurrency=2, max_queue=10, timeout_s=60)
        large = asyncio.create_task(together(upstream, 12, "large"))
        await asyncio.sleep(0.05)
        small = asyncio.create_task(together(upstream, 8, "small"))
        assert (await large, await small) == ({"well": 7, "Busy": 5}, {"well": 5, "Busy": 3})
        assert (script.most, len(script.at)) == (2, 12)

    run(main())


def test_two_providers_do_not_wait_for_each_other() -> None:
    """One hangs with all its slots in use; calls to the other are not delayed."""

    async def main() -> None:
        sick = account(Script([60.0]), max_concurrency=2)
        well = account(Script([response()], takes_s=0.1), max_concurrency=2)
        waiting = [asyncio.create_task(sick.send(things(), scope())) for _ in range(50)]
        await asyncio.sleep(0)
        started = now()
        assert await together(well, 2) == {"well": 2}
        assert now() - started == pytest.approx(0.1)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, ProviderError) for each in results)

    run(main())
