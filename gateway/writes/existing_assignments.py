"""Read which assignments of customers and items exist already: they are not written again.

Emporix replaces an assignment as a whole, so assigning again would remove its mixins. That `PUT`
changes only parts is not documented, and there is no `PATCH`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from gateway.domain.entities import Assignment, AssignmentRef, Item, ItemKind, Ref
from gateway.errors import GatewayError, ProviderError, Refused, settled
from gateway.loaders.request_loaders import MAX_CUSTOMERS
from gateway.providers.base.adapter import (
    FindsItemsOfSegment,
    ListsAssignmentsOfCustomers,
    ReadsAssignments,
)
from gateway.upstream.provider import Provider
from gateway.writes.dispatch import AT_ONCE, WriteDispatcher, not_sent

T = TypeVar("T")


async def existing_assignment(
    dispatcher: WriteDispatcher, provider: Provider, ref: AssignmentRef
) -> Assignment | None:
    """Return the assignment; None if there is none, or if the provider refuses to say.

    It refuses the write, too, and says why. Any other failure is raised as not sent.
    """
    if not provider.offers(ReadsAssignments):
        return None
    adapter = provider.require(ReadsAssignments, "ASSIGNMENT_GET")
    dispatcher.invalidate(provider)  # a cached reply does not show what has been removed since
    try:
        return await dispatcher.loaders.fetch(
            provider, adapter.assignment, ref.segment, ref.customer, ref.legal_entity
        )
    except Refused:
        return None
    except ProviderError as error:
        dispatcher.note_unsent()
        raise not_sent(error) from error


async def existing_assignments(
    dispatcher: WriteDispatcher,
    provider: Provider,
    segment: Ref,
    refs: Sequence[AssignmentRef],
) -> Mapping[AssignmentRef, Assignment | ProviderError]:
    """Return those of the assignments that exist, and an error for each that cannot be read."""
    if not refs or not provider.offers(ListsAssignmentsOfCustomers):
        return {}

    def read(part: tuple[str, ...]) -> Awaitable[Sequence[Assignment]]:
        return dispatcher.loaders.within(provider, segment.key, part)

    results: dict[AssignmentRef, Assignment | ProviderError] = {}
    for part, rows in await _read(dispatcher, provider, [ref.customer for ref in refs], read):
        if isinstance(rows, ProviderError):
            results |= {ref: rows for ref in refs if ref.customer in part}
        else:
            results |= {row.ref: row for row in rows}
    return results


async def existing_items(
    dispatcher: WriteDispatcher,
    provider: Provider,
    segment: Ref,
    kind: ItemKind,
    keys: Sequence[str],
) -> Mapping[str, Item | ProviderError]:
    """Return those of the items that a segment has, and an error for each that cannot be read."""
    if not provider.offers(FindsItemsOfSegment):
        return {}
    adapter = provider.require(FindsItemsOfSegment, "SEGMENT_ITEMS")

    def read(part: tuple[str, ...]) -> Awaitable[Sequence[Item]]:
        return dispatcher.loaders.walk(provider, adapter.items_within, segment.key, kind, part)

    results: dict[str, Item | ProviderError] = {}
    for part, rows in await _read(dispatcher, provider, keys, read):
        if isinstance(rows, ProviderError):
            results |= dict.fromkeys(part, rows)
        else:
            results |= {row.key: row for row in rows}
    return results


async def _read(
    dispatcher: WriteDispatcher,
    provider: Provider,
    keys: Sequence[str],
    read: Callable[[tuple[str, ...]], Awaitable[Sequence[T]]],
) -> Sequence[tuple[AbstractSet[str], Sequence[T] | ProviderError]]:
    """Read what exists of these keys, in parts; leave out parts that the provider refuses."""
    dispatcher.invalidate(provider)
    distinct = tuple(dict.fromkeys(keys))
    parts = [distinct[i : i + MAX_CUSTOMERS] for i in range(0, len(distinct), MAX_CUSTOMERS)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def read_part(part: tuple[str, ...]) -> Sequence[T] | GatewayError | None:
        async with slots:
            return await settled(read(part))

    found: list[tuple[AbstractSet[str], Sequence[T] | ProviderError]] = []
    for part, rows in zip(parts, await asyncio.gather(*map(read_part, parts)), strict=True):
        if isinstance(rows, Refused) or rows is None:
            continue
        if isinstance(rows, ProviderError):
            dispatcher.note_unsent()
            found.append((frozenset(part), not_sent(rows)))
        elif isinstance(rows, GatewayError):
            raise rows
        else:
            found.append((frozenset(part), rows))
    return found
