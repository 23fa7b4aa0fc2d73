"""Leases: how long a process is believed to be at what it has claimed."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

LEASE: Final = timedelta(seconds=60)
"""How long a claim outlasts the deadline of its request."""
LONGEST_LEASE: Final = timedelta(minutes=20)
"""Longer than any lease or pause: what ends later was written by a clock that was wrong."""


def leased_until(now: datetime, deadline: float) -> datetime:
    """Return when a lease ends that is taken now; `deadline` is on the event loop's clock."""
    left_s = max(deadline - asyncio.get_running_loop().time(), 0)
    return now + timedelta(seconds=left_s) + LEASE
