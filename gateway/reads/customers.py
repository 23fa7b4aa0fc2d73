"""Lists of customers and of their assignments."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from gateway.domain.entities import Assignment, Customer, Ref
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import UNCONDITIONAL, CustomerFilter, MemberConditions
from gateway.errors import Unsupported
from gateway.providers.base.adapter import (
    FindsCustomersByEmail,
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
        key, email = provider.key, filters.query.email

        def holds(customer: Customer) -> bool:
            return email is None or (customer.email or "").casefold() == email.casefold()

        async def by_key(key_filter: str) -> Sequence[Customer]:
            customer = await self._loaders.customer.load(Ref(key, key_filter))
            if customer is None or not holds(customer):
                return ()
            return await self._with_conditions([customer], filters.conditions)

        if (key_filter := filters.key) is not None:
            return complete_list(key, partial(by_key, key_filter), provider.origin)
        if filters.members != UNCONDITIONAL:
            return self._conditional_list(provider, filters)
        if filters.segment is not None:
            page = self._member_page(provider, filters.segment.key, is_filtered=email is not None)
            return ListSource(key, page, None if email is None else holds)
        return ListSource(key, self._customer_page(provider, filters))

    def _conditional_list(
        self, provider: Provider, filters: CustomerFilter
    ) -> ListSource[Customer]:
        """Return the list of the customers for whom conditions on several segments hold."""
        conditions = filters.conditions

        async def by_email() -> Sequence[Customer]:
            self._check_email(provider)
            adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
            rows = await self._loaders.walk(provider, adapter.customers, filters.query)
            self._loaders.prime_customers(rows)
            return await self._with_conditions(rows, conditions)

        async def page(request: PageRequest) -> Page[Customer]:
            return await self._selected_page(provider, conditions, request)

        if filters.query.email is not None:
            return complete_list(provider.key, by_email, provider.origin)
        return ListSource(provider.key, page)

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

    def _check_email(self, provider: Provider) -> None:
        if not provider.offers(FindsCustomersByEmail):
            raise Unsupported(provider.key, "CUSTOMER_SEARCH_EMAIL")

    def _customer_page(
        self, provider: Provider, filters: CustomerFilter
    ) -> Callable[[PageRequest], Awaitable[Page[Customer]]]:
        async def page(request: PageRequest) -> Page[Customer]:
            adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
            if filters.query.email is not None:
                self._check_email(provider)
            customers = await self._loaders.fetch(
                provider, adapter.customers, filters.query, request
            )
            self._loaders.prime_customers(customers.rows)
            return customers

        return page

    async def assignments_of(self, ref: Ref, paging: Paging) -> Connection[Assignment]:
        """List a customer's assignments; a failed provider is reported in the sources."""
        check_paging(paging)

        async def rows() -> Sequence[Assignment]:
            return await self._loaders.every_assignment_of(ref) or ()

        return await merge(
            [complete_list(ref.provider, rows, self._providers[ref.provider].origin)],
            paging.first,
            paging.after,
            of=partial(identity, "assignments", ref),
            with_total=paging.with_total,
        )
