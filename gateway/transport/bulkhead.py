"""Bounds the calls to one provider: so many at once, a short queue, then refusal."""

import asyncio

WEIGHT = 0.1
"""Of the newest call in the running mean of how long a call takes."""


class Bulkhead:
    """So many places, and a queue that refuses once it is too long to be served in time."""

    def __init__(self, places: int, longest_queue: int) -> None:
        """Allow so many calls at once, and so many more to wait."""
        self._count = places
        self._longest_queue = longest_queue
        self._places = asyncio.Semaphore(places)
        self._takes_s = 0.0
        self.taken = 0
        self.waiting = 0

    def is_full(self, left_s: float) -> bool:
        """Tell whether a call cannot be made, and end, within the seconds left."""
        if not self._places.locked():
            return False
        rounds = self.waiting // self._count + 1  # of those before it, and then its own
        return self.waiting >= self._longest_queue or (rounds + 1) * self._takes_s > left_s

    async def enter(self) -> None:
        """Wait for a place, first come first served; `leave` gives it back."""
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.taken += 1

    def leave(self, took_s: float) -> None:
        """Give a place back that was held for so long."""
        self._takes_s += WEIGHT * (took_s - self._takes_s)
        self.taken -= 1
        self._places.release()
