"""Whether customers are in segments: many pairs by as few calls as can be known to suffice."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.domain.entities import Assignment, Origin, Ref
from gateway.domain.pages import MOST_PAIRS, Page, PageRequest
from gateway.errors import BadInput, GatewayError, Refused, settled
from gateway.loaders.request_fetches import LARGEST_PAGE
from gateway.providers.base.adapter import ListsMembers, ListsSegmentsOfCustomer
from gateway.reads.members import MemberReads
from gateway.reads.source_rows import oldest
from gateway.upstream.provider import Provider


class Membership(NamedTuple):
    """Whether a customer is in a segment; None: cannot be told."""

    customer: Ref
    segment: Ref
    is_member: bool | None
    origin: Origin | None
    """None when it cannot be told."""
    error: GatewayError | None = None


class _Members(NamedTuple):
    """Who is in a segment, or which segments a customer is in; or why that is not known."""

    keys: frozenset[str] = frozenset()
    origin: Origin | None = None
    error: GatewayError | None = None


class _Known(NamedTuple):
    """What decides the pairs of one provider: their segment, or else their customer."""

    by_segment: Mapping[Ref, _Members]
    by_customer: Mapping[Ref, _Members]


class MembershipReads(MemberReads):
    """The membership test."""

    async def memberships(
        self, customers: Sequence[Ref], segments: Sequence[Ref]
    ) -> Sequence[Membership]:
        """Test every customer against every segment, customers first, in the order given.

        Of a customer and a segment of different providers nothing is known.
        """
        if len(customers) * len(segments) > MOST_PAIRS:
            raise BadInput(
                f"customerIds x segmentIds is {len(customers) * len(segments)}; "
                f"at most {MOST_PAIRS} pairs can be tested at once."
            )
        read = await asyncio.gather(
            *(
                self._known_of(provider, _of(provider, customers), _of(provider, segments))
                for provider in self._providers.values()
            )
        )
        known = dict(zip(self._providers, read, strict=True))
        return [
            _membership(known.get(customer.provider), customer, segment)
            for customer in customers
            for segment in segments
        ]

    async def _known_of(
        self, provider: Provider, customers: Sequence[Ref], segments: Sequence[Ref]
    ) -> _Known:
        """Read what decides each pair of one provider."""
        by_segment: Mapping[Ref, _Members] = {}
        if not customers or not segments:
            return _Known(by_segment, {})
        if _is_worth_listing(provider, len(customers), len(segments)):
            by_segment = await self._listed(provider, segments, len(customers))
        if len(by_segment) == len(segments):
            return _Known(by_segment, {})
        found = await asyncio.gather(*(self._segments_of(each) for each in customers))
        return _Known(by_segment, dict(zip(customers, found, strict=True)))

    async def _listed(
        self, provider: Provider, segments: Sequence[Ref], most: int
    ) -> Mapping[Ref, _Members]:
        """List the members of those segments that take at most so many calls altogether.

        The first page of each tells how many more there are.
        """
        ask = provider.require(ListsMembers, "SEGMENT_MEMBERS").members
        request = PageRequest(LARGEST_PAGE, None, with_total=True)
        firsts = await asyncio.gather(
            *(settled(self._loaders.fetch(provider, ask, each.key, request)) for each in segments)
        )
        members: dict[Ref, _Members] = {}
        longer: dict[Ref, Page[Assignment]] = {}
        calls = 0
        for segment, page in zip(segments, firsts, strict=True):
            if isinstance(page, Refused):
                continue  # most likely no such segment: nobody is in it, as their customers tell
            if isinstance(page, GatewayError):
                members[segment] = _Members(error=page)
            elif page.is_last:
                members[segment] = self._members_of(page.rows, page.origin)
            elif page.total is not None and page.rows:
                longer[segment] = page
                calls += -(-(page.total - len(page.rows)) // len(page.rows))
        if calls > most and provider.offers(ListsSegmentsOfCustomer):
            return members
        rest = await asyncio.gather(
            *(
                settled(self._loaders.walk(provider, ask, segment.key, first=page))
                for segment, page in longer.items()
            )
        )
        for (segment, page), rows in zip(longer.items(), rest, strict=True):
            if isinstance(rows, GatewayError):
                members[segment] = _Members(error=rows)
            else:
                members[segment] = self._members_of(rows, page.origin)
        return members

    def _members_of(self, rows: Sequence[Assignment], origin: Origin | None) -> _Members:
        """Return who is in a segment, by any key that their rows have."""
        self._loaders.prime_customers(row.customer for row in rows if row.customer is not None)
        keys = {row.ref.customer for row in rows}
        for row in rows:
            if row.customer is not None:
                keys.update(key.value for key in row.customer.keys)
        origins = [row.origin for row in rows] or [origin or Origin.LIVE]
        return _Members(frozenset(keys), oldest(origins))

    async def _segments_of(self, customer: Ref) -> _Members:
        rows = await settled(self._loaders.rows_of(customer))
        if isinstance(rows, GatewayError):
            return _Members(error=rows)
        of_none = self._providers[customer.provider].origin
        keys = frozenset(row.ref.segment for row in rows)
        return _Members(keys, oldest([row.origin for row in rows] or [of_none]))


def _is_worth_listing(provider: Provider, customers: int, segments: int) -> bool:
    """Tell whether the segments' lists may decide the pairs by fewer calls than the customers.

    Of as many the lists come first where a provider takes an unknown customer for a known one:
    a list names none of those.
    """
    if not provider.offers(ListsMembers) or segments > customers:
        return False
    if segments < customers or not provider.offers(ListsSegmentsOfCustomer):
        return True
    return not provider.require(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS").confirms_customer


def _of(provider: Provider, refs: Iterable[Ref]) -> Sequence[Ref]:
    return [ref for ref in dict.fromkeys(refs) if ref.provider == provider.key]


def _membership(known: _Known | None, customer: Ref, segment: Ref) -> Membership:
    if customer.provider != segment.provider:
        return Membership(customer, segment, None, None)
    if known is None:  # of no provider that the caller sees
        return Membership(customer, segment, is_member=False, origin=None)
    found, key = known.by_segment.get(segment), customer.key
    if found is None:
        found, key = known.by_customer[customer], segment.key
    if found.error is not None:
        return Membership(customer, segment, None, None, found.error)
    return Membership(customer, segment, key in found.keys, found.origin)
