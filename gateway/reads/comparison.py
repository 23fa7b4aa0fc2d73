"""Compare the members of several segments: who is in exactly which of them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from gateway.domain.entities import Customer, Origin, Ref, Segment
from gateway.domain.pages import MAX_COMPARED_SEGMENTS
from gateway.errors import BadInput, GatewayError, LimitExceeded, settled
from gateway.reads.base import Paging, check_paging
from gateway.reads.cursor import identity
from gateway.reads.member_sets import MemberSet, MemberSetReads
from gateway.reads.merged_list import Connection, ListSource, merge
from gateway.reads.persons import PersonReads

MIN_SEGMENTS: Final = 2
"""The fewest segments of one comparison."""


class ComparedSegment(NamedTuple):
    """One segment of a comparison, with its members."""

    segment: Segment
    members: MemberSet
    size: int
    """Its customers; in a comparison of several providers, its persons."""
    unlinked: int = 0
    """The members who are a person of one, in a comparison of several providers."""


class Region(NamedTuple):
    """Who is in exactly these segments, and in no other one of the comparison."""

    segments: Sequence[Ref]
    size: int
    """Customers; in a comparison of several providers, persons."""
    customers: Sequence[Ref]
    """The members among them."""
    others: Sequence[Ref]
    """The other segments of the comparison."""


class Comparison(NamedTuple):
    """Several segments, and how their members overlap."""

    sets: Sequence[ComparedSegment]
    """In the order given."""
    regions: Sequence[Region]
    """Those with customers: the largest first, then in the order of the segments given."""
    total: int
    """The number of customers, or persons, in any of the segments."""
    as_of: datetime
    """When the oldest part of it was read."""


class ComparisonReads(MemberSetReads):
    """Comparisons of segments."""

    async def compare(self, refs: Sequence[Ref], persons: PersonReads | None = None) -> Comparison:
        """Compare the members of segments; with `persons`, the persons they belong to.

        Segments of several providers are compared by persons only. Raises `BadInput`, the
        provider's error, and `LimitExceeded` for a segment with more members than
        `limits.compare_members`, unless it is watched: then its snapshot counts.
        """
        if not MIN_SEGMENTS <= len(refs) <= MAX_COMPARED_SEGMENTS:
            raise BadInput(
                f"Give from {MIN_SEGMENTS} to {MAX_COMPARED_SEGMENTS} ids in segmentIds, not "
                f"{len(refs)}."
            )
        if len(set(refs)) < len(refs):
            raise BadInput("segmentIds names a segment twice.")
        segments, sets = await asyncio.gather(
            self._loaders.segment.load_results(refs),
            asyncio.gather(*(settled(self._members_of_known(ref)) for ref in refs)),
        )
        if None in segments:
            raise BadInput(f"segmentIds[{segments.index(None)}] is the id of no segment.")
        results = [*sets, *segments]
        errors = [each for each in results if isinstance(each, GatewayError)]
        for error in errors:
            if isinstance(error, LimitExceeded):
                raise error
        if errors:
            raise errors[0]
        found = [
            (segment, members)
            for segment, members in zip(segments, sets, strict=True)
            if isinstance(segment, Segment) and isinstance(members, MemberSet)
        ]
        people = await self._people(found, persons)
        compared = [_compared(segment, members, people) for segment, members in found]
        regions = _regions(compared, people)
        return Comparison(
            compared,
            regions,
            sum(region.size for region in regions),
            min(each.members.as_of for each in compared),
        )

    async def _people(
        self, found: Sequence[tuple[Segment, MemberSet]], persons: PersonReads | None
    ) -> Mapping[Ref, Sequence[Ref]] | None:
        """Return all customers of each member's person. Raises `StoreFailed`."""
        if persons is None:
            return None
        await persons.record_read()
        members = {
            Ref(segment.ref.provider, key): None for segment, each in found for key in each.keys
        }
        return (await persons.large_graph([*members])).persons

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
        keys: dict[str, list[str]] = {}
        for ref in region.customers:
            keys.setdefault(ref.provider, []).append(ref.key)
        of = partial(identity, "region", region.segments, region.others)
        sources = [
            ListSource(key, partial(self._page_of_keys, provider, keys[key]))
            for key, provider in self._providers.items()
            if key in keys
        ]
        if len(sources) == 1:
            return await self._page_of(
                self._providers[sources[0].provider], sources[0].page, paging, of
            )
        return await merge(
            sources, paging.first, paging.after, of=of, with_total=paging.with_total
        )


def _compared(
    segment: Segment, members: MemberSet, people: Mapping[Ref, Sequence[Ref]] | None
) -> ComparedSegment:
    if people is None:
        return ComparedSegment(segment, members, len(members.keys))
    refs = [Ref(segment.ref.provider, key) for key in members.keys]
    persons = [people.get(ref, (ref,)) for ref in refs]
    unlinked = sum(len(each) == 1 for each in persons)
    return ComparedSegment(segment, members, len({each[0] for each in persons}), unlinked)


def _regions(
    compared: Sequence[ComparedSegment], people: Mapping[Ref, Sequence[Ref]] | None
) -> Sequence[Region]:
    refs = [each.segment.ref for each in compared]
    members: dict[Ref, dict[Ref, None]] = {}
    """The members of each person, or of each customer."""
    places: dict[Ref, dict[int, None]] = {}
    for place, each in enumerate(compared):
        for key in each.members.keys:
            ref = Ref(each.segment.ref.provider, key)
            who = ref if people is None else people.get(ref, (ref,))[0]
            members.setdefault(who, {})[ref] = None
            places.setdefault(who, {})[place] = None
    within: dict[tuple[int, ...], list[Ref]] = {}
    for who, at in places.items():
        within.setdefault(tuple(at), []).append(who)
    return [
        Region(
            [refs[place] for place in at],
            len(everyone),
            [ref for who in everyone for ref in members[who]],
            [ref for place, ref in enumerate(refs) if place not in at],
        )
        for at, everyone in sorted(within.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
