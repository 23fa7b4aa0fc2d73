"""A deadline ends what it stands around, and nothing else, just as asyncio's own does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from gateway.upstream.resilience.deadline import Deadline
from tests.resilience.clockwork import now, run


@asynccontextmanager
async def ours(until: float) -> AsyncIterator[None]:
    """Stand around a body as asyncio's does."""
    with Deadline(until, asyncio.get_running_loop()):
        yield


@pytest.mark.parametrize("within", [ours, asyncio.timeout_at], ids=["ours", "asyncio's"])
@pytest.mark.parametrize(
    ("takes_s", "cancelled_at_s", "outcome"),
    [
        (1, None, ("well", 1)),
        (9, None, ("TimeoutError", 2)),
        (9, 1, ("CancelledError", 1)),
        (9, 2, ("CancelledError", 2)),
        (2.5, 2.25, ("CancelledError", 2.25)),
    ],
    ids=["in time", "over", "cancelled before", "cancelled at once with it", "cancelled after"],
)
def test_how_a_body_ends(
    within: Callable[[float], AbstractAsyncContextManager[object]],
    takes_s: float,
    cancelled_at_s: float | None,
    outcome: tuple[str, float],
) -> None:
    """In time, by the deadline, or cancelled from elsewhere, which stands."""

    async def main() -> None:
        started = now()

        async def body() -> str:
            try:
                async with within(started + 2):
                    try:
                        await asyncio.sleep(takes_s)
                    except asyncio.CancelledError:
                        if takes_s < 9:  # it has something to end first
                            await asyncio.sleep(0.5)
                        raise
            except TimeoutError:
                return "TimeoutError"
            return "well"

        task = asyncio.create_task(body())
        if cancelled_at_s is not None:
            asyncio.get_running_loop().call_at(started + cancelled_at_s, task.cancel)
        await asyncio.wait([task])
        result = "CancelledError" if task.cancelled() else task.result()
        assert (result, now() - started) == outcome
        assert task.cancelling() == (cancelled_at_s is not None)

    run(main())


@pytest.mark.parametrize("within", [ours, asyncio.timeout_at], ids=["ours", "asyncio's"])
def test_another_error_at_the_deadline_is_what_is_told(
    within: Callable[[float], AbstractAsyncContextManager[object]],
) -> None:
    """And the task is not cancelled any more."""

    async def main() -> None:
        async def body() -> None:
            async with within(now() + 1):
                try:
                    await asyncio.sleep(9)
                except asyncio.CancelledError as error:
                    raise KeyError from error

        with pytest.raises(KeyError):
            await body()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())
