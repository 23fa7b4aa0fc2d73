"""The own view: what a shop's end customer sees of one request, as if there were nothing else.

Their own record at each provider, their active assignments, the segments of those. What is asked
of a provider follows from whose view it is and never from the id that was asked for: somebody
else's and one that never was get the same answer by the same calls.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentRef,
    Customer,
    Ref,
    Segment,
    Status,
)
from gateway.domain.pages import Walked
from gateway.errors import GatewayError, settled
from gateway.loaders.request_loaders import RequestLoaders
from gateway.request_scope import Scope
from gateway.upstream.provider import Provider

ALWAYS_ACTIVE = frozenset({Status.ACTIVE})
"""The statuses of a provider whose segments cannot be switched off; it has no validity either."""


class OwnCustomerLoaders(RequestLoaders):
    """Loaders for which only one customer exists."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        scope: Scope,
        own: Mapping[str, str],
        now: datetime,
    ) -> None:
        """Show the customer whom each provider knows by the key in `own`, as of `now`."""
        super().__init__(providers, scope)
        self._own = own
        self._now = now

    def prime_segments(self, segments: Iterable[Segment]) -> None:
        """Keep nothing: which segments exist is told by the customer's assignments alone."""

    async def _customers(self, refs: Sequence[Ref]) -> list[Customer | GatewayError | None]:
        """Answer each ref that names the customer, by any of their keys; None for all others."""
        asked = dict.fromkeys(ref.provider for ref in refs)
        own = [Ref(key, self._own[key]) for key in asked if key in self._own]
        found = dict(
            zip((ref.provider for ref in own), await super()._customers(own), strict=True)
        )
        return [_if_named(found.get(ref.provider), ref.key) for ref in refs]

    async def _segments(self, refs: Sequence[Ref]) -> list[Segment | GatewayError | None]:
        """Answer each ref of a segment that the customer is in; None for all others."""
        assigned = await self._assigned(dict.fromkeys(ref.provider for ref in refs))
        found = [_among(assigned[ref.provider], ref.key) for ref in refs]
        told_in_part = [
            place
            for place, each in enumerate(found)
            if isinstance(each, Segment) and each.is_partial
        ]
        whole = await super()._segments([refs[place] for place in told_in_part])
        for place, segment in zip(told_in_part, whole, strict=True):
            found[place] = segment
        return found

    async def _assignments_of_one(self, ref: Ref) -> Walked[Assignment] | None:
        """Return the active assignments of the customer; None for all others."""
        customer = await self.customer.load(ref)
        if customer is None:
            return None
        rows = await super()._assignments_of_one(customer.ref) or Walked()
        may_be_inactive = self._providers[ref.provider].adapter.statuses != ALWAYS_ACTIVE
        unknown = [
            place
            for place, row in enumerate(rows)
            if row.segment is None or (row.segment.is_partial and may_be_inactive)
        ]
        read = await super()._segments(
            [Ref(ref.provider, rows[place].ref.segment) for place in unknown]
        )
        segments = {place: row.segment for place, row in enumerate(rows)}
        for place, segment in zip(unknown, read, strict=True):
            if isinstance(segment, GatewayError):
                raise segment
            segments[place] = segment
        return rows.but(
            msgspec.structs.replace(row, segment=segment)
            for row, segment in zip(rows, segments.values(), strict=True)
            if segment is not None and segment.is_active(self._now)
        )

    async def _assignment(self, ref: AssignmentRef) -> Assignment | None:
        """Return an assignment of the customer to an active segment; None for all others."""
        rows = (await self._assigned([ref.provider]))[ref.provider]
        if isinstance(rows, GatewayError):
            raise rows
        ends = {(row.ref.customer, row.ref.segment) for row in rows}
        return await super()._assignment(ref) if (ref.customer, ref.segment) in ends else None

    async def _assigned(
        self, providers: Iterable[str]
    ) -> Mapping[str, Sequence[Assignment] | GatewayError]:
        """Return the customer's active assignments at each of these providers."""

        async def at(provider: str) -> Sequence[Assignment] | GatewayError:
            if provider not in self._own:
                return ()
            rows = self.assignments_of.load(Ref(provider, self._own[provider]))
            return await settled(rows) or ()

        asked = list(providers)
        return dict(zip(asked, await asyncio.gather(*(at(key) for key in asked)), strict=True))


def _if_named(found: Customer | GatewayError | None, key: str) -> Customer | GatewayError | None:
    if isinstance(found, Customer) and key not in {found.ref.key, *(k.value for k in found.keys)}:
        return None
    return found


def _among(rows: Sequence[Assignment] | GatewayError, key: str) -> Segment | GatewayError | None:
    if isinstance(rows, GatewayError):
        return rows
    return next((row.segment for row in rows if row.ref.segment == key), None)
