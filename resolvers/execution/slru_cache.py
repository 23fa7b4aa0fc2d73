"""Which documents are kept: those that are asked again, bounded by number and by size.

A document that is new, or that may not run, stands on trial: whoever sends many that nobody asks
twice pushes out such documents alone.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

MOST_KEPT = 500

HEAVIEST = 400_000
"""Characters of all, those of each once more for each of its plans; some 150 bytes each."""

PROVEN = 3 / 4
"""How much of that those that were asked again may take."""


class Weighed(Protocol):
    """What can be kept."""

    @property
    def is_good(self) -> bool:
        """True for what can be of use again."""

    @property
    def weight(self) -> int:
        """What it adds to all that is kept."""


T = TypeVar("T", bound=Weighed)


class SegmentedLruCache(Generic[T]):
    """The newest by their text; each use makes one newer."""

    def __init__(self) -> None:
        """Start with none."""
        self._proven: OrderedDict[str, T] = OrderedDict()
        self._on_trial: OrderedDict[str, T] = OrderedDict()

    def get(self, text: str) -> T | None:
        """Return what is kept of a text."""
        found = self._proven.get(text)
        if found is not None:
            self._proven.move_to_end(text)
            return found
        found = self._on_trial.get(text)
        if found is None:
            return None
        if not found.is_good:
            self._on_trial.move_to_end(text)
            return found
        del self._on_trial[text]
        self._proven[text] = found
        while _is_over([self._proven], PROVEN):
            oldest, value = self._proven.popitem(last=False)
            self._on_trial[oldest] = value
        return found

    def put(self, text: str, value: T) -> None:
        """Keep a new one, and forget what does not fit beside it."""
        self._on_trial[text] = value
        self.trim()

    def trim(self) -> None:
        """Forget what does not fit: those on trial first."""
        while _is_over([self._proven, self._on_trial], 1):
            (self._on_trial or self._proven).popitem(last=False)

    def __iter__(self) -> Iterator[T]:
        """Go through all that is kept."""
        yield from self._proven.values()
        yield from self._on_trial.values()


def _is_over(parts: list[OrderedDict[str, T]], share: float) -> bool:
    if sum(map(len, parts)) > MOST_KEPT * share:
        return True
    return sum(each.weight for part in parts for each in part.values()) > HEAVIEST * share
