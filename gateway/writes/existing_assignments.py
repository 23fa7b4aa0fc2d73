"""Read which assignments exist already: they are not written again.

Emporix replaces an assignment as a whole, so assigning again would remove its mixins. That `PUT`
changes only parts is not documented, and there is no `PATCH`.
"""

import asyncio
from collections.abc import Mapping, Sequence

from gateway.domain.entities import Assignment, AssignmentRef, Ref
from gateway.errors import GatewayError, ProviderError, Refused, settled
from gateway.loaders.request_loaders import MAX_CUSTOMERS
from gateway.providers.base.adapter import ListsAssignmentsOfCustomers, ReadsAssignments
from gateway.upstream.provider import Provider
from gateway.writes.dispatch import AT_ONCE, WriteDispatcher, not_sent


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
    dispatcher.invalidate(provider)
    customers = tuple(dict.fromkeys(ref.customer for ref in refs))
    parts = [customers[i : i + MAX_CUSTOMERS] for i in range(0, len(customers), MAX_CUSTOMERS)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def read(part: tuple[str, ...]) -> Sequence[Assignment] | GatewayError | None:
        async with slots:
            return await settled(dispatcher.loaders.within(provider, segment.key, part))

    results: dict[AssignmentRef, Assignment | ProviderError] = {}
    for part, rows in zip(parts, await asyncio.gather(*map(read, parts)), strict=True):
        if isinstance(rows, Refused) or rows is None:
            continue
        if isinstance(rows, ProviderError):
            dispatcher.note_unsent()
            error, unread = not_sent(rows), frozenset(part)
            results |= {ref: error for ref in refs if ref.customer in unread}
        elif isinstance(rows, GatewayError):
            raise rows
        else:
            results |= {row.ref: row for row in rows}
    return results
