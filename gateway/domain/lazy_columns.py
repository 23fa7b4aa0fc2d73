"""Columns of many rows whose values are only made if a faster way does not apply to all."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar, final, overload

T = TypeVar("T")


class LazyColumn(Sequence[T]):
    """The values of a column; they are made each time that they are read."""

    @abstractmethod
    def _made(self) -> Sequence[T]:
        """Make the values."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Return one or some of them."""
        return self._made()[index]

    def __iter__(self) -> Iterator[T]:
        """Return them one by one."""
        return iter(self._made())


@final
class LazyTimes(LazyColumn[datetime | None]):
    """The times of many rows, in UTC; `decoded` are the same times with the provider's offsets."""

    def __init__(
        self,
        decoded: Sequence[datetime | None],
        in_utc: Callable[[Sequence[datetime | None]], Sequence[datetime | None]],
    ) -> None:
        """Convert nothing yet."""
        self.decoded = decoded
        self._in_utc = in_utc

    def _made(self) -> Sequence[datetime | None]:
        return self._in_utc(self.decoded)

    def __len__(self) -> int:
        """Return the number of times."""
        return len(self.decoded)
