"""Batching and fan-out for one request; a failure stays with its own key.

Made inside the running loop, one set per request. Equal calls within a request are made once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

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
from gateway.wire import Asked, Recall

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


class _Batch(Generic[K, T]):
    """Keys that are read together, and where their answers go."""

    def __init__(self, known: dict[K, T | GatewayError | None]) -> None:
        self.keys: list[K] = []
        self.known = known
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None


class Loader(Generic[K, T]):
    """Reads things by key, in batches: whatever is asked for within two turns of the loop.

    aiodataloader has one future for each key; here one serves a whole list of them, and what is
    known already costs none.
    """

    def __init__(
        self, batch: Callable[[Sequence[K]], Awaitable[Sequence[T | GatewayError | None]]]
    ) -> None:
        """Read by a function that answers each key, in order, with its value or its error."""
        self._ask = batch
        self.clear_all()

    def clear_all(self) -> None:
        """Believe nothing that was read before, or is being read."""
        self._known: dict[K, T | GatewayError | None] = {}
        self._under_way: dict[K, _Batch[K, T]] = {}
        self._next: _Batch[K, T] | None = None
        self._primed: list[tuple[Iterable[T], Callable[[T], K]]] = []

    def prime(self, values: Iterable[T], key: Callable[[T], K]) -> None:
        """Keep what another answer told; it is looked through when the next key is asked for."""
        self._primed.append((values, key))

    async def answers(self, keys: Sequence[K]) -> Sequence[T | GatewayError | None]:
        """Return a value, an error or None (no such thing) for each key, in order."""
        known = self._known
        for values, key_of in self._primed:
            for value in values:
                known.setdefault(key_of(value), value)
        self._primed.clear()
        waiting: dict[_Batch[K, T], None] = {}
        for key in keys:
            if key not in known:
                waiting[self._under_way.get(key) or self._queue(key)] = None
        for batch in waiting:
            # Shielded: whoever is cancelled must not take the batch from the others.
            await asyncio.shield(batch.done)
        return [known[key] for key in keys]

    async def load(self, key: K) -> T | None:
        """Return a value, or None when there is no such thing. Raises its error."""
        return (await self.load_many((key,)))[0]

    async def load_many(self, keys: Sequence[K]) -> Sequence[T | None]:
        """Return a value or None for each key, in order. Raises the first error."""
        found: list[T | None] = []
        for answer in await self.answers(keys):
            if isinstance(answer, GatewayError):
                raise answer
            found.append(answer)
        return found

    def _queue(self, key: K) -> _Batch[K, T]:
        batch = self._next
        if batch is None:
            batch = self._next = _Batch(self._known)
            asyncio.get_running_loop().call_soon(self._start, batch)
        batch.keys.append(key)
        self._under_way[key] = batch
        return batch

    def _start(self, batch: _Batch[K, T]) -> None:
        batch.task = asyncio.ensure_future(self._read(batch))

    async def _read(self, batch: _Batch[K, T]) -> None:
        if self._next is batch:
            self._next = None
        try:
            answers = await self._ask(batch.keys)
            batch.known.update(zip(batch.keys, answers, strict=True))
        except asyncio.CancelledError:
            batch.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # a bug: it goes to all who wait
            batch.done.set_exception(error)
            batch.done.exception()  # so that it is no news when nobody waits any more
        else:
            batch.done.set_result(None)
        finally:
            for key in batch.keys:
                if self._under_way.get(key) is batch:
                    del self._under_way[key]


class Loaders:
    """Everything that one request may read, batched by `Ref`."""

    def __init__(self, providers: Mapping[str, Provider], scope: Scope) -> None:
        """Read from these providers, by key, for the request of this scope."""
        self._providers = providers
        self._scope = scope
        self._sent: dict[Any, asyncio.Task[Any]] = {}
        self.segment: Loader[Ref, Segment] = Loader(self._segments)
        self.customer: Loader[Ref, Customer] = Loader(self._customers)
        self.assignment: Loader[AssignmentRef, Assignment] = Loader(self._assignments)
        self.assignments_of: Loader[Ref, Sequence[Assignment]] = Loader(self._assignments_of)

    def fetch(self, provider: Provider, asked: Asked[T]) -> Awaitable[T]:
        """Make a call that reads; an equal one of this request is shared."""
        identity: tuple[Any, ...]
        if isinstance(asked, Recall):
            identity = (provider.key, asked.lookup)
        else:
            call = asked.call
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
            task = asyncio.ensure_future(provider.read(asked, self._scope))
            self._sent[identity] = task
        return task

    async def walk(
        self, provider: Provider, page: Callable[[PageRequest], Asked[Page[T]]]
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

    def forget(self) -> None:
        """Believe nothing that was read before: something was written."""
        self._sent.clear()
        for each in (self.segment, self.customer, self.assignment, self.assignments_of):
            each.clear_all()

    def prime_customers(self, customers: Iterable[Customer]) -> None:
        """Keep customers that another answer told whole."""
        self.customer.prime(customers, _ref)

    def prime_segments(self, segments: Iterable[Segment]) -> None:
        """Keep segments that another answer told whole."""
        self.segment.prime((each for each in segments if not each.is_partial), _ref)

    async def complete(
        self, assignments: Sequence[Assignment]
    ) -> Sequence[Assignment | GatewayError]:
        """Return assignments with what their providers tell of them beyond that they exist."""
        found: list[Assignment | GatewayError] = list(assignments)
        read: dict[int, AssignmentRef] = {}
        of_segment: dict[int, Ref] = {}
        for place, each in enumerate(assignments):
            if each.is_partial:
                ref = each.ref
                if self._providers[ref.provider].offers(ReadsAssignments):
                    read[place] = ref
                elif each.segment is None or each.segment.is_partial:
                    of_segment[place] = Ref(ref.provider, ref.segment)
                else:
                    found[place] = _of_kind(each, each.segment)
        if not read and not of_segment:
            return found
        whole, segments = await asyncio.gather(
            self.assignment.answers(tuple(read.values())),
            self.segment.answers(tuple(of_segment.values())),
        )
        for place, answer in zip(read, whole, strict=True):
            found[place] = answer or found[place]
        for place, segment in zip(of_segment, segments, strict=True):
            if isinstance(segment, GatewayError):
                found[place] = segment
            elif segment is not None:
                found[place] = _of_kind(assignments[place], segment)
        return found

    async def _segments(self, refs: Sequence[Ref]) -> list[Segment | GatewayError | None]:
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

    async def _customers(self, refs: Sequence[Ref]) -> list[Customer | GatewayError | None]:
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

        found = await self._read(refs, batches, walked)
        # Asked for by another of its keys, a customer is not read again by its own.
        self.prime_customers([each for each in found if isinstance(each, Customer)])
        return found

    async def _read(
        self,
        refs: Sequence[Ref],
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
        self, refs: Sequence[Ref]
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
        self, refs: Sequence[AssignmentRef]
    ) -> list[Assignment | GatewayError | None]:
        return await asyncio.gather(*(settled(self._assignment(ref)) for ref in refs))

    async def _assignment(self, ref: AssignmentRef) -> Assignment | None:
        provider = self._providers.get(ref.provider)
        if provider is not None and provider.offers(ReadsAssignments):
            adapter = provider.wanted(ReadsAssignments, "ASSIGNMENT_GET")
            exchange = adapter.assignment(ref.segment, ref.customer, ref.legal_entity)
            found = await self.fetch(provider, exchange)
            if found is not None or ref.legal_entity is not None:
                return found
            # What a customer is in is told without the legal entity: it may be there all the same.
        rows = await self.assignments_of.load(Ref(ref.provider, ref.customer))
        return next((row for row in rows or () if row.ref == ref), None)


def _of_kind(assignment: Assignment, segment: Segment) -> Assignment:
    kind = KIND_BY_MEMBERSHIP.get(segment.membership, AssignmentKind.UNKNOWN)
    return msgspec.structs.replace(assignment, kind=kind, is_partial=False)


def _ref(value: Any) -> Ref:
    ref: Ref = value.ref
    return ref


async def settled(answer: Awaitable[T]) -> T | GatewayError:
    """Return what is awaited, or the error that it raised."""
    try:
        return await answer
    except GatewayError as error:
        return error
