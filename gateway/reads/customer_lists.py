"""Whole lists of customers, of providers that cannot look a customer up.

Such a list is read once in a while, for all requests of the process.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from gateway.domain.entities import Customer, Origin, Ref
from gateway.domain.queries import EVERY_CUSTOMER
from gateway.loaders.request_loaders import RequestLoaders
from gateway.providers.base.adapter import ListsCustomers, ReadsCustomers
from gateway.upstream.provider import Provider


def can_only_list(provider: Provider) -> bool:
    """Return whether a provider lists its customers, but cannot look one up."""
    return provider.offers(ListsCustomers) and not provider.offers(ReadsCustomers)


class _CustomerList(NamedTuple):
    customers: Mapping[Ref, Customer]
    until: float
    """On the event loop's clock."""
    fetched_at: datetime


class CustomerLists:
    """The lists of one process."""

    def __init__(self, max_age_s: float) -> None:
        """Read a list again when it is older than this."""
        self.max_age_s = max_age_s
        self._lists: dict[str, _CustomerList] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    async def read(self, provider: Provider, loaders: RequestLoaders) -> Sequence[Customer] | None:
        """Read a provider's list, unless a recent one is known: then return None.

        Raises the provider's error.
        """
        async with self._reading.setdefault(provider.key, asyncio.Lock()):
            if self._fresh(provider.key) is not None:
                return None
            adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
            rows = await loaders.walk(provider, adapter.customers, EVERY_CUSTOMER)
            now = asyncio.get_running_loop().time()
            self._lists[provider.key] = _CustomerList(
                {each.ref: each for each in rows}, now + self.max_age_s, datetime.now(UTC)
            )
            return rows

    def recent(self, refs: Sequence[Ref]) -> Sequence[Customer]:
        """Return those of these customers that a recent list has."""
        found = []
        for ref in refs:
            known = self._fresh(ref.provider)
            customer = None if known is None else known.customers.get(ref)
            if customer is not None and known is not None:
                aged = msgspec.structs.replace(
                    customer, origin=Origin.CACHED, fetched_at=known.fetched_at
                )
                found.append(aged)
        return found

    def _fresh(self, provider: str) -> _CustomerList | None:
        known = self._lists.get(provider)
        now = asyncio.get_running_loop().time()
        return known if known is not None and known.until > now else None
