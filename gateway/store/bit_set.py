"""A set of small numbers: one bit for each, so that a million members take 125 KB."""

from collections.abc import Iterator
from typing import Final

_FULL: Final = 0xFF


class BitSet:
    """A set of whole numbers from 1 on, in the memory of the highest one."""

    def __init__(self) -> None:
        """Start empty."""
        self._bits = bytearray()
        self._count = 0

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return self._count

    def __contains__(self, number: int) -> bool:
        """Return whether it has a number."""
        index, bit = divmod(number, 8)
        return index < len(self._bits) and bool(self._bits[index] & 1 << bit)

    def add(self, number: int) -> None:
        """Add a number."""
        index, bit = divmod(number, 8)
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits)))
        if not self._bits[index] & 1 << bit:
            self._bits[index] |= 1 << bit
            self._count += 1

    def missing(self, high: int) -> Iterator[int]:
        """Yield the numbers up to `high` that it does not have, in order."""
        for index in range(high // 8 + 1):
            byte = self._bits[index] if index < len(self._bits) else 0
            if byte == _FULL:
                continue
            for number in range(max(index * 8, 1), min(index * 8 + 7, high) + 1):
                if not byte & 1 << number % 8:
                    yield number
