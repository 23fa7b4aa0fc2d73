"""The light queue and event behave as those of asyncio that they replace."""

import asyncio
from typing import Any

import pytest

from gateway.http.server.light_waiting import Flag, MessageQueue


def set_event() -> asyncio.Event:
    """Return asyncio's event, set."""
    event = asyncio.Event()
    event.set()
    return event


@pytest.mark.parametrize("make", [asyncio.Queue, MessageQueue])
async def test_queue(make: Any) -> None:
    """Messages come in order; a reader that was cancelled takes none with it."""
    queue = make()
    assert queue.empty()
    queue.put_nowait(1)
    queue.put_nowait(2)
    assert not queue.empty()
    assert [await queue.get() for _ in range(2)] == [1, 2]
    leaving = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait(3)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    reading = asyncio.create_task(queue.get())
    assert await reading == 3
    reading = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait(4)
    queue.put_nowait(5)
    assert [await reading, await queue.get(), queue.empty()] == [4, 5, True]


@pytest.mark.parametrize("make", [set_event, Flag])
async def test_flag(make: Any) -> None:
    """While it is cleared all wait; one that is cancelled does not disturb the others."""
    flag = make()
    assert flag.is_set()
    await flag.wait()
    flag.clear()
    flag.clear()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert (flag.is_set(), [each.done() for each in waiting]) == (False, [True, False, False])
    flag.set()
    assert flag.is_set()
    await asyncio.gather(*waiting[1:])
    flag.set()
    await flag.wait()
