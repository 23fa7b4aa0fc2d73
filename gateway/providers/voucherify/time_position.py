"""Positions in Voucherify's lists that are read by creation time.

Several rows may be created in the same millisecond, hundreds by one import, and a page may end
between them.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

from gateway.errors import BadInput
from gateway.providers.base.decoding import utc
from gateway.providers.base.numbered_pages import START, Position, position
from gateway.providers.voucherify.query import MILLISECOND

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS = -62_135_596_800_000
"""The first millisecond of the calendar, since EPOCH."""
LAST_MS = 253_402_300_799_998
"""The second last millisecond of the calendar, since EPOCH."""
MANY = 50
"""So many rows that were shown are not read again: little room would be left on a page."""
MOST = 500
"""With more rows that were shown, which a call excludes by id, URL and cursor are too long."""

SHOWN, SOUGHT = "@", ">"


class TimePosition(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where a list continues that can only be read from a time on, towards older rows.

    The millisecond of the last row is read again, and the ids of its rows that were shown are
    part of the position.
    """

    at_ms: Annotated[int, msgspec.Meta(ge=FIRST_MS, le=LAST_MS)]
    shown: tuple[str, ...]
    """The ids of the rows created at `at_ms` that have been shown."""

    @property
    def before(self) -> datetime:
        """All further rows are older than this time."""
        return self.at + MILLISECOND

    @property
    def at(self) -> datetime:
        """The time of the millisecond that is read again."""
        return EPOCH + timedelta(milliseconds=self.at_ms)

    @property
    def older(self) -> "TimePosition":
        """The position after all rows of the millisecond."""
        return TimePosition(max(self.at_ms - 1, FIRST_MS), ())

    @property
    def has_many(self) -> bool:
        """Whether so many rows were shown that they should not be read again."""
        return len(self.shown) >= MANY

    def includes(self, created_at: datetime | None) -> bool:
        """Return whether a row was created in the millisecond; an unknown time might be."""
        moment = utc(created_at)
        return moment is None or (moment - EPOCH) // MILLISECOND == self.at_ms

    def __str__(self) -> str:
        """Return the text that `time_position` parses."""
        return msgspec.json.encode(self).decode()


class MomentPosition(NamedTuple):
    """Where the numbered pages of one millisecond's rows continue."""

    time: TimePosition
    """The millisecond, and the rows that are not to be shown again."""
    start: Position = START
    is_sought: bool = False
    """Whether the shown row, and all before it, are still to be skipped."""

    def __str__(self) -> str:
        """Return the text that `moment_position` parses."""
        return f"{self.start}{SOUGHT if self.is_sought else SHOWN}{self.time}"


def time_position(text: str) -> TimePosition:
    """Parse a `TimePosition`. Raises `BadInput`."""
    try:
        return msgspec.json.decode(text, type=TimePosition)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput("The cursor was not made by this gateway.") from error


def moment_position(text: str) -> MomentPosition | None:
    """Parse a `MomentPosition`; None if the text is another position. Raises `BadInput`."""
    start, bracket, time = text.partition("[")
    if not bracket:
        return None
    moment = MomentPosition(
        time_position(bracket + time), position(start[:-1]), is_sought=start.endswith(SOUGHT)
    )
    if str(moment) != text or (moment.is_sought and not moment.time.shown):
        raise BadInput("The cursor was not made by this gateway.")
    return moment
