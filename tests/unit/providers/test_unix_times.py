"""Times that a provider gives in Unix seconds."""

from datetime import UTC, datetime

import pytest

from gateway.providers.base.decoding import from_unix


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, None),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_767_225_600, datetime(2026, 1, 1, tzinfo=UTC)),
        (1_767_225_600.25, datetime(2026, 1, 1, microsecond=250_000, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1_767_225_600_000, None),  # milliseconds: a year beyond the calendar
        (2**63, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_seconds_are_a_time_in_utc(seconds: float | None, expected: datetime | None) -> None:
    """What is in no calendar is None, as what is missing."""
    assert from_unix(seconds) == expected
