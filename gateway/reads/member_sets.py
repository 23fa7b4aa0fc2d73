"""Whole sets of members, for conditions on several segments of one provider."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

import msgspec

from gateway.domain.entities import Customer, Origin, Ref
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import MemberConditions
from gateway.errors import GatewayError, LimitExceeded, Malformed, settled
from gateway.loaders.request_fetches import WHOLE_LIST_PAGE_SIZE
from gateway.providers.base.adapter import ReadsMembers
from gateway.providers.base.numbered_pages import number
from gateway.reads.members import MemberReads
from gateway.reads.merged_list import IncompletePage
from gateway.reads.source_rows import oldest
from gateway.upstream.provider import Provider


class MemberSet(NamedTuple):
    """The customers in one segment, each once, in the provider's order."""

    keys: Mapping[str, None]
    """A set in order."""
    origin: Origin
    as_of: datetime
    """When the oldest part of it was read."""
    skipped: int
    """The number of members left out because their ids cannot be read."""


class MemberSetReads(MemberReads):
    """Sets of members, and the customers selected by several of them."""

    async def member_set(self, ref: Ref) -> MemberSet:
        """Read all members of a segment.

        Raises its provider's error, and `LimitExceeded` beyond `limits.compare_members`: before
        the second page if the provider reports totals.
        """
        provider = self._providers[ref.provider]
        members = provider.require(ReadsMembers, "SEGMENT_MEMBERS").members
        keys: dict[str, None] = {}
        origin, as_of, skipped = Origin.LIVE, datetime.now(UTC), 0
        request = PageRequest(WHOLE_LIST_PAGE_SIZE, None, with_total=True)
        while True:
            page = await self._loaders.fetch(provider, members, ref.key, request)
            self._prime_customers_of(page)
            keys.update(dict.fromkeys(row.ref.customer for row in page.rows))
            origin = oldest((origin, page.origin or Origin.LIVE))
            as_of = min(as_of, page.fetched_at or as_of)
            skipped += page.skipped
            self._check_size(ref, max(len(keys), page.total or 0))
            if page.is_last:
                self._note_size(ref, len(keys), origin, is_exact=not skipped)
                return MemberSet(keys, origin, as_of, skipped)
            if page.next_position in {None, request.position}:
                raise Malformed(ref.provider, "members.list", detail="the list does not advance")
            request = PageRequest(WHOLE_LIST_PAGE_SIZE, page.next_position)

    def _check_size(self, ref: Ref, size: int) -> None:
        most = self._limits.compare_members
        if size > most:
            raise LimitExceeded(
                f"The segment {ref.key!r} has {size} members or more; at most {most} are read "
                "(limits.compare_members)."
            )

    async def _selected_page(
        self, provider: Provider, conditions: MemberConditions, request: PageRequest
    ) -> Page[Customer]:
        """Return a page of the customers for whom the conditions hold.

        They come in the order of the first segment of `all_of`, else of those of `any_of`. Raises
        the error of a segment without which nobody can be judged, and `LimitExceeded`.
        """
        refs = conditions.refs
        sets: dict[Ref, MemberSet] = {}
        errors: dict[Ref, GatewayError] = {}
        results = await asyncio.gather(*(settled(self.member_set(ref)) for ref in refs))
        for ref, result in zip(refs, results, strict=True):
            if isinstance(result, GatewayError):
                errors[ref] = result
            else:
                sets[ref] = result
        for error in errors.values():
            if isinstance(error, LimitExceeded):
                raise error
        for ref, error in errors.items():
            # The other alternatives still show who is in them.
            if not sets.keys() & conditions.any_of or ref in conditions.judging:
                raise error
        page = await self._page_of_keys(provider, _selected_keys(conditions, sets), request)
        origins = [page.origin or Origin.LIVE, *(each.origin for each in sets.values())]
        parts = {
            **msgspec.structs.asdict(page),
            "origin": oldest(origins),
            "fetched_at": min(each.as_of for each in sets.values()),
            "skipped": sum(each.skipped for each in sets.values()),
        }
        if errors:
            return IncompletePage(**parts, error=next(iter(errors.values())))
        return Page(**parts)

    async def _page_of_keys(
        self, provider: Provider, keys: Sequence[str], request: PageRequest
    ) -> Page[Customer]:
        """Return a page of the customers with these keys; positions are counts of keys."""
        start = number(request.position)
        shown = keys[start : start + request.size]
        customers = await self._loaders.customer.load_many([Ref(provider.key, k) for k in shown])
        rows = [(at, each) for at, each in enumerate(customers, start + 1) if each is not None]
        return Page(
            rows=[customer for _, customer in rows],
            position_after=lambda i: str(rows[i][0]),
            is_last=start + request.size >= len(keys),
            total=len(keys),
            origin=provider.origin,
            end=str(start + len(shown)),
        )


def _selected_keys(conditions: MemberConditions, sets: Mapping[Ref, MemberSet]) -> Sequence[str]:
    """Return the customers for whom the conditions hold, by the sets that could be read."""
    required = [sets[ref].keys for ref in conditions.all_of]
    alternatives = [sets[ref].keys for ref in conditions.any_of if ref in sets]
    excluded = [sets[ref].keys for ref in conditions.none_of]
    candidates = required[0] if required else dict.fromkeys(chain.from_iterable(alternatives))
    return [
        key
        for key in candidates
        if all(key in each for each in required)
        and (not alternatives or any(key in each for each in alternatives))
        and not any(key in each for each in excluded)
    ]
