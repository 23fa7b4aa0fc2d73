"""The loaders of one request: segments, customers and assignments, batched by `Ref`.

They are created inside the running event loop. An error affects only its own key.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentRef,
    Customer,
    Ref,
    Segment,
)
from gateway.domain.pages import CompleteList
from gateway.domain.queries import EVERY_CUSTOMER, EVERY_SEGMENT
from gateway.errors import GatewayError, settled
from gateway.loaders.dataloader import DataLoader, LoaderCache
from gateway.loaders.reads_by_key import (
    BatchResults,
    MethodCall,
    MethodOf,
    ReadAll,
    customers_by_key,
    ref_of_value,
    segments_by_key,
    with_kind,
)
from gateway.loaders.request_fetches import RequestFetches
from gateway.providers.base.adapter import (
    ListsAssignmentsOfCustomers,
    ListsCustomers,
    ListsSegments,
    ListsSegmentsOfCustomer,
    ReadBatch,
    ReadsAssignments,
)
from gateway.request_scope import Scope
from gateway.upstream.provider import Provider

MAX_CUSTOMERS = 100
"""The largest number of customers in one call for their assignments."""

MAX_CACHED_KEYS = 250
"""The largest number of keys in a plan that is reused."""


class RequestLoaders(RequestFetches):
    """The loaders of one request."""

    def __init__(self, providers: Mapping[str, Provider], scope: Scope) -> None:
        """Read from these providers, by key, for the request of this scope."""
        super().__init__(scope)
        self._providers = providers
        self._caches: dict[str, LoaderCache[Any, Any]] = {}
        self.customers_read: list[Iterable[Customer]] = []
        """The customers that replies contained, for the index of identities."""

    # Each use creates a loader: a stored one would form a reference cycle with this object, and
    # all values of the request would wait for the garbage collector.

    @property
    def segment(self) -> DataLoader[Ref, Segment]:
        """Segments by their refs."""
        return DataLoader(self._segments, self._cache("segment"))

    @property
    def customer(self) -> DataLoader[Ref, Customer]:
        """Customers by any of the keys that identify them at their provider."""
        return DataLoader(self._customers, self._cache("customer"))

    @property
    def assignment(self) -> DataLoader[AssignmentRef, Assignment]:
        """Assignments by segment and customer."""
        return DataLoader(self._assignments, self._cache("assignment"))

    @property
    def assignments_of(self) -> DataLoader[Ref, CompleteList[Assignment]]:
        """All assignments of a customer, by the customer's ref."""
        return DataLoader(self._assignments_of, self._cache("assignments_of"))

    def _cache(self, loader: str) -> LoaderCache[Any, Any]:
        cache = self._caches.get(loader)
        if cache is None:
            cache = self._caches[loader] = LoaderCache(loader, self._scope)
        return cache

    def invalidate(self) -> None:
        """Drop everything that was read: something was written."""
        super().invalidate()
        self._caches.clear()

    def prime_customers(self, customers: Iterable[Customer]) -> None:
        """Cache complete customers that another reply contained."""
        self.customers_read.append(customers)
        self.customer.prime(customers, ref_of_value)

    def prime_segments(self, segments: Iterable[Segment]) -> None:
        """Cache complete segments that another reply contained."""
        self.segment.prime((each for each in segments if not each.is_partial), ref_of_value)

    async def complete(
        self, assignments: Sequence[Assignment]
    ) -> Sequence[Assignment | GatewayError]:
        """Return the assignments with all their fields read, in order."""
        completed: list[Assignment | GatewayError] = list(assignments)
        read: dict[int, AssignmentRef] = {}
        of_segment: dict[int, Ref] = {}
        for index, each in enumerate(assignments):
            if each.is_partial:
                ref = each.ref
                if self._providers[ref.provider].offers(ReadsAssignments):
                    read[index] = ref
                elif each.segment is None or each.segment.is_partial:
                    of_segment[index] = Ref(ref.provider, ref.segment)
                else:
                    completed[index] = with_kind(each, each.segment)
        if not read and not of_segment:
            return completed
        whole, segments = await asyncio.gather(
            self.assignment.load_results(tuple(read.values())),
            self.segment.load_results(tuple(of_segment.values())),
        )
        for index, result in zip(read, whole, strict=True):
            completed[index] = result or completed[index]
        for index, segment in zip(of_segment, segments, strict=True):
            if isinstance(segment, GatewayError):
                completed[index] = segment
            elif segment is not None:
                completed[index] = with_kind(assignments[index], segment)
        return completed

    def _segments(self, refs: Sequence[Ref]) -> Awaitable[list[Segment | GatewayError | None]]:
        """Return a result per ref, in order; None: no such segment. Errors are not raised."""
        return self._read(refs, segments_by_key, self._all_segments)

    async def _all_segments(self, provider: Provider) -> Mapping[str, Segment]:
        adapter = provider.require(ListsSegments, "SEGMENT_GET")
        rows = await self.walk(provider, adapter.segments, EVERY_SEGMENT)
        return {segment.ref.key: segment for segment in rows}

    async def _customers(self, refs: Sequence[Ref]) -> list[Customer | GatewayError | None]:
        """Return a result per ref, in order; the key may be any that identifies the customer."""
        customers = await self._read(refs, customers_by_key, self._all_customers)
        # A customer read by another of its keys is not read again by its own.
        self.prime_customers([each for each in customers if isinstance(each, Customer)])
        return customers

    async def _all_customers(self, provider: Provider) -> Mapping[str, Customer]:
        adapter = provider.require(ListsCustomers, "CUSTOMER_GET")
        rows = await self.walk(provider, adapter.customers, EVERY_CUSTOMER)
        self.customers_read.append(rows)
        return {key.value: each for each in reversed(rows) for key in each.keys} | {
            each.ref.key: each for each in rows
        }

    def _read(
        self, refs: Sequence[Ref], method_of: MethodOf, read_all: ReadAll
    ) -> Awaitable[list[Any]]:
        """Read values by key: in the provider's batches, or else from its whole list."""
        if len(refs) == 1:
            (ref,) = refs
            return self._of_provider(ref.provider, (ref.key,), method_of, read_all)
        by_provider: dict[str, list[str]] = {}
        for ref in refs:
            by_provider.setdefault(ref.provider, []).append(ref.key)
        if len(by_provider) == 1:
            ((provider, keys),) = by_provider.items()
            return self._of_provider(provider, tuple(keys), method_of, read_all)
        return self._of_providers(refs, by_provider, method_of, read_all)

    async def _of_providers(
        self,
        refs: Sequence[Ref],
        keys: Mapping[str, Sequence[str]],
        method_of: MethodOf,
        read_all: ReadAll,
    ) -> list[Any]:
        results = await asyncio.gather(
            *(self._of_provider(each, tuple(keys[each]), method_of, read_all) for each in keys)
        )
        of_provider = dict(zip(keys, map(iter, results), strict=True))
        return [next(of_provider[ref.provider]) for ref in refs]

    async def _of_provider(
        self, key: str, keys: tuple[str, ...], method_of: MethodOf, read_all: ReadAll
    ) -> list[Any]:
        """Return a result per key of one provider, in order."""
        provider = self._providers.get(key)
        if provider is None:
            return [None] * len(keys)
        method = method_of(provider)
        batches: BatchResults[Any]
        try:
            if method is None:
                batches = [(keys, await read_all(provider))]
            else:
                batches = await self._once((method, keys), self._read_batches, provider)
        except GatewayError as error:
            return [error] * len(keys)
        if len(batches) == 1:
            ((_, rows),) = batches
            if isinstance(rows, GatewayError):
                return [rows] * len(keys)
            return [rows.get(key) for key in keys]
        results: dict[str, Any] = {}
        for part, rows in batches:
            if isinstance(rows, GatewayError):
                results.update(dict.fromkeys(part, rows))
            else:
                results |= {key: rows[key] for key in part if key in rows}
        return [results.get(key) for key in keys]

    async def _read_batches(self, provider: Provider, call: MethodCall) -> BatchResults[Any]:
        """Read the batches of these keys; an error affects only its own batch."""
        method, keys = call
        batches: Sequence[ReadBatch]
        batches = provider.plan(method, keys) if len(keys) <= MAX_CACHED_KEYS else method(keys)
        if len(batches) == 1:
            ((part, exchange),) = batches
            try:
                return [(part, await provider.read(exchange, self._scope))]
            except GatewayError as error:
                return [(part, error)]
        read = await provider.read_all([each.exchange for each in batches], self._scope)
        return [(each.keys, rows) for each, rows in zip(batches, read, strict=True)]

    async def _assignments_of(
        self, refs: Sequence[Ref]
    ) -> list[CompleteList[Assignment] | GatewayError | None]:
        """Return all assignments per customer, in order; None: no such customer."""
        return await asyncio.gather(*(settled(self._assignments_of_one(ref)) for ref in refs))

    async def _assignments_of_one(self, ref: Ref) -> CompleteList[Assignment] | None:
        provider = self._providers.get(ref.provider)
        if provider is None:
            return None
        adapter = provider.require(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS")
        if adapter.confirms_customer:
            return await self.rows_of(ref)
        customer, rows = await asyncio.gather(self.customer.load(ref), self.rows_of(ref))
        return None if customer is None else rows

    async def rows_of(self, ref: Ref) -> CompleteList[Assignment]:
        """Return all assignments of a customer, without reading the customer.

        For an unknown customer the result depends on the provider: see `confirms_customer`.
        """
        provider = self._providers[ref.provider]
        adapter = provider.require(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS")
        rows = await self.walk(provider, adapter.segments_of, ref.key)
        self.prime_segments(row.segment for row in rows if row.segment is not None)
        return rows

    async def every_assignment_of(self, ref: Ref) -> CompleteList[Assignment] | None:
        """Return all assignments of a customer, including several in one segment.

        None: no such customer.
        """
        rows = await self.assignments_of.load(ref)
        provider = self._providers.get(ref.provider)
        if not rows or provider is None or not provider.offers(ListsAssignmentsOfCustomers):
            return rows
        customer = await settled(self.customer.load(ref))
        if isinstance(customer, Customer) and customer.acts_alone:
            return rows
        parts = await asyncio.gather(*(self.each_within(provider, row) for row in rows))
        return rows.with_rows(each for part in parts for each in part)

    async def each_within(self, provider: Provider, row: Assignment) -> Sequence[Assignment]:
        """Return the assignments of a row's customer in its segment, or else the row itself.

        Customers that belong to a segment through a group have no assignment.
        """
        assignments = await self.within(provider, row.ref.segment, (row.ref.customer,))
        return [msgspec.structs.replace(each, segment=row.segment) for each in assignments] or (
            row,
        )

    async def within(
        self, provider: Provider, segment: str, customers: tuple[str, ...]
    ) -> Sequence[Assignment]:
        """Return the assignments of these customers in a segment, also through legal entities."""
        adapter = provider.require(ListsAssignmentsOfCustomers, "SEGMENT_MEMBERS")
        parts = [customers[i : i + MAX_CUSTOMERS] for i in range(0, len(customers), MAX_CUSTOMERS)]
        walks = (self.walk(provider, adapter.assignments_within, segment, each) for each in parts)
        return [row for rows in await asyncio.gather(*walks) for row in rows]

    async def _assignments(
        self, refs: Sequence[AssignmentRef]
    ) -> list[Assignment | GatewayError | None]:
        return await asyncio.gather(*(settled(self._assignment(ref)) for ref in refs))

    async def _assignment(self, ref: AssignmentRef) -> Assignment | None:
        provider = self._providers.get(ref.provider)
        if provider is not None and provider.offers(ReadsAssignments):
            adapter = provider.require(ReadsAssignments, "ASSIGNMENT_GET")
            assignment = await self.fetch(
                provider, adapter.assignment, ref.segment, ref.customer, ref.legal_entity
            )
            if assignment is not None or ref.legal_entity is not None:
                return assignment
            # Customers that belong to a segment through a group have no assignment.
        rows = await self.every_assignment_of(Ref(ref.provider, ref.customer))
        return next((row for row in rows or () if row.ref == ref), None)
