"""How the values of several processes become one, and what a histogram counts."""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.observability.metric_table import (
    PENDING,
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


def test_values_that_waited_are_counted_alike() -> None:
    """Values in every bucket, on each bound, and beyond the last; some were counted before."""
    values = [each + step for each in (0.0, *HISTOGRAM.buckets) for step in (0.0, 0.25)] * 2
    expected = [0.0] * (len(HISTOGRAM.buckets) + 1)
    for each in values:
        expected[bisect_left(HISTOGRAM.buckets, each)] += 1
    histogram = observed(*values[:3])
    histogram.count("any key")
    for each in values[:2:-1]:
        histogram.observe("any key", each)

    (sample,) = histogram.samples()
    assert sample.value == [*expected, sum(values)]


def test_a_bounded_number_of_values_waits() -> None:
    """However many requests there are between two readings of the metrics."""
    histogram = observed(*[0.0] * (3 * PENDING + 1))
    assert len(histogram.pending["any key"]) <= PENDING
    (sample,) = histogram.samples()
    assert isinstance(sample.value, list)
    assert sum(sample.value[:-1]) == 3 * PENDING + 1
