"""asyncio's `Queue` and `Event` for thousands of idle connections: each would take a kilobyte."""

import asyncio
from typing import Any


class MessageQueue:
    """An unbounded queue for one reader."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        """Start empty."""
        self._messages: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: Any) -> None:
        """Add a message."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """Remove and return the oldest message; wait for one if there is none."""
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._messages.pop(0)

    def empty(self) -> bool:
        """Return whether there is no message."""
        return not self._messages


class Flag:
    """An event that is set at first."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        """Start set."""
        self._waiters: list[asyncio.Future[None]] | None = None
        """None: it is set."""

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._waiters is None

    def set(self) -> None:
        """Set it, and wake all that wait."""
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Make `wait` wait."""
        if self._waiters is None:
            self._waiters = []

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._waiters is not None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
