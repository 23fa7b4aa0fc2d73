"""Counters, gauges and histograms of one process, and how those of several are added up."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

Labels: TypeAlias = tuple[str, ...]
Value: TypeAlias = float | list[float]
"""A number; of a histogram the count in each bucket, that beyond the last, and the sum."""


class Kind(StrEnum):
    """The kinds of metrics. The values of gauges are added up, or the largest or smallest counts.

    Only gauges of running processes count; counters and histograms include processes that ended.
    """

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUM = "sum"
    MAX = "max"
    MIN = "min"


class Family(NamedTuple):
    """A metric: its name, the names of its labels, and its buckets if it is a histogram."""

    name: str
    help: str
    labels: Labels = ()
    kind: Kind = Kind.COUNTER
    buckets: Sequence[float] = ()

    @property
    def is_gauge(self) -> bool:
        """Whether only running processes count."""
        return self.kind not in {Kind.COUNTER, Kind.HISTOGRAM}


class Sample(NamedTuple):
    """The value of a metric for one combination of labels, in their order."""

    family: str
    labels: Labels
    value: Value


PENDING: Final = 1000
"""How many values of a key wait to be counted."""


class Histogram:
    """Counts values in buckets, by any key; labels are made of keys only when they are shown.

    Values wait, and are sorted and counted bucket by bucket: half the instructions of looking the
    bucket of each up.
    """

    def __init__(self, family: Family, labels_of: Callable[[Any], Labels]) -> None:
        """Start without values."""
        self.family = family
        self.pending: dict[Any, list[float]] = {}
        """The values that wait, by key."""
        self._counts: dict[Any, list[float]] = {}
        self._labels_of = labels_of

    def observe(self, key: Any, value: float) -> None:
        """Count a value."""
        values = self.pending.get(key)
        if values is None:
            values = self.pending[key] = []
        elif len(values) >= PENDING:
            self.count(key)
        values.append(value)

    def count(self, key: Any) -> None:
        """Count the values of a key that wait."""
        counts, values = self._counts.get(key), self.pending[key]
        if counts is None:
            counts = self._counts[key] = [0.0] * (len(self.family.buckets) + 2)
        counts[-1] += sum(values)
        values.sort()
        below = 0
        for index, bound in enumerate(self.family.buckets):
            upto = bisect_right(values, bound, below)
            counts[index] += upto - below
            below = upto
        counts[-2] += len(values) - below
        values.clear()

    def samples(self) -> Iterator[Sample]:
        """Yield the counts by labels; some keys may have equal labels."""
        for key in self.pending:
            self.count(key)
        for key, counts in self._counts.items():
            yield Sample(self.family.name, self._labels_of(key), counts)


class MetricTable:
    """The values of metrics by family and labels."""

    def __init__(self, families: Iterable[Family]) -> None:
        """Start without values, for these families."""
        self.families = {each.name: each for each in families}
        self.values: dict[str, dict[Labels, Value]] = {name: {} for name in self.families}

    def count(self, family: Family, labels: Labels, more: float = 1) -> None:
        """Add to a counter."""
        values = self.values[family.name]
        value = values.get(labels, 0.0)
        values[labels] = value + more  # type: ignore[operator]  # a counter's value is a number

    def samples(self) -> Iterator[Sample]:
        """Return all values."""
        for name, values in self.values.items():
            for labels, value in values.items():
                yield Sample(name, labels, value)

    def add(self, samples: Iterable[Sample], *, is_running: bool = True) -> None:
        """Add the values of another process to those here."""
        for name, labels, value in samples:
            family = self.families.get(name)
            if family is None or (family.is_gauge and not is_running):
                continue
            values = self.values[name]
            values[labels] = _combined(family.kind, values.get(labels), value)


def _combined(kind: Kind, one: Value | None, other: Value) -> Value:
    if one is None:
        return other
    if isinstance(one, list) and isinstance(other, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    if isinstance(one, list) or isinstance(other, list):
        raise TypeError(kind)
    if kind is Kind.MAX:
        return max(one, other)
    return min(one, other) if kind is Kind.MIN else one + other


_decoder = msgspec.msgpack.Decoder(list[Sample])


def encoded(samples: Iterable[Sample]) -> bytes:
    """Return the values for `decoded` in another process."""
    return msgspec.msgpack.encode(list(samples))


def decoded(data: bytes) -> Sequence[Sample]:
    """Return the values of another process."""
    return _decoder.decode(data)
