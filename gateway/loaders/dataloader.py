"""Reads by key, made together: one batch for all keys that are asked for at about one time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from gateway.errors import GatewayError

T = TypeVar("T")

K = TypeVar("K", bound=Hashable)


class _Batch(Generic[K, T]):
    """Keys that are read together, and where their answers go."""

    def __init__(self, answers: dict[K, T | GatewayError | None]) -> None:
        self.keys: list[K] = []
        self.answers = answers
        self.done = asyncio.Event()
        self.failure: BaseException | None = None
        """A bug, or the end of the request: it goes to all who wait."""
        self.task: asyncio.Task[None] | None = None


class LoaderCache(Generic[K, T]):
    """What was read by key, and what is being read."""

    def __init__(self) -> None:
        self.answers: dict[K, T | GatewayError | None] = {}
        self.under_way: dict[K, _Batch[K, T]] = {}
        self.next: _Batch[K, T] | None = None
        self.primed: list[tuple[Iterable[T], Callable[[T], K]]] = []


class DataLoader(Generic[K, T]):
    """Reads things by key, in batches: whatever is asked for within two turns of the loop.

    aiodataloader has one future for each key; here one serves a whole list of them, and what is
    known already costs none.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[K]], Awaitable[Sequence[T | GatewayError | None]]],
        known: LoaderCache[K, T],
    ) -> None:
        """Read by a function that answers each key, in order, with its value or its error."""
        self._ask = batch
        self._known = known

    def prime(self, values: Iterable[T], key: Callable[[T], K]) -> None:
        """Keep what another answer told; it is looked through when the next key is asked for."""
        self._known.primed.append((values, key))

    async def load_results(self, keys: Sequence[K]) -> Sequence[T | GatewayError | None]:
        """Return a value, an error or None (no such thing) for each key, in order."""
        answers = self._known.answers
        for values, key_of in self._known.primed:
            for value in values:
                answers.setdefault(key_of(value), value)
        self._known.primed.clear()
        waiting: dict[_Batch[K, T], None] = {}
        for key in keys:
            if key not in answers:
                waiting[self._known.under_way.get(key) or self._queue(key)] = None
        for batch in waiting:
            await batch.done.wait()
            if batch.failure is not None:
                raise batch.failure
        return [answers[key] for key in keys]

    async def load(self, key: K, *, is_alone: bool = False) -> T | None:
        """Return a value, or None when there is no such thing. Raises its error.

        `is_alone`: the request reads nothing else meanwhile. Then there is no batch to wait for,
        and no need of a task.
        """
        known = self._known
        if not is_alone or known.answers or known.under_way or known.primed:
            return (await self.load_many((key,)))[0]
        (found,) = await self._ask((key,))
        known.answers[key] = found
        if isinstance(found, GatewayError):
            raise found
        return found

    async def load_many(self, keys: Sequence[K]) -> Sequence[T | None]:
        """Return a value or None for each key, in order. Raises the first error."""
        found: list[T | None] = []
        for answer in await self.load_results(keys):
            if isinstance(answer, GatewayError):
                raise answer
            found.append(answer)
        return found

    def _queue(self, key: K) -> _Batch[K, T]:
        batch = self._known.next
        if batch is None:
            batch = self._known.next = _Batch(self._known.answers)
            asyncio.get_running_loop().call_soon(self._start, batch)
        batch.keys.append(key)
        self._known.under_way[key] = batch
        return batch

    def _start(self, batch: _Batch[K, T]) -> None:
        batch.task = asyncio.ensure_future(self._read(batch))

    async def _read(self, batch: _Batch[K, T]) -> None:
        if self._known.next is batch:
            self._known.next = None
        try:
            answers = await self._ask(batch.keys)
            batch.answers.update(zip(batch.keys, answers, strict=True))
        except BaseException as error:
            batch.failure = error
            if not isinstance(error, Exception):
                raise
        finally:
            for key in batch.keys:
                if self._known.under_way.get(key) is batch:
                    del self._known.under_way[key]
            batch.done.set()
