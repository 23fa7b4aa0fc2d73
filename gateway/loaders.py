"""Batching and fan-out for one request; a failure stays with its own key.

Made inside the running loop, one set per request. Equal calls within a request are made once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
from aiodataloader import DataLoader

from gateway.adapter import (
    Batch,
    ListsCustomers,
    ListsSegments,
    ListsSegmentsOfCustomer,
    ReadsAssignments,
    ReadsCustomers,
    ReadsSegments,
)
from gateway.domain import (
    EVERY_CUSTOMER,
    EVERY_SEGMENT,
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Customer,
    Membership,
    Page,
    PageRequest,
    Ref,
    Segment,
)
from gateway.errors import GatewayError, Malformed
from gateway.provider import Provider
from gateway.scope import Scope
from gateway.wire import Exchange

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

LARGEST_PAGE = 500
"""Rows asked for when a list is read to its end; an adapter asks for fewer where it must."""

LONGEST_WALK = 200
"""Pages after which a list that does not end is given up."""

KIND_BY_MEMBERSHIP = {
    Membership.MANUAL: AssignmentKind.MANUAL,
    Membership.RULE: AssignmentKind.AUTOMATIC,
}


def loader(batch: Callable[[list[K]], Awaitable[list[T | GatewayError]]]) -> DataLoader[K, T]:
    """Return a loader over a function that answers each key with its value or its error."""
    # aiodataloader fails one key when its answer *is* an exception; its types do not say so.
    return DataLoader(cast("Any", batch))


class Loaders:
    """Everything that one request may read, batched by `Ref`."""

    def __init__(self, providers: Mapping[str, Provider], scope: Scope) -> None:
        """Read from these providers, by key, for the request of this scope."""
        self._providers = providers
        self._scope = scope
        self._sent: dict[Any, asyncio.Task[Any]] = {}
        self.segment = loader(self._segments)
        self.customer = loader(self._customers)
        self.assignment = loader(self._assignments)
        self.assignments_of = loader(self._assignments_of)

    def fetch(self, provider: Provider, exchange: Exchange[T]) -> Awaitable[T]:
        """Make a call that reads; an equal one of this request is shared."""
        call = exchange.call
        identity = (
            provider.key,
            call.method,
            call.path,
            call.query,
            call.body,
            *call.headers.items(),
        )
        task = self._sent.get(identity)
        if task is None:
            task = asyncio.ensure_future(provider.send(exchange, self._scope))
            self._sent[identity] = task
        return task

    async def walk(
        self, provider: Provider, page: Callable[[PageRequest], Exchange[Page[T]]]
    ) -> list[T]:
        """Read a list to its end. Raises `Malformed` when it does not advance or never ends."""
        rows: list[T] = []
        position: str | None = None
        for _ in range(LONGEST_WALK):
            exchange = page(PageRequest(LARGEST_PAGE, position))
            found = await self.fetch(provider, exchange)
            rows += found.rows
            if found.is_last:
                return rows
            if found.goes_on_at in {None, position}:
                break
            position = found.goes_on_at
        raise Malformed(
            provider.key, exchange.operation, detail="the list does not come to an end"
        )

    def prime_customers(self, customers: Iterable[Customer]) -> None:
        """Keep customers that another answer told whole."""
        for customer in customers:
            self.customer.prime(customer.ref, customer)

    def prime_segments(self, segments: Iterable[Segment]) -> None:
        """Keep segments that another answer told whole."""
        for segment in segments:
            if not segment.is_partial:
                self.segment.prime(segment.ref, segment)

    async def complete(self, assignment: Assignment) -> Assignment:
        """Return an assignment with what its provider tells of it beyond that it exists."""
        if not assignment.is_partial:
            return assignment
        ref = assignment.ref
        provider = self._providers[ref.provider]
        if provider.offers(ReadsAssignments):
            return await self.assignment.load(ref) or assignment
        segment = assignment.segment
        if segment is None or segment.is_partial:
            segment = await self.segment.load(Ref(ref.provider, ref.segment))
        if segment is None:
            return assignment
        kind = KIND_BY_MEMBERSHIP.get(segment.membership, AssignmentKind.UNKNOWN)
        return msgspec.structs.replace(assignment, kind=kind, is_partial=False)

    async def _segments(self, refs: list[Ref]) -> list[Segment | GatewayError | None]:
        """Answer each ref in order; None: no such segment. An outage is returned, not raised."""

        def batches(provider: Provider, keys: Sequence[str]) -> Sequence[Batch] | None:
            if provider.offers(ReadsSegments):
                return provider.wanted(ReadsSegments, "SEGMENT_GET").segments_by_key(keys)
            return None

        async def walked(provider: Provider) -> Mapping[str, Segment]:
            adapter = provider.wanted(ListsSegments, "SEGMENT_GET")
            rows = await self.walk(provider, lambda page: adapter.segments(EVERY_SEGMENT, page))
            return {segment.ref.key: segment for segment in rows}

        return await self._read(refs, batches, walked)

    async def _customers(self, refs: list[Ref]) -> list[Customer | GatewayError | None]:
        """Answer each ref in order; the key may be any that the provider knows them by."""

        def batches(provider: Provider, keys: Sequence[str]) -> Sequence[Batch] | None:
            if provider.offers(ReadsCustomers):
                return provider.wanted(ReadsCustomers, "CUSTOMER_GET").customers_by_key(keys)
            return None

        async def walked(provider: Provider) -> Mapping[str, Customer]:
            adapter = provider.wanted(ListsCustomers, "CUSTOMER_GET")
            rows = await self.walk(provider, lambda page: adapter.customers(EVERY_CUSTOMER, page))
            return {key.value: each for each in reversed(rows) for key in each.keys} | {
                each.ref.key: each for each in rows
            }

        return await self._read(refs, batches, walked)

    async def _read(
        self,
        refs: list[Ref],
        batches: Callable[[Provider, Sequence[str]], Sequence[Batch] | None],
        walked: Callable[[Provider], Awaitable[Mapping[str, T]]],
    ) -> list[T | GatewayError | None]:
        """Read things by key: in the provider's batches, else by reading its whole list."""
        found: dict[Ref, T | GatewayError] = {}

        async def keep(key: str, keys: Sequence[str], answer: Awaitable[Mapping[str, T]]) -> None:
            try:
                rows = await answer
            except GatewayError as error:
                found.update((Ref(key, each), error) for each in keys)
            else:
                found.update((Ref(key, each), rows[each]) for each in keys if each in rows)

        by_provider: dict[str, list[str]] = {}
        for ref in refs:
            by_provider.setdefault(ref.provider, []).append(ref.key)
        reads = []
        for key, keys in by_provider.items():
            provider = self._providers.get(key)
            if provider is None:
                continue
            planned = batches(provider, keys)
            if planned is None:
                reads.append(keep(key, keys, walked(provider)))
                continue
            reads += [keep(key, b.keys, self.fetch(provider, b.exchange)) for b in planned]
        await asyncio.gather(*reads)
        return [found.get(ref) for ref in refs]

    async def _assignments_of(
        self, refs: list[Ref]
    ) -> list[Sequence[Assignment] | GatewayError | None]:
        """Answer each customer with all their assignments; None: no such customer."""
        return await asyncio.gather(*(settled(self._assignments_of_one(ref)) for ref in refs))

    async def _assignments_of_one(self, ref: Ref) -> Sequence[Assignment] | None:
        provider = self._providers.get(ref.provider)
        if provider is None:
            return None
        adapter = provider.wanted(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS")
        reading = self.walk(provider, lambda page: adapter.segments_of(ref.key, page))
        if adapter.confirms_customer:
            rows = await reading
        else:
            customer, rows = await asyncio.gather(self.customer.load(ref), reading)
            if customer is None:
                return None
        self.prime_segments(row.segment for row in rows if row.segment is not None)
        return rows

    async def _assignments(
        self, refs: list[AssignmentRef]
    ) -> list[Assignment | GatewayError | None]:
        return await asyncio.gather(*(settled(self._assignment(ref)) for ref in refs))

    async def _assignment(self, ref: AssignmentRef) -> Assignment | None:
        provider = self._providers.get(ref.provider)
        if provider is not None and provider.offers(ReadsAssignments):
            adapter = provider.wanted(ReadsAssignments, "ASSIGNMENT_GET")
            exchange = adapter.assignment(ref.segment, ref.customer, ref.legal_entity)
            return await self.fetch(provider, exchange)
        rows = await self.assignments_of.load(Ref(ref.provider, ref.customer))
        return next((row for row in rows or () if row.ref == ref), None)


async def settled(answer: Awaitable[T]) -> T | GatewayError:
    """Return what is awaited, or the error that it raised."""
    try:
        return await answer
    except GatewayError as error:
        return error
