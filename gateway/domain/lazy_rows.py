"""Rows of lists that become entities only when one of them is read.

Most lists show some attributes of all their rows. These are read from the providers' models as
columns: an entity for each row would take as long as decoding the reply.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, repeat
from typing import Any, Generic, NamedTuple, TypeGuard, TypeVar, final, overload

from gateway.domain.entities import Ref

M = TypeVar("M")
T = TypeVar("T")

Read = Callable[[Sequence[T]], Sequence[Any]]
"""Reads an attribute of each entity."""


class Columns(NamedTuple, Generic[M, T]):
    """How attributes of many entities, of type `kind`, are read from their models.

    `by_path` has `ref.key`, and other attributes that lists mostly show. It must give the same
    values as the entities.
    """

    kind: type[T]
    by_path: Mapping[str, Callable[[Sequence[M]], Sequence[Any]]]


class LazyRows(Sequence[T]):
    """Rows that are made when one of them is read; `is_lazy` recognizes them."""

    _entities: list[T] | None = None

    @property
    @abstractmethod
    def kinds(self) -> set[type]:
        """The types of the rows."""

    def column(self, path: str, read: Read[T]) -> Sequence[Any]:
        """Return an attribute of each row; `read` reads it from entities, if it has to."""
        column = self._column(path, read) if self._entities is None else None
        return read(self._all()) if column is None else column

    @abstractmethod
    def _column(self, path: str, read: Read[T]) -> Sequence[Any] | None:
        """Return an attribute of each row; None if it has to be read from entities."""

    @abstractmethod
    def _made(self) -> list[T]:
        """Make the entities."""

    def _all(self) -> list[T]:
        if self._entities is None:
            self._entities = self._made()
        return self._entities

    def __iter__(self) -> Iterator[T]:
        """Yield the entities; they are made when the first is requested."""
        yield from self._all()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Return an entity, or some of the rows."""
        if isinstance(index, int):
            return self._all()[index]
        every = range(len(self))
        return self if every[index] == every else self._some(index)

    def _some(self, index: slice) -> Sequence[T]:
        return self._all()[index]


@final
class ModelRows(LazyRows[T], Generic[M, T]):
    """Rows of one provider, each made of one model.

    `convert` makes the entities of models, given their indices in the reply. It must not fail.
    """

    def __init__(
        self,
        provider: str,
        columns: Columns[M, T],
        convert: Callable[[Sequence[M], Sequence[int]], list[T]],
        models: Sequence[M],
        indices: Sequence[int],
    ) -> None:
        """Convert nothing yet."""
        self._provider = provider
        self.columns = columns
        self._convert = convert
        self._models = models
        self._indices = indices

    @property
    def kinds(self) -> set[type]:
        """The type of the rows."""
        return {self.columns.kind}

    @property
    def is_distinct(self) -> bool:
        """Whether there are no duplicate rows."""
        return len({*self._keys}) == len(self)

    @cached_property
    def _keys(self) -> Sequence[str]:
        return self.columns.by_path["ref.key"](self._models)

    def _column(self, path: str, _: Read[T]) -> Sequence[Any] | None:
        if path == "ref.key":
            return self._keys
        get = self.columns.by_path.get(path)
        if get is not None:
            return get(self._models)
        if path == "ref.provider":
            return [self._provider] * len(self)
        return [*map(Ref, repeat(self._provider), self._keys)] if path == "ref" else None

    def _made(self) -> list[T]:
        return self._convert(self._models, self._indices)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._models)

    def _some(self, index: slice) -> Sequence[T]:
        models, indices = self._models[index], self._indices[index]
        return ModelRows(self._provider, self.columns, self._convert, models, indices)


@final
class JoinedRows(LazyRows[T]):
    """The rows of several lists, of which some are lazy."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        """Join them in this order."""
        self.parts = parts

    @property
    def kinds(self) -> set[type]:
        """The types of the rows."""
        return set().union(*map(kinds, self.parts))

    def _column(self, path: str, read: Read[T]) -> Sequence[Any]:
        return by_list(self, lambda rows: column(rows, path, read))

    def _made(self) -> list[T]:
        return [*chain.from_iterable(self.parts)]

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self.parts))


def same(value: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return the column of an attribute that is the same for all rows of a provider."""
    return lambda models: [value] * len(models)


LAZY = frozenset({ModelRows, JoinedRows})


def is_lazy(rows: Any) -> TypeGuard[LazyRows[Any]]:
    """Return whether rows are lazy; `isinstance` takes long if they are not."""
    return type(rows) in LAZY


def joined(lists: Sequence[Sequence[T]]) -> Sequence[T]:
    """Return the rows of these lists: a new list, or lazy rows if there are some."""
    rest = [rows for rows in lists if rows]
    if not any(map(is_lazy, rest)):
        return [*chain.from_iterable(rest)]
    if len(rest) == 1:
        return rest[0]
    parts = [rows.parts if type(rows) is JoinedRows else (rows,) for rows in rest]
    return JoinedRows([*chain.from_iterable(parts)])


def extended(rows: Sequence[T], more: Sequence[T]) -> Sequence[T]:
    """Return rows with more of them: a list itself, unless some are lazy."""
    if isinstance(rows, list) and not is_lazy(more):
        rows.extend(more)
        return rows
    return joined((rows, more))


def column(rows: Sequence[T], path: str, read: Read[T]) -> Sequence[Any]:
    """Return an attribute of each row; `read` reads it from entities."""
    return rows.column(path, read) if is_lazy(rows) else read(rows)


def by_list(rows: Sequence[T], read: Read[T]) -> Sequence[Any]:
    """Return what `read` returns for each of the lists that are joined in these rows."""
    if type(rows) is not JoinedRows:
        return read(rows)
    return [*chain.from_iterable(map(read, rows.parts))]


def kinds(rows: Sequence[Any]) -> set[type]:
    """Return the types of rows."""
    return rows.kinds if is_lazy(rows) else {*map(type, rows)}
