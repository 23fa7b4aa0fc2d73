"""Query providers for the customers of a person, each by its cheapest lookup.

A provider is queried by its strongest rule of which a value is known. What it returns is recorded
in the index; who belongs together is then read from there.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.domain.entities import Customer, Origin, Ref
from gateway.domain.pages import PageRequest
from gateway.domain.queries import CustomerQuery
from gateway.errors import GatewayError, Unsupported, settled
from gateway.identity.normalizing import Form, normalized
from gateway.identity.person import LookupStatus
from gateway.identity.rules import ATTRIBUTES, EMAIL_KEY, PHONE_KEY, Key, Ruleset, raw_values
from gateway.loaders.request_loaders import RequestLoaders
from gateway.providers.base.adapter import (
    FindsCustomersByEmail,
    FindsCustomersByPhone,
    ListsCustomers,
    ReadsCustomers,
)
from gateway.reads.customer_lists import CustomerLists, can_only_list
from gateway.reads.source_rows import oldest
from gateway.upstream.provider import Provider

MOST_FOUND = 50
"""Customers with one email address, or phone number, that are read from a provider."""


class Absent(NamedTuple):
    """A value that no customer of a provider has."""

    key: Key
    form: Form
    text: str


class Lookup(NamedTuple):
    """The result of querying one provider."""

    status: LookupStatus
    customers: Sequence[Customer] = ()
    absent: Absent | None = None


class PersonLookups:
    """The lookups of one request."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        loaders: RequestLoaders,
        rules: Ruleset,
        lists: CustomerLists,
    ) -> None:
        """Query these providers, all of which the caller sees."""
        self._providers = providers
        self._loaders = loaders
        self._rules = rules
        self._lists = lists

    async def by_keys(
        self, known: Sequence[Customer], providers: Iterable[str]
    ) -> Mapping[str, Lookup]:
        """Query each of these providers by a value of the known customers, at most once.

        Those that no rule of a known value leads to are left out.
        """
        lookups = {
            each: lookup
            for each in providers
            if (lookup := self._by_keys(self._providers[each], known)) is not None
        }
        results = await asyncio.gather(*lookups.values())
        return dict(zip(lookups, results, strict=True))

    async def by_email(self, address: str) -> Mapping[str, Lookup]:
        """Query each provider that searches by email address, in the case given."""
        searchable = [each for each in self._providers.values() if _finds_by_email(each)]
        query = CustomerQuery(email=address.strip())
        results = await asyncio.gather(*(self._by_search(each, query) for each in searchable))
        return {each.key: lookup for each, lookup in zip(searchable, results, strict=True)}

    def unsupported(self, provider: Provider) -> Unsupported | None:
        """Return the error of a provider that rules name, but that has no lookup by their keys."""
        rules = self._rules.rules_of(provider.key)
        if not rules or can_only_list(provider):
            return None
        keys = (key for rule in rules for key in rule.keys if key.provider == provider.key)
        is_found = any(_has_lookup(provider, key) for key in keys)
        return None if is_found else Unsupported(provider.key, "CUSTOMER_GET")

    def _by_keys(
        self, provider: Provider, known: Sequence[Customer]
    ) -> Coroutine[Any, Any, Lookup] | None:
        for rule in self._rules.rules_of(provider.key):
            value = self._value(rule.keys, rule.form, known)
            if value is None:
                continue
            if can_only_list(provider):
                return self._by_list(provider)
            for key in rule.keys:
                if key.provider == provider.key and _has_lookup(provider, key):
                    return self._by_key(provider, key, rule.form, value)
        return None

    def _value(self, keys: Sequence[Key], form: Form, known: Sequence[Customer]) -> str | None:
        """Return a value of the known customers by which a rule may link, as they have it."""
        for customer in known:
            for key in keys:
                if key.provider == customer.ref.provider:
                    for raw in raw_values(customer, key.name):
                        text = normalized(form, raw)
                        if text is not None and not self._rules.is_blocked(text):
                            return raw
        return None

    async def _by_key(self, provider: Provider, key: Key, form: Form, value: str) -> Lookup:
        if key.name == EMAIL_KEY:
            return await self._by_search(provider, CustomerQuery(email=value))
        if key.name == PHONE_KEY:
            return await self._by_search(provider, CustomerQuery(phone=value))
        result = await settled(self._loaders.customer.load(Ref(provider.key, value)))
        if isinstance(result, GatewayError):
            return Lookup(LookupStatus(None, error=result))
        if result is None:
            text = normalized(form, value) or ""
            return Lookup(LookupStatus(provider.origin), absent=Absent(key, form, text))
        return Lookup(LookupStatus(result.origin, result.fetched_at), [result])

    async def _by_search(self, provider: Provider, query: CustomerQuery) -> Lookup:
        adapter, page = provider.require(ListsCustomers, "CUSTOMER_LIST"), PageRequest(MOST_FOUND)
        result = await settled(self._loaders.fetch(provider, adapter.customers, query, page))
        if isinstance(result, GatewayError):
            return Lookup(LookupStatus(None, error=result))
        self._loaders.prime_customers(result.rows)
        return Lookup(LookupStatus(result.origin, result.fetched_at), result.rows)

    async def _by_list(self, provider: Provider) -> Lookup:
        rows = await settled(self._lists.read(provider, self._loaders))
        if isinstance(rows, GatewayError):
            return Lookup(LookupStatus(None, error=rows))
        if rows is None:
            return Lookup(LookupStatus(Origin.RECORDED))
        self._loaders.prime_customers(rows)
        fetched = [each.fetched_at for each in rows if each.fetched_at is not None]
        origin = oldest(each.origin for each in rows)
        return Lookup(LookupStatus(origin, min(fetched, default=None)), rows)


def _finds_by_email(provider: Provider) -> bool:
    return provider.offers(FindsCustomersByEmail)


def _has_lookup(provider: Provider, key: Key) -> bool:
    """Return whether a provider can look customers up by a key."""
    if key.name == EMAIL_KEY:
        return _finds_by_email(provider)
    if key.name == PHONE_KEY:
        return provider.offers(FindsCustomersByPhone)
    if key.name.startswith(ATTRIBUTES):
        return False
    return provider.offers(ReadsCustomers)
