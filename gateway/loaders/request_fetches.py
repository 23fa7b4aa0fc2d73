"""Read from providers for one request: equal calls once, and lists to their end."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, TypeVar, TypeVarTuple

from gateway.domain.pages import CompleteList, Page, PageRequest
from gateway.errors import GatewayError, Malformed
from gateway.loaders.reads_by_key import MethodCall
from gateway.providers.base.exchange import ReadPlan
from gateway.request_scope import Scope
from gateway.upstream.provider import Provider

T = TypeVar("T")
Q = TypeVarTuple("Q")

WHOLE_LIST_PAGE_SIZE = 500
"""The page size when a list is read to its end; adapters lower it where they must."""

MAX_PAGES = 200
"""The number of pages after which a list without an end is `Malformed`."""


class RequestFetches:
    """Makes the reads of one request, equal ones once."""

    def __init__(self, scope: Scope) -> None:
        """Read for the request of this scope."""
        self._scope = scope
        self._loop = asyncio.get_running_loop()  # this takes 0.3 µs in Python 3.11
        self._sent: dict[Hashable, asyncio.Future[Any]] = {}

    def fetch(
        self, provider: Provider, method: Callable[[*Q], ReadPlan[T]], *args: *Q
    ) -> Awaitable[T]:
        """Read by the plan of an adapter's method; equal calls are made once."""
        return self._once((method, args), self._fetch, provider)

    async def fetch_all(
        self,
        provider: Provider,
        method: Callable[[*Q], ReadPlan[T]],
        calls: Iterable[tuple[*Q]],
    ) -> Iterable[tuple[tuple[*Q], T | GatewayError]]:
        """Read by the plans for these arguments, all different, for later calls of `fetch`.

        Returns the calls that this request had not made before, with their results.
        """
        new = [each for each in calls if (method, each) not in self._sent]
        futures = [self._loop.create_future() for _ in new]
        for each, future in zip(new, futures, strict=True):
            self._sent[method, each] = future
        try:
            plans = [provider.plan(method, *each) for each in new]
            results = await provider.read_all(plans, self._scope)
        except BaseException:
            for future in futures:
                future.cancel()  # a later `fetch` makes the call again
            raise
        for future, result in zip(futures, results, strict=True):
            if isinstance(result, GatewayError):
                future.set_exception(result)
                future.exception()  # as in `_once`
            else:
                future.set_result(result)
        return zip(new, results, strict=True)

    def _fetch(self, provider: Provider, call: MethodCall) -> Awaitable[Any]:
        return provider.read(provider.plan(call[0], *call[1]), self._scope)

    async def _once(
        self,
        call: MethodCall,
        read: Callable[[Provider, MethodCall], Awaitable[Any]],
        provider: Provider,
    ) -> Any:
        """Read, unless this request has made an equal call."""
        future = self._sent.get(call)
        if future is not None:
            if not future.done():
                await asyncio.wait((future,))  # cancelling one waiter leaves the others waiting
            if not future.cancelled():
                return future.result()
            # The first caller was cancelled; make the call again.
        future = self._sent[call] = self._loop.create_future()
        try:
            result = await read(provider, call)
        except Exception as error:
            future.set_exception(error)
            future.exception()  # retrieved: there may be no other waiter
            raise
        except BaseException:
            future.cancel()
            raise
        future.set_result(result)
        return result

    async def walk(
        self,
        provider: Provider,
        method: Callable[[*Q, PageRequest], ReadPlan[Page[T]]],
        *args: *Q,
        first: Page[T] | None = None,
    ) -> CompleteList[T]:
        """Read a list to its end; `first` is its first page, if it was read already.

        Raises `Malformed` if the list does not advance or never ends.
        """
        rows = CompleteList[T](() if first is None else first.rows)
        rows.skipped = 0 if first is None else first.skipped
        position: str | None = None if first is None else first.next_position
        for _ in range(MAX_PAGES):
            request = PageRequest(WHOLE_LIST_PAGE_SIZE, position)
            page = await self.fetch(provider, method, *args, request)
            rows += page.rows
            rows.skipped += page.skipped
            if page.is_last:
                return rows
            if page.next_position in {None, position}:
                break
            position = page.next_position
        operation = provider.plan(method, *args, request).operation
        raise Malformed(provider.key, operation, detail="the list does not end")

    def invalidate(self) -> None:
        """Drop everything that was read: something was written."""
        self._sent.clear()
