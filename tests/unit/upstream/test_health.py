"""A provider's health, by the newest calls of one process or of several."""

import time
from datetime import UTC, datetime

import msgspec
import pytest

from gateway.errors import Broken, Refused, TimedOut
from gateway.upstream.health import HEALTH_WINDOW, Health, HealthReport, worst_circuit

NO_CALLS = HealthReport(
    circuit="CLOSED",
    is_refusing=False,
    calls=[],
    succeeded_at=None,
    failed_at=None,
    last_error=None,
)
BROKEN = Broken("promo", "segments", status=503)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time at which calls end, as the only item, to be changed."""
    now = [100.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def shown(each: Health) -> object:
    """Return all that clients are shown."""
    latencies = each.latency_ms(0.5), each.latency_ms(0.95)
    return each.status, latencies, each.last_success_at, each.last_error


def at(seconds: float) -> datetime:
    """Return a time."""
    return datetime.fromtimestamp(seconds, UTC)


def test_calls_of_all_processes_count_in_the_order_of_their_ends(seconds: list[float]) -> None:
    """The newest of them decide, whichever process made them."""
    here, there = Health(), Health()
    there.note(30, None)
    seconds[0] = 101
    here.note(10, BROKEN)
    seconds[0] = 102
    there.note(20, TimedOut("promo", "segments"))
    joined = here.joined([there.report("OPEN", is_refusing=True), NO_CALLS])
    assert shown(joined) == ("DOWN", (20, 30), at(100), TimedOut)
    assert [*joined.outcomes] == [True, False, False]
    assert shown(here) == ("DOWN", (10, 10), None, Broken)
    assert shown(there) == ("DOWN", (30, 30), at(100), TimedOut)


def test_old_calls_of_another_process_do_not_count(seconds: list[float]) -> None:
    """A process that has not called for long does not spoil what newer calls show."""
    here, idle = Health(), Health()
    idle.note(500, BROKEN)
    seconds[0] = 200
    for _ in range(HEALTH_WINDOW):
        here.note(1, Refused("promo", "segments", status=404))
    joined = here.joined([idle.report("CLOSED", is_refusing=False)])
    assert shown(joined) == ("UP", (1, 1), at(200), Broken)


def test_without_any_call(seconds: list[float]) -> None:
    """Nothing is known."""
    del seconds
    assert shown(Health().joined([NO_CALLS])) == ("UNKNOWN", (None, None), None, None)


def test_an_error_that_only_another_version_knows(seconds: list[float]) -> None:
    """It has no code here; the call counts all the same."""
    del seconds
    report = msgspec.structs.replace(
        NO_CALLS, calls=[(100.0, 5.0, False)], failed_at=100.0, last_error="Exploded"
    )
    assert shown(Health().joined([report])) == ("DOWN", (5, 5), None, None)


def test_an_open_circuit_that_nobody_meets_does_not_count() -> None:
    """It counts while it refuses calls, and until a newer call of another process succeeds."""
    replace = msgspec.structs.replace
    probed = replace(NO_CALLS, circuit="OPEN", failed_at=100.0)
    refusing = replace(probed, is_refusing=True)
    worked, worked_before = (replace(NO_CALLS, succeeded_at=at) for at in (101.0, 99.0))
    half_open = replace(NO_CALLS, circuit="HALF_OPEN", is_refusing=True)
    assert worst_circuit([worked, refusing]) == "OPEN"
    assert worst_circuit([worked, half_open, probed]) == "HALF_OPEN"
    assert worst_circuit([worked, probed]) == "CLOSED"
    assert worst_circuit([probed, worked]) == "CLOSED"
    assert worst_circuit([worked_before, probed]) == "OPEN"
    assert worst_circuit([NO_CALLS, probed]) == "OPEN"
