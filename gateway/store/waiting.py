"""Poll for the result of another process, with growing pauses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

FIRST_PAUSE_S: Final = 0.005
MAX_PAUSE_S: Final = 0.25


async def attempts(deadline: float, max_pause_s: float = MAX_PAUSE_S) -> AsyncIterator[None]:
    """Yield at once, then after growing pauses, and a last time at the deadline.

    The deadline is on the event loop's clock, in seconds.
    """
    now = asyncio.get_running_loop().time
    pause = FIRST_PAUSE_S
    yield
    while (left := deadline - now()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, max_pause_s)
        yield
