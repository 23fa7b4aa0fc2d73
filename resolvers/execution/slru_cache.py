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

    def __init__(self) -> None:
        """Start empty."""
        self._protected: OrderedDict[str, T] = OrderedDict()
        self._probationary: OrderedDict[str, T] = OrderedDict()

    def get(self, text: str) -> T | None:
        """Return the cached value of a text."""
        value = self._protected.get(text)
        if value is not None:
            self._protected.move_to_end(text)
            return value
        value = self._probationary.get(text)
        if value is None:
            return None
        if not value.is_good:
            self._probationary.move_to_end(text)
            return value
        del self._probationary[text]
        self._protected[text] = value
        while _is_over([self._protected], PROTECTED_SHARE):
            oldest, demoted = self._protected.popitem(last=False)
            self._probationary[oldest] = demoted
        return value

    def put(self, text: str, value: T) -> None:
        """Add a new value, and evict what no longer fits."""
        self._probationary[text] = value
        self.trim()

    def trim(self) -> None:
        """Evict what does not fit, probationary values first."""
        while _is_over([self._protected, self._probationary], 1):
            (self._probationary or self._protected).popitem(last=False)

    def __iter__(self) -> Iterator[T]:
        """Iterate over all cached values."""
        yield from self._protected.values()
        yield from self._probationary.values()


def _is_over(parts: list[OrderedDict[str, T]], share: float) -> bool:
    if sum(map(len, parts)) > MAX_DOCUMENTS * share:
        return True
    return sum(each.weight for part in parts for each in part.values()) > MAX_WEIGHT * share
