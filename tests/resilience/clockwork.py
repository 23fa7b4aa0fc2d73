"""An event loop whose clock jumps to the next timer: hours pass at once, nothing sleeps."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Never waits: hands the time it was to wait to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Look what is ready, and call the time passed that nothing came in."""
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing will ever happen")
            self.waited_s += max(timeout, 0)
        return ready


class Clockwork(asyncio.SelectorEventLoop):
    """A loop for what has no sockets and no threads."""

    def __init__(self) -> None:
        """Start at a thousand seconds."""
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Return the seconds that would have passed."""
        return 1000 + self._jump.waited_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own; fail when a task is left over."""

    async def watched() -> T:
        result = await main
        for _ in range(20):  # the cancelled get their turns to end
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    with asyncio.Runner(loop_factory=Clockwork) as runner:
        return runner.run(watched())


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()
