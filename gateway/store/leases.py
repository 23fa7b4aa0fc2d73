"""Leases: the time for which a process holds what it has claimed."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

LEASE: Final = timedelta(seconds=60)
"""How long a lease lasts after the deadline of its request."""
MAX_LEASE: Final = timedelta(minutes=20)
"""Longer than any lease or pause: a later end was written by a wrong clock."""


def leased_until(now: datetime, deadline: float) -> datetime:
    """Return the end of a new lease; `deadline` is on the event loop's clock."""
    left_s = max(deadline - asyncio.get_running_loop().time(), 0)
    return now + timedelta(seconds=left_s) + LEASE
