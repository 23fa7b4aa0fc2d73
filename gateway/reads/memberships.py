"""The membership test: many pairs of customer and segment with as few calls as possible."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.domain.entities import Assignment, Origin, Ref
from gateway.domain.pages import MAX_PAIRS, Page, PageRequest
from gateway.errors import BadInput, GatewayError, Refused, settled
from gateway.loaders.request_fetches import WHOLE_LIST_PAGE_SIZE
from gateway.providers.base.adapter import ListsSegmentsOfCustomer, ReadsMembers
from gateway.reads.members import MemberReads
from gateway.reads.source_rows import oldest
from gateway.upstream.provider import Provider


class Membership(NamedTuple):
    """Whether a customer is in a segment; None: unknown."""

    customer: Ref
    segment: Ref
    is_member: bool | None
    origin: Origin | None
    """None if unknown."""
    error: GatewayError | None = None


class _Members(NamedTuple):
    """The customers in a segment, or the segments of a customer; or the error of reading them."""

    keys: frozenset[str] = frozenset()
    origin: Origin | None = None
    error: GatewayError | None = None


class _Evidence(NamedTuple):
    """What decides the pairs of one provider: the segment's members, or else the customer's."""

    by_segment: Mapping[Ref, _Members]
    by_customer: Mapping[Ref, _Members]


class MembershipReads(MemberReads):
    """The membership test."""

    async def memberships(
        self, customers: Sequence[Ref], segments: Sequence[Ref]
    ) -> Sequence[Membership]:
        """Test every customer against every segment, in order of customers, then segments.

        The result for a customer and a segment of different providers is unknown.
        """
        if len(customers) * len(segments) > MAX_PAIRS:
            raise BadInput(
                f"customerIds x segmentIds is {len(customers) * len(segments)}; "
                f"at most {MAX_PAIRS} pairs can be tested at once."
            )
        read = await asyncio.gather(
            *(
                self._evidence_of(provider, _of(provider, customers), _of(provider, segments))
                for provider in self._providers.values()
            )
        )
        evidence = dict(zip(self._providers, read, strict=True))
        return [
            _membership(evidence.get(customer.provider), customer, segment)
            for customer in customers
            for segment in segments
        ]

    async def _evidence_of(
        self, provider: Provider, customers: Sequence[Ref], segments: Sequence[Ref]
    ) -> _Evidence:
        """Read what decides the pairs of one provider."""
        by_segment: Mapping[Ref, _Members] = {}
        if not customers or not segments:
            return _Evidence(by_segment, {})
        if _is_worth_listing(provider, len(customers), len(segments)):
            by_segment = await self._list_members(provider, segments, len(customers))
        if len(by_segment) == len(segments):
            return _Evidence(by_segment, {})
        by_customer = await asyncio.gather(*(self._segments_of(each) for each in customers))
        return _Evidence(by_segment, dict(zip(customers, by_customer, strict=True)))

    async def _list_members(
        self, provider: Provider, segments: Sequence[Ref], max_calls: int
    ) -> Mapping[Ref, _Members]:
        """List the members of segments, in at most `max_calls` beyond the first page of each.

        The first pages show how many calls the rest takes. Beyond the limit only the segments
        with a single page are returned.
        """
        method = provider.require(ReadsMembers, "SEGMENT_MEMBERS").members
        request = PageRequest(WHOLE_LIST_PAGE_SIZE, None, with_total=True)
        firsts = await asyncio.gather(
            *(
                settled(self._loaders.fetch(provider, method, each.key, request))
                for each in segments
            )
        )
        members: dict[Ref, _Members] = {}
        longer: dict[Ref, Page[Assignment]] = {}
        calls = 0
        for segment, page in zip(segments, firsts, strict=True):
            if isinstance(page, Refused):
                continue  # most likely there is no such segment: the customers' lists will show it
            if isinstance(page, GatewayError):
                members[segment] = _Members(error=page)
            elif page.is_last:
                members[segment] = self._members_of(page.rows, page.origin)
            elif page.total is not None and page.rows:
                longer[segment] = page
                calls += -(-(page.total - len(page.rows)) // len(page.rows))
        if calls > max_calls and provider.offers(ListsSegmentsOfCustomer):
            return members
        remaining = await asyncio.gather(
            *(
                settled(self._loaders.walk(provider, method, segment.key, first=page))
                for segment, page in longer.items()
            )
        )
        for (segment, page), rows in zip(longer.items(), remaining, strict=True):
            if isinstance(rows, GatewayError):
                members[segment] = _Members(error=rows)
            else:
                members[segment] = self._members_of(rows, page.origin)
        return members

    def _members_of(self, rows: Sequence[Assignment], origin: Origin | None) -> _Members:
        """Return the members of a segment, by all keys in the rows."""
        self._loaders.prime_customers([row.customer for row in rows if row.customer is not None])
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
        default = self._providers[customer.provider].origin
        keys = frozenset(row.ref.segment for row in rows)
        return _Members(keys, oldest([row.origin for row in rows] or [default]))


def _is_worth_listing(provider: Provider, customers: int, segments: int) -> bool:
    """Return whether the segments' lists may decide the pairs in fewer calls than the customers'.

    With equal numbers the segments' lists are preferred if the provider does not distinguish
    unknown customers: their lists contain none of those.
    """
    if not provider.offers(ReadsMembers) or segments > customers:
        return False
    if segments < customers or not provider.offers(ListsSegmentsOfCustomer):
        return True
    return not provider.require(ListsSegmentsOfCustomer, "CUSTOMER_SEGMENTS").confirms_customer


def _of(provider: Provider, refs: Iterable[Ref]) -> Sequence[Ref]:
    return [ref for ref in dict.fromkeys(refs) if ref.provider == provider.key]


def _membership(evidence: _Evidence | None, customer: Ref, segment: Ref) -> Membership:
    if customer.provider != segment.provider:
        return Membership(customer, segment, None, None)
    if evidence is None:  # the caller sees no such provider
        return Membership(customer, segment, is_member=False, origin=None)
    members, key = evidence.by_segment.get(segment), customer.key
    if members is None:
        members, key = evidence.by_customer[customer], segment.key
    if members.error is not None:
        return Membership(customer, segment, None, None, members.error)
    return Membership(customer, segment, key in members.keys, members.origin)
