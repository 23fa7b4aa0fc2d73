"""The history of segment sizes."""

from datetime import datetime, timedelta
from enum import Enum

import msgspec


class SizeInterval(Enum):
    """The period that one point stands for, in UTC."""

    HOUR = "HOUR"
    DAY = "DAY"

    @property
    def length(self) -> timedelta:
        """The length of the period."""
        return timedelta(hours=1) if self is SizeInterval.HOUR else timedelta(days=1)

    def start(self, moment: datetime) -> datetime:
        """Return the start of the period that contains a moment in UTC."""
        whole = moment.replace(minute=0, second=0, microsecond=0)
        return whole if self is SizeInterval.HOUR else whole.replace(hour=0)


class SizePoint(msgspec.Struct, frozen=True, gc=False):
    """The last size of a segment that was read in one period."""

    at: datetime
    """The start of the period."""
    count: int
    is_exact: bool
    entered: int | None = None
    """The customers who entered in this period; None: no comparison was made in it."""
    left: int | None = None
