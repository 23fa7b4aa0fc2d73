"""Batching and fan-out for one request; a failure stays with its own key.

Made inside the running loop, one set per request. Equal calls within a request are made once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentRef,
    Customer,
    Ref,
    Segment,
)
from gateway.domain.pages import Page, PageRequest, Walked
from gateway.domain.queries import EVERY_CUSTOMER, EVERY_SEGMENT
from gateway.errors import GatewayError, Malformed, settled
from gateway.loaders.dataloader import DataLoader, LoaderCache
from gateway.loaders.questions import (
    Answers,
    Asking,
    Question,
    ReadsWhole,
    customers_by_key,
    of_kind,
    ref_of_value,
    segments_by_key,
)
from gateway.providers.base.adapter import (
    ListsAssignmentsOfCustomers,
    ListsCustomers,
    ListsSegments,
    ListsSegmentsOfCustomer,
    ReadBatch,
    ReadsAssignments,
)
from gateway.providers.base.exchange import ReadPlan
from gateway.request_scope import Scope
from gateway.upstream.provider import Provider

T = TypeVar("T")
Q = TypeVarTuple("Q")

LARGEST_PAGE = 500
"""Rows asked for when a list is read to its end; an adapter asks for fewer where it must."""

LONGEST_WALK = 200
"""Pages after which a list that does not end is given up."""

MOST_NAMED = 100
"""Customers of one question for their assignments."""

MOST_KEYS = 250
"""Keys of a question that may be kept, to be asked again."""


class RequestLoaders:
    """Everything that one request may read, batched by `Ref`."""

    def __init__(self, providers: Mapping[str, Provider], scope: Scope) -> None:
        """Read from these providers, by key, for the request of this scope."""
        self._providers = providers
        self._scope = scope
        self._sent: dict[Hashable, asyncio.Future[Any]] = {}
        self._known: defaultdict[str, LoaderCache[Any, Any]] = defaultdict(LoaderCache)

    # A loader is made for each use: one that was kept would stand in a circle with this, and all
    # that a request read would wait for the garbage collector.

    @property
    def segment(self) -> DataLoader[Ref, Segment]:
        """Segments by their refs."""
        return DataLoader(self._segments, self._known["segment"])

    @property
    def customer(self) -> DataLoader[Ref, Customer]:
        """Customers by any of the keys that their provider knows them by."""
        return DataLoader(self._customers, self._known["customer"])

    @property
    def assignment(self) -> DataLoader[AssignmentRef, Assignment]:
        """Assignments by both ends."""
        return DataLoader(self._assignments, self._known["assignment"])

    @property
    def assignments_of(self) -> DataLoader[Ref, Walked[Assignment]]:
        """All assignments of customers."""
        return DataLoader(self._assignments_of, self._known["assignments_of"])

    def fetch(
        self, provider: Provider, ask: Callable[[*Q], ReadPlan[T]], *question: *Q
    ) -> Awaitable[T]:
        """Read what a method of the provider's adapter asks for; equal questions once."""
        return self._once((ask, question), self._fetch, provider)

    async def fetch_all(
        self, provider: Provider, ask: Callable[[*Q], ReadPlan[T]], questions: Iterable[tuple[*Q]]
    ) -> Mapping[tuple[*Q], T | GatewayError]:
        """Read the answers to all these questions at once; `fetch` has them from then on.

        Returns those that this request had not asked before, by their questions.
        """
        loop = asyncio.get_running_loop()
        new = {each: loop.create_future() for each in questions if (ask, each) not in self._sent}
        self._sent.update(((ask, each), answer) for each, answer in new.items())
        try:
            asked = [provider.plan(ask, *each) for each in new]
            found = await provider.read_all(asked, self._scope)
        except BaseException:
            for answer in new.values():
                answer.cancel()  # whoever needs one asks again, and fails for itself
            raise
        for answer, each in zip(new.values(), found, strict=True):
            if isinstance(each, GatewayError):
                answer.set_exception(each)
                answer.exception()  # as in `_once`
            else:
                answer.set_result(each)
        return dict(zip(new, found, strict=True))

    def _fetch(self, provider: Provider, question: Question) -> Awaitable[Any]:
        return provider.read(provider.plan(question[0], *question[1]), self._scope)

    async def _once(
        self,
        question: Question,
        ask: Callable[[Provider, Question], Awaitable[Any]],
        provider: Provider,
    ) -> Any:
        """Ask, unless this request has done so."""
        answer = self._sent.get(question)
        if answer is not None:
            if not answer.done():
                await asyncio.wait((answer,))  # whoever is cancelled leaves it to the others
            if not answer.cancelled():
                return answer.result()
            # Who asked it was cancelled, and nobody else is.
        answer = self._sent[question] = asyncio.get_running_loop().create_future()
        try:
            found = await ask(provider, question)
        except Exception as error:
            answer.set_exception(error)
            answer.exception()  # so that it is no news when nobody else waits
            raise
        except BaseException:
            answer.cancel()
            raise
        answer.set_result(found)
        return found

    async def walk(
        self,
        provider: Provider,
        ask: Callable[[*Q, PageRequest], ReadPlan[Page[T]]],
        *question: *Q,
        first: Page[T] | None = None,
    ) -> Walked[T]:
        """Read a list to its end; `first` is its first page, where that is known already.

        Raises `Malformed` when the list does not advance or never ends.
        """
        rows = Walked[T](() if first is None else first.rows)
        rows.skipped = 0 if first is None else first.skipped
        position: str | None = None if first is None else first.goes_on_at
        for _ in range(LONGEST_WALK):
            page = PageRequest(LARGEST_PAGE, position)
            found = await self.fetch(provider, ask, *question, page)
            rows += found.rows
            rows.skipped += found.skipped
            if found.is_last:
                return rows
            if found.goes_on_at in {None, position}:
                break
            position = found.goes_on_at
        operation = provider.plan(ask, *question, page).operation
        raise Malformed(provider.key, operation, detail="the list does not come to an end")

    def invalidate(self) -> None:
        """Believe nothing that was read before: something was written."""
        self._sent.clear()
        self._known.clear()

    def prime_customers(self, customers: Iterable[Customer]) -> None:
        """Keep customers that another answer told whole."""
        self.customer.prime(customers, ref_of_value)

    def prime_segments(self, segments: Iterable[Segment]) -> None:
        """Keep segments that another answer told whole."""
        self.segment.prime((each for each in segments if not each.is_partial), ref_of_value)

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
                    found[place] = of_kind(each, each.segment)
        if not read and not of_segment:
            return found
        whole, segments = await asyncio.gather(
            self.assignment.load_results(tuple(read.values())),
            self.segment.load_results(tuple(of_segment.values())),
        )
        for place, answer in zip(read, whole, strict=True):
            found[place] = answer or found[place]
        for place, segment in zip(of_segment, segments, strict=True):
            if isinstance(segment, GatewayError):
                found[place] = segment
            elif segment is not None:
                found[place] = of_kind(assignments[place], segment)
        return found

    def _segments(self, refs: Sequence[Ref]) -> Awaitable[list[Segment | GatewayError | None]]:
        """Answer each ref in order; None: no such segment. An outage is returned, not raised."""
        return self._read(refs, segments_by_key, self._all_segments)

    async def _all_segments(self, provider: Provider) -> Mapping[str, Segment]:
        adapter = provider.require(ListsSegments, "SEGMENT_GET")
        rows = await self.walk(provider, adapter.segments, EVERY_SEGMENT)
        return {segment.ref.key: segment for segment in rows}

    async def _customers(self, refs: Sequence[Ref]) -> list[Customer | GatewayError | None]:
        """Answer each ref in order; the key may be any that the provider knows them by."""
        found = await self._read(refs, customers_by_key, self._all_customers)
        # Asked for by another of its keys, a customer is not read again by its own.
        self.prime_customers([each for each in found if isinstance(each, Customer)])
        return found

    async def _all_customers(self, provider: Provider) -> Mapping[str, Customer]:
        adapter = provider.require(ListsCustomers, "CUSTOMER_GET")
        rows = await self.walk(provider, adapter.customers, EVERY_CUSTOMER)
        return {key.value: each for each in reversed(rows) for key in each.keys} | {
            each.ref.key: each for each in rows
        }

    def _read(
        self, refs: Sequence[Ref], asking: Asking, whole: ReadsWhole
    ) -> Awaitable[list[Any]]:
        """Read things by key: in the provider's batches, else by reading its whole list."""
        if len(refs) == 1:
            (ref,) = refs
            return self._of_provider(ref.provider, (ref.key,), asking, whole)
        by_provider: dict[str, list[str]] = {}
        for ref in refs:
            by_provider.setdefault(ref.provider, []).append(ref.key)
        if len(by_provider) == 1:
            ((provider, keys),) = by_provider.items()
            return self._of_provider(provider, tuple(keys), asking, whole)
        return self._of_providers(refs, by_provider, asking, whole)

    async def _of_providers(
        self,
        refs: Sequence[Ref],
        keys: Mapping[str, Sequence[str]],
        asking: Asking,
        whole: ReadsWhole,
    ) -> list[Any]:
        answers = await asyncio.gather(
            *(self._of_provider(each, tuple(keys[each]), asking, whole) for each in keys)
        )
        of_provider = dict(zip(keys, map(iter, answers), strict=True))
        return [next(of_provider[ref.provider]) for ref in refs]

    async def _of_provider(
        self, key: str, keys: tuple[str, ...], asking: Asking, whole: ReadsWhole
    ) -> list[Any]:
        """Answer each key of one provider, in order."""
        provider = self._providers.get(key)
        if provider is None:
            return [None] * len(keys)
        ask = asking(provider)
        answers: Answers[Any]
        try:
            if ask is None:
                answers = [(keys, await whole(provider))]
            else:
                answers = await self._once((ask, keys), self._batches, provider)
        except GatewayError as error:
            return [error] * len(keys)
        if len(answers) == 1:
            ((_, rows),) = answers
            if isinstance(rows, GatewayError):
                return [rows] * len(keys)
            return [rows.get(key) for key in keys]
        found: dict[str, Any] = {}
        for part, rows in answers:
            if isinstance(rows, GatewayError):
                found.update(dict.fromkeys(part, rows))
            else:
                found.update((key, rows[key]) for key in part if key in rows)
        return [found.get(key) for key in keys]

    async def _batches(self, provider: Provider, question: Question) -> Answers[Any]:
        """Read the batches of these keys: what fails stands for its own."""
        ask, keys = question
        batches: Sequence[ReadBatch]
        batches = provider.plan(ask, keys) if len(keys) <= MOST_KEYS else ask(keys)
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
    ) -> list[Walked[Assignment] | GatewayError | None]:
        """Answer each customer with all their assignments; None: no such customer."""
        return await asyncio.gather(*(settled(self._assignments_of_one(ref)) for ref in refs))

    async def _assignments_of_one(self, ref: Ref) -> Walked[Assignment] | None:
        provider = self._providers.get(ref.provider)
        if provider is None:
            return None
        adapter = provider.require(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS")
        if adapter.confirms_customer:
            return await self.rows_of(ref)
        customer, rows = await asyncio.gather(self.customer.load(ref), self.rows_of(ref))
        return None if customer is None else rows

    async def rows_of(self, ref: Ref) -> Walked[Assignment]:
        """Return all assignments of a customer, who is not looked up.

        Of an unknown one they are what the provider answers: see `confirms_customer`.
        """
        provider = self._providers[ref.provider]
        adapter = provider.require(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS")
        rows = await self.walk(provider, adapter.segments_of, ref.key)
        self.prime_segments(row.segment for row in rows if row.segment is not None)
        return rows

    async def every_assignment_of(self, ref: Ref) -> Walked[Assignment] | None:
        """Return all assignments of a customer, each by itself where one segment has several.

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
        return rows.but(each for part in parts for each in part)

    async def each_within(self, provider: Provider, row: Assignment) -> Sequence[Assignment]:
        """Return the assignments of a row's customer to its segment; itself where none is told.

        So it is with who belongs through a group.
        """
        found = await self.within(provider, row.ref.segment, (row.ref.customer,))
        return [msgspec.structs.replace(each, segment=row.segment) for each in found] or (row,)

    async def within(
        self, provider: Provider, segment: str, customers: tuple[str, ...]
    ) -> Sequence[Assignment]:
        """Return the assignments of these customers to a segment, however they are assigned."""
        adapter = provider.require(ListsAssignmentsOfCustomers, "SEGMENT_MEMBERS")
        parts = [customers[i : i + MOST_NAMED] for i in range(0, len(customers), MOST_NAMED)]
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
            found = await self.fetch(
                provider, adapter.assignment, ref.segment, ref.customer, ref.legal_entity
            )
            if found is not None or ref.legal_entity is not None:
                return found
            # Who belongs through a group has no assignment of their own, and is in all the same.
        rows = await self.every_assignment_of(Ref(ref.provider, ref.customer))
        return next((row for row in rows or () if row.ref == ref), None)
