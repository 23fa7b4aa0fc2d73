"""Persons: read from the index of identities, and from providers where one person is wanted."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

import structlog

from gateway.domain.entities import Customer, CustomerKey, Origin, Ref
from gateway.errors import BadInput, GatewayError
from gateway.identity.graph import Edge, Graph, Pair
from gateway.identity.normalizing import EMAIL, normalized
from gateway.identity.person import LookupStatus, Person
from gateway.loaders.request_loaders import RequestLoaders
from gateway.reads.customer_lists import CustomerLists
from gateway.reads.person_lookups import Absent, Lookup, PersonLookups
from gateway.reads.source_rows import Source, source_of
from gateway.request_scope import Scope
from gateway.store.errors import StoreFailed
from gateway.store.identity import IdentityStore
from gateway.upstream.provider import Provider

PART: Final = 1000
"""Customers of a large set whose persons are computed at once."""
RECORD_S: Final = 5.0
"""The most seconds that a response waits for the index to be written."""
PAUSE_S: Final = 10.0
"""After a failure of the store: how long reads do without the index."""

log = structlog.get_logger(__name__)


class PersonReads:
    """The persons that one request may see."""

    def __init__(  # noqa: PLR0913  # the last one by name
        self,
        providers: Mapping[str, Provider],
        loaders: RequestLoaders,
        identity: IdentityStore,
        lists: CustomerLists,
        scope: Scope,
        *,
        own: Mapping[str, str] | None = None,
        alone: Collection[Ref] = (),
    ) -> None:
        """Read the customers of these providers, all of which the caller may see.

        `own`: with self-service access, the caller's own id at each provider. `alone`: customers
        that the operation reads one by one; providers are queried for their persons.
        """
        self._providers = providers
        self._places = {key: place for place, key in enumerate(providers)}
        self._loaders = loaders
        self._identity = identity
        self._rules = identity.index.rules
        self._lists = lists
        self._scope = scope
        self._own = own
        self._lookups = PersonLookups(providers, loaders, self._rules, lists)
        self._alone = alone

    @property
    def sight(self) -> Sequence[str]:
        """The keys of the providers."""
        return tuple(self._providers)

    # The index

    async def record_read(self) -> None:
        """Record the customers that the request has read, before it is answered.

        A store that fails costs the links, not the answer.
        """
        index, now = self._identity.index, asyncio.get_running_loop().time()
        if not self._rules.rules or not self._loaders.customers_read or now < index.paused_until:
            return
        until = min(self._scope.deadline, now + RECORD_S)
        try:
            await self._record(chain.from_iterable(self._loaders.customers_read), until)
        except StoreFailed as error:
            index.paused_until = now + PAUSE_S
            log.warning("customers that were read are not in the index", cause=error.cause)
        self._loaders.customers_read.clear()

    async def _record(self, customers: Iterable[Customer], until: float) -> bool:
        news = self._identity.index.news(customers)
        return bool(news) and await self._identity.index.record(news, until)

    async def _record_lookups(self, lookups: Iterable[Lookup]) -> bool:
        """Record what lookups returned; return whether the index may have changed.

        Raises `StoreFailed`.
        """
        results = list(lookups)
        customers = chain.from_iterable(each.customers for each in results)
        has_changed = await self._record(customers, self._scope.deadline)
        absent = [each.absent for each in results if each.absent is not None]
        for each in absent:
            await self._forget(each)
        return has_changed or bool(absent)

    async def _forget(self, absent: Absent) -> None:
        index, deadline = self._identity.index, self._scope.deadline
        (provider, name), form, text = absent
        await index.retract(provider, name, form, text, deadline)
        if name == "id":
            await index.retire([Ref(provider, text)], deadline)

    # Persons by what the index has

    async def persons(self, refs: Sequence[Ref]) -> Sequence[Person]:
        """Return the person of each customer, by one read of the store. Raises `StoreFailed`."""
        if self._own is not None:
            return await self._own_persons(refs)
        await self.record_read()
        graph = await self.graph(refs)
        return [self.person_in(graph, ref) for ref in refs]

    async def graph(self, refs: Collection[Ref]) -> Graph:
        """Return the edges and persons around customers. Raises `StoreFailed`."""
        known = await self._identity.reads.around(refs, self.sight, self._scope.deadline)
        graph = known.graph(self._rules)
        self._identity.index.note_oversized(graph.oversized)
        return graph

    async def large_graph(self, refs: Sequence[Ref]) -> Graph:
        """Return the edges and persons around many customers, computed part by part.

        An edge between two parts that does not connect them may be missing. Raises `StoreFailed`.
        """
        merged = Graph({}, {}, {})
        for start in range(0, len(refs), PART):
            part = await self.graph(refs[start : start + PART])
            merged = Graph(
                {**merged.edges, **part.edges},
                {**merged.persons, **part.persons},
                {**merged.ages, **part.ages},
            )
        return merged

    async def edges(self, refs: Collection[Ref]) -> Sequence[Edge]:
        """Return all edges of these customers, and some others. Raises `StoreFailed`."""
        known = await self._identity.reads.around(
            refs, self.sight, self._scope.deadline, has_ring=True
        )
        return [*known.graph(self._rules).edges.values()]

    def person_in(
        self, graph: Graph, ref: Ref, statuses: Mapping[str, LookupStatus] | None = None
    ) -> Person:
        """Return the person of a customer; a customer who was never seen is a person of one."""
        customers = graph.persons.get(ref, (ref,))
        together = frozenset(customers)
        edges = [
            edge
            for (one, other), edge in graph.edges.items()
            if one in together and other in together
        ]
        edges.sort(key=lambda edge: edge.created_at)
        # Sorting is stable: the customers of one provider stay oldest first.
        in_order = sorted(customers, key=lambda each: self._places[each.provider])
        return Person(customers[0], in_order, edges, statuses or {})

    async def by_refs(self, refs: Sequence[Ref]) -> Sequence[Person | GatewayError | None]:
        """Return the person of each customer, from the index where it has them.

        None: there is no such customer. Raises `StoreFailed`.
        """
        found: list[Person | GatewayError | None] = [*await self.persons(refs)]
        graph = None if self._own is not None else await self.graph(refs)
        unknown = [i for i, ref in enumerate(refs) if graph is None or ref not in graph.persons]
        customers = await self._loaders.customer.load_results([refs[i] for i in unknown])
        for index, customer in zip(unknown, customers, strict=True):
            if not isinstance(customer, Customer):
                found[index] = customer
        return found

    async def links(self, pairs: Sequence[Pair]) -> Sequence[Edge | None]:
        """Return the link of each pair; None if there is none. Raises `StoreFailed`."""
        if self._own is not None:
            return [None] * len(pairs)
        graph = await self.graph({ref for pair in pairs for ref in pair})
        return [graph.edges.get(pair) for pair in pairs]

    async def _own_persons(self, refs: Sequence[Ref]) -> Sequence[Person]:
        """Return one person, whose customers are those that the caller's token names."""
        named = [Ref(*each) for each in (self._own or {}).items()]
        found = await self._loaders.customer.load_results(named)
        customers = [each.ref for each in found if isinstance(each, Customer)]
        statuses = {
            ref.provider: LookupStatus(each.origin, each.fetched_at)
            if isinstance(each, Customer)
            else LookupStatus(None, error=each)
            for ref, each in zip(named, found, strict=True)
        }
        known = await self._identity.reads.around(customers, self.sight, self._scope.deadline)
        oldest = min(
            customers, key=lambda ref: known.numbers.get(ref, len(known.numbers)), default=None
        )
        return [Person(oldest or ref, customers or [ref], statuses=statuses) for ref in refs]

    # Lookups of one person at the providers

    async def persons_of(self, customers: Sequence[Customer]) -> Sequence[Person | GatewayError]:
        """Return the person of each customer; ask providers for those that are wanted alone."""
        if self._own is None and len(customers) == 1 and customers[0].ref in self._alone:
            return [await self.with_lookups(customers[0])]
        return await self.persons([each.ref for each in customers])

    async def with_lookups(self, customer: Customer) -> Person:
        """Return a customer's person after asking each other provider. Raises `StoreFailed`."""
        others = [key for key in self._providers if key != customer.ref.provider]
        lookups = dict(await self._lookups.by_keys([customer], others))
        itself = Lookup(LookupStatus(customer.origin, customer.fetched_at), [customer])
        lookups[customer.ref.provider] = itself
        await self._record_lookups(lookups.values())
        await self.record_read()
        return self.person_in(await self.graph([customer.ref]), customer.ref, _statuses(lookups))

    async def of(self, ref: Ref) -> Person | None:
        """Return the person of a customer, by any key; None if there is no such customer.

        If its provider fails, what the index has is returned. Raises the provider's error if it
        has nothing, and `StoreFailed`.
        """
        if ref.provider not in self._providers:
            return None
        try:
            customer = await self._loaders.customer.load(ref)
        except StoreFailed:
            raise
        except GatewayError as error:
            if self._own is not None:
                raise
            graph = await self.graph([ref])
            if ref not in graph.persons:
                raise
            return self.person_in(graph, ref, {ref.provider: LookupStatus(None, error=error)})
        if customer is None:
            if self._own is None:
                await self._identity.index.retire([ref], self._scope.deadline)
            return None
        if self._own is not None:
            return (await self.persons([customer.ref]))[0]
        return await self.with_lookups(customer)

    async def with_email(self, address: str) -> Person | None:
        """Return the person all of whose customers have this address; None if nobody has it.

        Raises `BadInput` if several persons have it, and `StoreFailed`.
        """
        if normalized(EMAIL, address) is None:
            raise BadInput("email is blank.")
        if self._own is not None:
            return await self._own_with_email(address)
        refs, lookups = await self._with_email(address)
        graph = await self.graph(refs)
        persons = {self.person_in(graph, ref).ref: ref for ref in refs if ref in graph.persons}
        if not persons:
            return None
        if len(persons) > 1:
            raise BadInput("Several persons have this email address: ask people.")
        (ref,) = persons.values()
        found = list(chain.from_iterable(each.customers for each in lookups.values()))
        known_at = {each.provider for each in graph.persons[ref]}
        missing = [key for key in self._providers if key not in known_at]
        more = await self._lookups.by_keys(found, missing)
        if await self._record_lookups(more.values()):
            graph = await self.graph([ref])
        return self.person_in(graph, ref, _statuses({**lookups, **more}))

    async def _with_email(self, address: str) -> tuple[Sequence[Ref], Mapping[str, Lookup]]:
        lookups = await self._lookups.by_email(address)
        await self._record_lookups(lookups.values())
        await self.record_read()
        deadline = self._scope.deadline
        return await self._identity.reads.with_email(address, self.sight, deadline), lookups

    async def customers_with_email(
        self, address: str
    ) -> tuple[Sequence[Ref], Mapping[str, LookupStatus]]:
        """Return the customers with an address, oldest first, and how each lookup ended.

        Raises `BadInput` for a blank address, and `StoreFailed`.
        """
        if normalized(EMAIL, address) is None:
            raise BadInput("filter.email is blank.")
        refs, lookups = await self._with_email(address)
        return refs, _statuses(lookups)

    async def _own_with_email(self, address: str) -> Person | None:
        wanted = normalized(EMAIL, address)
        named = [Ref(*each) for each in (self._own or {}).items()]
        for each in await self._loaders.customer.load_results(named):
            if isinstance(each, Customer) and normalized(EMAIL, each.email or "") == wanted:
                return (await self.persons([each.ref]))[0]
        return None

    # What a person shows

    async def customers(self, person: Person) -> Sequence[Customer]:
        """Return the customers of a person, without those that their providers have no more.

        Those that a failing provider would have to be queried for are errors.
        """
        refs = person.customers
        results = await self.load(refs)
        gone = [ref for ref, each in zip(refs, results, strict=True) if each is None]
        if gone and self._own is None:
            await self._identity.index.retire(gone, self._scope.deadline)
        return [
            each if isinstance(each, Customer) else _unread(ref, each)
            for ref, each in zip(refs, results, strict=True)
            if each is not None
        ]

    async def load(self, refs: Sequence[Ref]) -> Sequence[Customer | GatewayError | None]:
        """Return each customer, its provider's error, or None, in order."""
        self._loaders.customer.prime(self._lists.recent(refs), lambda each: each.ref)
        return await self._loaders.customer.load_results(refs)

    def sources(self, person: Person) -> Sequence[Source]:
        """Return how each lookup ended, and how many customers of a person each provider has."""
        count = dict.fromkeys(self._providers, 0)
        for ref in person.customers:
            count[ref.provider] += 1
        return [
            self._source(provider, person.statuses.get(key), count[key])
            for key, provider in self._providers.items()
        ]

    def _source(self, provider: Provider, status: LookupStatus | None, count: int) -> Source:
        key = provider.key
        if status is not None:
            return source_of(key, status.origin, status.fetched_at, count, status.error)
        unsupported = self._lookups.unsupported(provider)
        is_recorded = count > 0 or (self._rules.rules_of(key) and unsupported is None)
        origin = Origin.RECORDED if is_recorded else None
        return source_of(key, origin, None, count, unsupported)


def _statuses(lookups: Mapping[str, Lookup]) -> Mapping[str, LookupStatus]:
    return {key: each.status for key, each in lookups.items()}


def _unread(ref: Ref, error: GatewayError) -> Customer:
    """Return a customer whose record cannot be read: only its id is known."""
    unknown: object = error
    return Customer(
        ref=ref,
        keys=(CustomerKey("id", ref.key),),
        name=unknown,  # type: ignore[arg-type]  # as with segments that could not be read back
        email=unknown,  # type: ignore[arg-type]
        phone=unknown,  # type: ignore[arg-type]
        attributes=unknown,  # type: ignore[arg-type]
        raw=unknown,  # type: ignore[arg-type]
    )
