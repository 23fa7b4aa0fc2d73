"""How the values of several processes become one, and what a histogram counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.observability.metric_table import (
    Family,
    Histogram,
    Kind,
    MetricTable,
    Sample,
    decoded,
    encoded,
)
from gateway.observability.worker_snapshots import WorkerSnapshots

COUNTER = Family("a_total", "", ("code",))
HISTOGRAM = Family("a_seconds", "", (), Kind.HISTOGRAM, (1, 2))
GAUGES = {kind: Family(f"a_{kind}", "", (), kind) for kind in (Kind.SUM, Kind.MAX, Kind.MIN)}


def table() -> MetricTable:
    """Return an empty table of these families."""
    return MetricTable([COUNTER, HISTOGRAM, *GAUGES.values()])


def observed(*values: float) -> Histogram:
    """Return a histogram of these values."""
    result = Histogram(HISTOGRAM, lambda _: ())
    for value in values:
        result.observe("any key", value)
    return result


def filled(number: float) -> Iterator[Sample]:
    """Yield the values of a process."""
    counters = table()
    counters.count(COUNTER, ("A",), number)
    yield from counters.samples()
    yield from observed(number).samples()
    yield from (Sample(each.name, (), number) for each in GAUGES.values())


def total(*parts: tuple[float, bool]) -> dict[str, object]:
    """Return the values of processes, each with whether it is running, by name."""
    result = table()
    for number, is_running in parts:
        result.add(decoded(encoded(filled(number))), is_running=is_running)
    return {sample.family: sample.value for sample in result.samples()}


def test_running_processes_are_added_up() -> None:
    """Counters and histograms by sum, gauges as each says."""
    assert total((1, True), (3, True)) == {
        "a_total": 4.0,
        "a_seconds": [1.0, 0.0, 1.0, 4.0],
        "a_sum": 4,
        "a_max": 3,
        "a_min": 1,
    }


def test_only_counters_and_histograms_of_ended_processes_count() -> None:
    """So that counters never decrease, and gauges say what is."""
    assert total((1, False), (3, True)) == {
        "a_total": 4.0,
        "a_seconds": [1.0, 0.0, 1.0, 4.0],
        "a_sum": 3,
        "a_max": 3,
        "a_min": 3,
    }


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.5, [1, 0, 0, 0.5]), (1, [1, 0, 0, 1]), (1.1, [0, 1, 0, 1.1]), (9, [0, 0, 1, 9])],
)
def test_a_bucket_includes_its_bound(value: float, counts: list[float]) -> None:
    """As Prometheus has it: less or equal."""
    assert [each.value for each in observed(value).samples()] == [counts]


def test_values_of_another_version_are_left_out() -> None:
    """While a server is restarted with new code, a worker may know other metrics."""
    result = table()
    result.add([Sample("unknown_total", (), 1.0)])

    assert list(result.samples()) == []


def test_a_worker_sees_others_until_and_after_they_end(tmp_path: Path) -> None:
    """What they published stays; whether they run is known by a lock, not by their pid."""
    one, other = WorkerSnapshots(tmp_path), WorkerSnapshots(tmp_path)
    assert list(one.others()) == []
    one.publish(b"1")
    other.publish(b"2")
    other.publish(b"3")

    assert list(one.others()) == [(b"3", True)]
    assert list(other.others()) == [(b"1", True)]
    other.close()
    assert list(one.others()) == [(b"3", False)]
    one.close()


def test_many_at_once_are_counted_alike() -> None:
    """Values in every bucket, on each bound, and beyond the last; some were counted before."""
    values = [each + step for each in (0.0, *HISTOGRAM.buckets) for step in (0.0, 0.25)] * 2
    one_by_one, at_once = observed(*values), observed(*values[:3])
    rest = values[:2:-1]
    at_once.observe_all("any key", rest)
    at_once.observe_all("any key", rest)

    assert at_once.counts == one_by_one.counts
    assert rest == []
