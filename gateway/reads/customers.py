"""Lists of customers and of their assignments."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from gateway.domain.entities import Assignment, Customer, Origin, Ref
from gateway.domain.pages import CompleteList, Page, PageRequest
from gateway.domain.queries import (
    EVERY_CUSTOMER,
    UNCONDITIONAL,
    CustomerFilter,
    CustomerQuery,
    MemberConditions,
)
from gateway.errors import Unsupported
from gateway.providers.base.adapter import (
    FindsCustomersByEmail,
    FindsCustomersByName,
    FindsCustomersByPhone,
    ListsCustomers,
)
from gateway.reads.base import Paging, check_paging
from gateway.reads.cursor import identity
from gateway.reads.member_sets import MemberSetReads
from gateway.reads.merged_list import Connection, ListSource, complete_list, merge
from gateway.upstream.provider import Provider


class CustomerReads(MemberSetReads):
    """Lists of customers, and their assignments."""

    async def customers(self, filters: CustomerFilter, paging: Paging) -> Connection[Customer]:
        """List customers of the selected providers; failed ones are reported in the sources.

        Raises `LimitExceeded` if a segment is too large for conditions on several segments.
        """
        check_paging(paging)
        named = filters.conditions.refs
        providers = self._select(filters.providers, *([ref.provider] for ref in named))
        sources = [self._customers_of_provider(provider, filters) for provider in providers]
        of = partial(identity, "customers", [p.key for p in providers], filters)
        return await merge(
            sources, paging.first, paging.after, of=of, with_total=paging.with_total
        )

    def _customers_of_provider(
        self, provider: Provider, filters: CustomerFilter
    ) -> ListSource[Customer]:
        key, query = provider.key, filters.query
        holds = None if query == EVERY_CUSTOMER else query.holds

        async def by_key(key_filter: str) -> Sequence[Customer]:
            customer = await self._loaders.customer.load(Ref(key, key_filter))
            if customer is None:
                return ()
            self._check_known(provider, query)
            if not query.holds(customer):
                return ()
            return await self._with_conditions([customer], filters.conditions)

        if (key_filter := filters.key) is not None:
            return complete_list(key, partial(by_key, key_filter), provider.origin)
        if filters.members != UNCONDITIONAL:
            return self._conditional_list(provider, filters)
        if filters.segment is not None:
            members = self._member_page(
                provider, filters.segment.key, is_filtered=holds is not None
            )

            async def page(request: PageRequest) -> Page[Customer]:
                self._check_known(provider, query)
                return await members(request)

            return ListSource(key, page, holds)
        return ListSource(key, self._customer_page(provider, filters))

    def _conditional_list(
        self, provider: Provider, filters: CustomerFilter
    ) -> ListSource[Customer]:
        """Return the list of the customers for whom conditions on several segments hold."""
        conditions, query = filters.conditions, filters.query

        async def searched() -> Sequence[Customer]:
            self._check_search(provider, query)
            adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
            rows = await self._loaders.walk(provider, adapter.customers, query)
            self._loaders.prime_customers(rows)
            return await self._with_conditions(rows, conditions)

        async def page(request: PageRequest) -> Page[Customer]:
            self._check_known(provider, query)
            selected = await self._selected_page(provider, conditions, request)
            is_whole = query == EVERY_CUSTOMER
            return selected if is_whole else msgspec.structs.replace(selected, total=None)

        # Few customers have one address or number, but many may have a name.
        is_rare = query.email is not None or query.phone is not None
        is_selected = bool(conditions.all_of or conditions.any_of)
        if is_rare and not (is_selected and self._unsupported(provider, query)):
            return complete_list(provider.key, searched, provider.origin)
        return ListSource(provider.key, page, None if query == EVERY_CUSTOMER else query.holds)

    async def _with_conditions(
        self, customers: Sequence[Customer], conditions: MemberConditions
    ) -> Sequence[Customer]:
        """Return the customers for whom the conditions hold, judged by their own segments."""
        if conditions == UNCONDITIONAL:
            return customers
        rows = await self._loaders.assignments_of.load_many([each.ref for each in customers])
        return [
            customer
            for customer, assignments in zip(customers, rows, strict=True)
            if conditions.hold({each.ref.segment for each in assignments or ()})
        ]

    def _check_known(self, provider: Provider, query: CustomerQuery) -> None:
        """Raise `Unsupported` if the gateway cannot compare a part of the query itself.

        Of customers at providers that cannot be read, it knows the ids only.
        """
        if provider.origin is Origin.RECORDED:
            self._check_search(provider, query)

    def _check_search(self, provider: Provider, query: CustomerQuery) -> None:
        """Raise `Unsupported` if the provider cannot search by a part of the query."""
        operation = self._unsupported(provider, query)
        if operation is not None:
            raise Unsupported(provider.key, operation)

    def _unsupported(self, provider: Provider, query: CustomerQuery) -> str | None:
        """Return the operation that the query needs and the provider does not support, if any."""
        for value, protocol, operation in (
            (query.email, FindsCustomersByEmail, "CUSTOMER_SEARCH_EMAIL"),
            (query.name_contains, FindsCustomersByName, "CUSTOMER_SEARCH_NAME"),
            (query.phone, FindsCustomersByPhone, "CUSTOMER_SEARCH_PHONE"),
        ):
            if value is not None and not provider.offers(protocol):
                return operation
        return None

    def _customer_page(
        self, provider: Provider, filters: CustomerFilter
    ) -> Callable[[PageRequest], Awaitable[Page[Customer]]]:
        async def page(request: PageRequest) -> Page[Customer]:
            adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
            self._check_search(provider, filters.query)
            customers = await self._loaders.fetch(
                provider, adapter.customers, filters.query, request
            )
            self._loaders.prime_customers(customers.rows)
            return customers

        return page

    async def assignments_of(self, refs: Sequence[Ref], paging: Paging) -> Connection[Assignment]:
        """List the assignments of customers; a failed provider is reported in the sources."""
        check_paging(paging)

        async def rows(ref: Ref) -> CompleteList[Assignment]:
            return await self._loaders.every_assignment_of(ref) or CompleteList()

        return await merge(
            self._lists_of(refs, rows),
            paging.first,
            paging.after,
            of=partial(identity, "assignments", refs),
            with_total=paging.with_total,
        )
