"""Customers, and which segments they are in."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from gateway.domain.entities import Assignment, Customer, Ref
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerFilter
from gateway.errors import Unsupported
from gateway.providers.base.adapter import (
    FindsCustomersByEmail,
    ListsCustomers,
)
from gateway.reads.base import Paging, checked
from gateway.reads.cursor import identity
from gateway.reads.members import MemberReads
from gateway.reads.merged_list import Connection, ListSource, merge, settled_list
from gateway.upstream.provider import Provider


class CustomerReads(MemberReads):
    """Lists of customers, and their assignments."""

    async def customers(self, wanted: CustomerFilter, paging: Paging) -> Connection[Customer]:
        """List customers of all providers in scope; a failed one stands in the sources."""
        checked(paging)
        scope = self._scope(
            wanted.providers, None if wanted.segment is None else [wanted.segment.provider]
        )
        listings = [self._customers_of_provider(provider, wanted) for provider in scope]
        of = partial(identity, "customers", [p.key for p in scope], wanted)
        return await merge(
            listings, paging.first, paging.after, of=of, with_total=paging.with_total
        )

    def _customers_of_provider(
        self, provider: Provider, wanted: CustomerFilter
    ) -> ListSource[Customer]:
        key, email = provider.key, wanted.query.email

        def holds(customer: Customer) -> bool:
            return email is None or (customer.email or "").casefold() == email.casefold()

        async def by_key(wanted_key: str) -> Sequence[Customer]:
            customer = await self._loaders.customer.load(Ref(key, wanted_key))
            if customer is None or not holds(customer):
                return ()
            if wanted.segment is not None:
                rows = await self._loaders.assignments_of.load(customer.ref)
                if wanted.segment.key not in {row.ref.segment for row in rows or ()}:
                    return ()
            return (customer,)

        if (wanted_key := wanted.key) is not None:
            return settled_list(key, partial(by_key, wanted_key), provider.origin)
        if wanted.segment is not None:
            page = self._member_page(provider, wanted.segment.key, is_sifted=email is not None)
            return ListSource(key, page, None if email is None else holds)
        return ListSource(key, self._customer_page(provider, wanted))

    def _customer_page(
        self, provider: Provider, wanted: CustomerFilter
    ) -> Callable[[PageRequest], Awaitable[Page[Customer]]]:
        async def page(request: PageRequest) -> Page[Customer]:
            adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
            if wanted.query.email is not None and not provider.offers(FindsCustomersByEmail):
                raise Unsupported(provider.key, "CUSTOMER_SEARCH_EMAIL")
            found = await self._loaders.fetch(provider, adapter.customers, wanted.query, request)
            self._loaders.prime_customers(found.rows)
            return found

        return page

    async def assignments_of(self, ref: Ref, paging: Paging) -> Connection[Assignment]:
        """List a customer's assignments; a provider that fails stands in the sources."""
        checked(paging)

        async def rows() -> Sequence[Assignment]:
            return await self._loaders.every_assignment_of(ref) or ()

        return await merge(
            [settled_list(ref.provider, rows, self._providers[ref.provider].origin)],
            paging.first,
            paging.after,
            of=partial(identity, "assignments", ref),
            with_total=paging.with_total,
        )
