"""Self-service access: an end customer can load only their own data.

This is their customer at each provider, their active assignments, and the segments of those. The
upstream calls depend on the customer alone and never on the requested id, so the id of another
customer and one that does not exist give the same result by the same calls.
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
from gateway.domain.pages import CompleteList
from gateway.errors import GatewayError, settled
from gateway.loaders.request_loaders import RequestLoaders
from gateway.request_scope import Scope
from gateway.upstream.provider import Provider

ALWAYS_ACTIVE = frozenset({Status.ACTIVE})
"""The statuses of a provider whose segments cannot be inactive or expire."""


class OwnCustomerLoaders(RequestLoaders):
    """Loaders that can see only one customer."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        scope: Scope,
        own: Mapping[str, str],
        now: datetime,
    ) -> None:
        """Load the customer that has the key in `own` at each provider, as of `now`."""
        super().__init__(providers, scope)
        self._own = own
        self._now = now

    def prime_segments(self, segments: Iterable[Segment]) -> None:
        """Do nothing: only the customer's assignments decide which segments are visible."""

    async def _customers(self, refs: Sequence[Ref]) -> list[Customer | GatewayError | None]:
        """Return the customer for refs with any of their keys, None for all others, in order."""
        providers = dict.fromkeys(ref.provider for ref in refs)
        own = [Ref(key, self._own[key]) for key in providers if key in self._own]
        customers = dict(
            zip((ref.provider for ref in own), await super()._customers(own), strict=True)
        )
        return [_if_named(customers.get(ref.provider), ref.key) for ref in refs]

    async def _segments(self, refs: Sequence[Ref]) -> list[Segment | GatewayError | None]:
        """Return the segments that the customer is in, None for all others, in order."""
        assigned = await self._assigned(dict.fromkeys(ref.provider for ref in refs))
        segments = [_find_segment(assigned[ref.provider], ref.key) for ref in refs]
        partial = [
            index
            for index, each in enumerate(segments)
            if isinstance(each, Segment) and each.is_partial
        ]
        whole = await super()._segments([refs[index] for index in partial])
        for index, segment in zip(partial, whole, strict=True):
            segments[index] = segment
        return segments

    async def _assignments_of_one(self, ref: Ref) -> CompleteList[Assignment] | None:
        """Return the active assignments of the customer; None for all others."""
        customer = await self.customer.load(ref)
        if customer is None:
            return None
        rows = await super()._assignments_of_one(customer.ref) or CompleteList()
        may_be_inactive = self._providers[ref.provider].adapter.statuses != ALWAYS_ACTIVE
        unknown = [
            index
            for index, row in enumerate(rows)
            if row.segment is None or (row.segment.is_partial and may_be_inactive)
        ]
        read = await super()._segments(
            [Ref(ref.provider, rows[index].ref.segment) for index in unknown]
        )
        segments = {index: row.segment for index, row in enumerate(rows)}
        for index, segment in zip(unknown, read, strict=True):
            if isinstance(segment, GatewayError):
                raise segment
            segments[index] = segment
        return rows.with_rows(
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

        keys = list(providers)
        return dict(zip(keys, await asyncio.gather(*(at(key) for key in keys)), strict=True))


def _if_named(result: Customer | GatewayError | None, key: str) -> Customer | GatewayError | None:
    if isinstance(result, Customer) and key not in {
        result.ref.key,
        *(k.value for k in result.keys),
    }:
        return None
    return result


def _find_segment(
    rows: Sequence[Assignment] | GatewayError, key: str
) -> Segment | GatewayError | None:
    if isinstance(rows, GatewayError):
        return rows
    return next((row.segment for row in rows if row.ref.segment == key), None)
