"""A segmented LRU cache for documents, limited by number and by size.

A new or invalid document is probationary: a flood of documents that are used once evicts only such
documents. A second use makes a valid document protected.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

MAX_DOCUMENTS = 500

MAX_WEIGHT = 400_000
"""Total characters, counted once more for each plan of a document; about 150 bytes each."""

PROTECTED_SHARE = 3 / 4
"""The share of both limits that protected documents may take."""


class Weighed(Protocol):
    """A value that can be cached."""

    @property
    def is_good(self) -> bool:
        """True if the value can be protected."""

    @property
    def weight(self) -> int:
        """Its share of `MAX_WEIGHT`."""


T = TypeVar("T", bound=Weighed)


class SegmentedLruCache(Generic[T]):
    """Values by their text; each use makes a value the most recent."""

    def __init__(self, share: float = 1) -> None:
        """Start empty; this is the share of both limits that the cache may take."""
        self._share = share
        self._protected: _Segment[T] = _Segment()
        self._probationary: _Segment[T] = _Segment()

    def get(self, text: str) -> T | None:
        """Return the cached value of a text."""
        value = self._protected.values.get(text)
        if value is not None:
            self._protected.values.move_to_end(text)
            return value
        value = self._probationary.values.get(text)
        if value is None:
            return None
        if not value.is_good:
            self._probationary.values.move_to_end(text)
            return value
        self._probationary.remove(text)
        self._protected.add(text, value)
        while _is_over(self._share * PROTECTED_SHARE, self._protected):
            self._probationary.add(*self._protected.pop())
        return value

    def put(self, text: str, value: T) -> None:
        """Add a new value, or replace one, and evict what no longer fits."""
        if text in self._protected.values:
            self._protected.remove(text)
        self._probationary.add(text, value)
        self._trim()

    def grown(self, text: str) -> None:
        """Weigh a value again, if it is still cached, and evict what no longer fits."""
        for segment in (self._protected, self._probationary):
            segment.weigh(text)
        self._trim()

    def _trim(self) -> None:
        """Evict what does not fit, probationary values first."""
        while _is_over(self._share, self._protected, self._probationary):
            (self._probationary if self._probationary.values else self._protected).pop()

    def __iter__(self) -> Iterator[T]:
        """Iterate over all cached values."""
        yield from self._protected.values.values()
        yield from self._probationary.values.values()


class _Segment(Generic[T]):
    """Values in the order of their last use, and the sum of their weights."""

    def __init__(self) -> None:
        self.values: OrderedDict[str, T] = OrderedDict()
        self.weight = 0
        self._weights: dict[str, int] = {}

    def add(self, text: str, value: T) -> None:
        self.values[text] = value
        self.weigh(text)

    def weigh(self, text: str) -> None:
        value = self.values.get(text)
        if value is not None:
            self.weight += value.weight - self._weights.get(text, 0)
            self._weights[text] = value.weight

    def remove(self, text: str) -> None:
        del self.values[text]
        self.weight -= self._weights.pop(text)

    def pop(self) -> tuple[str, T]:
        """Remove and return the oldest."""
        text, value = self.values.popitem(last=False)
        self.weight -= self._weights.pop(text)
        return text, value


def _is_over(share: float, *segments: _Segment[T]) -> bool:
    return (
        sum(len(each.values) for each in segments) > MAX_DOCUMENTS * share
        or sum(each.weight for each in segments) > MAX_WEIGHT * share
    )
