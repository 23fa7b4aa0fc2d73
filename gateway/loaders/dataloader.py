"""Load values by key in batches, for one request."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from gateway.errors import GatewayError
from gateway.request_scope import Scope, SpanIds

T = TypeVar("T")

K = TypeVar("K", bound=Hashable)


class _Batch(Generic[K, T]):
    """Keys that are loaded together."""

    def __init__(self) -> None:
        self.keys: list[K] = []
        self.done = asyncio.Event()
        self.failure: BaseException | None = None
        """A bug or a cancellation; it is raised for every key."""
        self.task: asyncio.Task[None] | None = None


class LoaderCache(Generic[K, T]):
    """The loaded values of one loader, and the batches under way."""

    def __init__(self, loader: str = "", scope: Scope | None = None) -> None:
        """Record each batch in this scope, under the loader's name."""
        self.loader = loader
        self.scope = scope
        self.trace = None if scope is None else scope.trace
        self.results: dict[K, T | GatewayError | None] = {}
        self.under_way: dict[K, _Batch[K, T]] = {}
        self.next: _Batch[K, T] | None = None
        self.primed: list[tuple[Iterable[T], Callable[[T], K]]] = []


class DataLoader(Generic[K, T]):
    """Loads values by key. Keys requested within two iterations of the event loop form a batch.

    aiodataloader creates a future per key. Here a list of keys shares one event, and cached values
    need none.
    """

    def __init__(
        self,
        load_batch: Callable[[Sequence[K]], Awaitable[Sequence[T | GatewayError | None]]],
        cache: LoaderCache[K, T],
    ) -> None:
        """Load with `load_batch`, which returns a value or an error for each key, in order."""
        self._load_batch = load_batch
        self._cache = cache

    def prime(self, values: Iterable[T], key: Callable[[T], K]) -> None:
        """Cache these values; they are iterated over when the next key is requested."""
        self._cache.primed.append((values, key))

    async def load_results(self, keys: Sequence[K]) -> Sequence[T | GatewayError | None]:
        """Return a value, an error or None (no such value) for each key, in order."""
        results = self._cache.results
        for values, key_of in self._cache.primed:
            for value in values:
                results.setdefault(key_of(value), value)
        self._cache.primed.clear()
        pending: dict[_Batch[K, T], None] = {}
        for key in keys:
            if key not in results:
                pending[self._cache.under_way.get(key) or self._queue(key)] = None
        for batch in pending:
            await batch.done.wait()
            if batch.failure is not None:
                raise batch.failure
        return [results[key] for key in keys]

    async def load(self, key: K, *, is_alone: bool = False) -> T | None:
        """Return a value, or None if there is none. Raises its error.

        `is_alone`: the request loads nothing else meanwhile. Then the value is loaded at once,
        without a batch and its task.
        """
        cache = self._cache
        if (
            not is_alone
            or cache.results
            or cache.under_way
            or cache.primed
            or cache.trace is not None  # a batch's task has a context for its span
        ):
            return (await self.load_many((key,)))[0]
        started = time.perf_counter()
        (result,) = await self._load_batch((key,))
        self._note(1, started)
        cache.results[key] = result
        if isinstance(result, GatewayError):
            raise result
        return result

    async def load_many(self, keys: Sequence[K]) -> Sequence[T | None]:
        """Return a value or None for each key, in order. Raises the first error."""
        values: list[T | None] = []
        for result in await self.load_results(keys):
            if isinstance(result, GatewayError):
                raise result
            values.append(result)
        return values

    def _queue(self, key: K) -> _Batch[K, T]:
        batch = self._cache.next
        if batch is None:
            batch = self._cache.next = _Batch()
            asyncio.get_running_loop().call_soon(self._start, batch)
        batch.keys.append(key)
        self._cache.under_way[key] = batch
        return batch

    def _start(self, batch: _Batch[K, T]) -> None:
        batch.task = asyncio.ensure_future(self._load(batch))

    async def _load(self, batch: _Batch[K, T]) -> None:
        if self._cache.next is batch:
            self._cache.next = None
        trace = self._cache.trace
        span = None if trace is None else trace.begin_batch()
        started = time.perf_counter()
        try:
            results = await self._load_batch(batch.keys)
            self._cache.results.update(zip(batch.keys, results, strict=True))
        except BaseException as error:
            batch.failure = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._note(len(batch.keys), started, span)
            for key in batch.keys:
                if self._cache.under_way.get(key) is batch:
                    del self._cache.under_way[key]
            batch.done.set()

    def _note(self, size: int, started: float, span: SpanIds | None = None) -> None:
        scope = self._cache.scope
        if scope is not None:
            scope.note_batch(self._cache.loader, size, started, span)
