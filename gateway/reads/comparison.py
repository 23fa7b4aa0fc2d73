"""Compare the members of several segments: who is in exactly which of them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from gateway.domain.entities import Customer, Origin, Ref, Segment
from gateway.domain.pages import MAX_COMPARED_SEGMENTS, Page, PageRequest
from gateway.errors import BadInput, GatewayError, LimitExceeded, settled
from gateway.reads.base import Paging, check_paging
from gateway.reads.cursor import identity
from gateway.reads.member_sets import MemberSet, MemberSetReads
from gateway.reads.merged_list import Connection

MIN_SEGMENTS: Final = 2
"""The fewest segments of one comparison."""


class ComparedSegment(NamedTuple):
    """One segment of a comparison, with its members."""

    segment: Segment
    members: MemberSet


class Region(NamedTuple):
    """The customers who are in exactly these segments, and in no other one of the comparison."""

    segments: Sequence[Ref]
    keys: Sequence[str]
    others: Sequence[Ref]
    """The other segments of the comparison."""


class Comparison(NamedTuple):
    """Several segments of one provider, and how their members overlap."""

    sets: Sequence[ComparedSegment]
    """In the order given."""
    regions: Sequence[Region]
    """Those with customers: the largest first, then in the order of the segments given."""
    total: int
    """The number of customers in any of the segments."""
    as_of: datetime
    """When the oldest part of it was read."""


class ComparisonReads(MemberSetReads):
    """Comparisons of segments."""

    async def compare(self, refs: Sequence[Ref]) -> Comparison:
        """Compare the members of segments.

        Raises `BadInput`, the provider's error, and `LimitExceeded` for a segment with more
        members than `limits.compare_members`, unless it is watched: then its snapshot counts.
        """
        if not MIN_SEGMENTS <= len(refs) <= MAX_COMPARED_SEGMENTS:
            raise BadInput(
                f"segmentIds has {len(refs)} ids; from {MIN_SEGMENTS} to {MAX_COMPARED_SEGMENTS} "
                "are compared."
            )
        if len(set(refs)) < len(refs):
            raise BadInput("segmentIds names a segment twice.")
        if len({ref.provider for ref in refs}) > 1:
            raise BadInput("segmentIds must all be segments of one provider.")
        segments, sets = await asyncio.gather(
            self._loaders.segment.load_results(refs),
            asyncio.gather(*(settled(self._members_of_known(ref)) for ref in refs)),
        )
        if None in segments:
            raise BadInput(f"segmentIds.{segments.index(None)} is the id of no segment.")
        results = [*sets, *segments]
        errors = [each for each in results if isinstance(each, GatewayError)]
        for error in errors:
            if isinstance(error, LimitExceeded):
                raise error
        if errors:
            raise errors[0]
        compared = [
            ComparedSegment(segment, members)
            for segment, members in zip(segments, sets, strict=True)
            if isinstance(segment, Segment) and isinstance(members, MemberSet)
        ]
        regions = _regions(compared)
        return Comparison(
            compared,
            regions,
            sum(len(region.keys) for region in regions),
            min(each.members.as_of for each in compared),
        )

    async def _members_of_known(self, ref: Ref) -> MemberSet:
        """Read the members; there is no segment at a provider that the caller does not see."""
        if ref.provider not in self._providers:
            raise BadInput("There is no such segment.")
        try:
            return await self.member_set(ref)
        except LimitExceeded:
            snapshot = None if self._snapshots is None else await self._snapshots.members(ref)
            if snapshot is None:
                raise
            return MemberSet(snapshot.keys, Origin.RECORDED, snapshot.taken_at, skipped=0)

    async def region_customers(self, region: Region, paging: Paging) -> Connection[Customer]:
        """List the customers of a region. Raises the provider's error."""
        check_paging(paging)
        provider = self._providers[region.segments[0].provider]

        async def page(request: PageRequest) -> Page[Customer]:
            return await self._page_of_keys(provider, region.keys, request)

        of = partial(identity, "region", region.segments, region.others)
        return await self._page_of(provider, page, paging, of)


def _regions(compared: Sequence[ComparedSegment]) -> Sequence[Region]:
    refs = [each.segment.ref for each in compared]
    places: dict[str, tuple[int, ...]] = {}
    for place, each in enumerate(compared):
        for key in each.members.keys:
            places[key] = (*places.get(key, ()), place)
    customers: dict[tuple[int, ...], list[str]] = {}
    for key, within in places.items():
        customers.setdefault(within, []).append(key)
    return [
        Region(
            [refs[place] for place in within],
            keys,
            [ref for place, ref in enumerate(refs) if place not in within],
        )
        for within, keys in sorted(customers.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
