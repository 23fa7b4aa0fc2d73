"""Replace the segments of customers: what they have afterwards is what was given, nothing else."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain.mutations import Reason, Replacement, UserError
from gateway.errors import BadInput, GatewayError, ProviderError
from gateway.providers.base.adapter import ListsSegmentsOfCustomer
from gateway.providers.base.write_protocols import AssignsCustomers, ReplacesTags
from gateway.store.errors import StoreFailed
from gateway.store.limits import unrecordable
from gateway.store.store import Store
from gateway.store.write_intents import LeasedIntent, Settlement
from gateway.upstream.provider import Provider
from gateway.writes.diff import AssignmentDiff
from gateway.writes.dispatch import UserErrors, WriteDispatcher, batches
from gateway.writes.entries import (
    DISCARDED_DUPLICATE,
    NOT_UPDATED,
    UNKNOWN,
    UPDATED,
    ReplacementEntry,
    RowOutcome,
)
from gateway.writes.receipts import ReplacementRow, ReplacementsReceipt

BATCHES_AT_ONCE = 4
"""Batches of one request under way: so that a long request leaves places for others."""


class SegmentReplacement:
    """Replaces at providers that can, and by the difference at those that assign one by one."""

    def __init__(self, desk: WriteDispatcher, record: Store, deadline: float) -> None:
        """Work at this desk, until the request's deadline on the loop's clock."""
        self._desk = desk
        self._record = record
        self._deadline = deadline

    async def replace(
        self, provider: str, entries: Sequence[ReplacementEntry]
    ) -> ReplacementsReceipt:
        """Replace, and return one row for each entry, in order."""
        chosen = self._desk.provider(provider, "provider")
        told: dict[int, RowOutcome] = {}
        places: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if errors := (*entry.errors, *entry.strangers(provider)):
                told[index] = RowOutcome(NOT_UPDATED, errors)
            elif places.setdefault(entry.customer, index) != index:
                told[index] = RowOutcome(DISCARDED_DUPLICATE)
        good = [entries[index] for index in places.values()]
        if chosen.offers(ReplacesTags):
            done = await self._by_tags(chosen, good)
        elif chosen.offers(AssignsCustomers) and chosen.offers(ListsSegmentsOfCustomer):
            done = await AssignmentDiff(self._desk, chosen).replace(good)
        else:
            text = f"Provider {provider!r} does not support ASSIGNMENT_REPLACE."
            raise UserErrors(UserError(text, Reason.UNSUPPORTED, ("provider",), provider))
        told |= {places[customer]: each for customer, each in done.items()}
        rows = (row(index, entry, told[index]) for index, entry in enumerate(entries))
        return ReplacementsReceipt(rows=tuple(rows))

    async def _by_tags(
        self, provider: Provider, entries: Sequence[ReplacementEntry]
    ) -> Mapping[str, RowOutcome]:
        adapter = provider.wanted(ReplacesTags, "ASSIGNMENT_REPLACE")
        done: dict[str, RowOutcome] = {}
        wanted: list[Replacement] = []
        for entry in entries:
            try:
                tags = entry.tags or [adapter.tag_of(ref.key) for ref in entry.segments or ()]
            except BadInput as error:
                told = UserError(str(error), Reason.INVALID, ("segmentIds",), provider.key)
                done[entry.customer] = RowOutcome(NOT_UPDATED, (told,))
                continue
            each = Replacement(entry.customer, tuple(dict.fromkeys(tags)))
            if text := unrecordable(provider.key, each):
                told = UserError(text, Reason.INVALID, None, provider.key)
                done[entry.customer] = RowOutcome(NOT_UPDATED, (told,))
            else:
                wanted.append(each)
        problems: dict[str, list[UserError]] = {}
        for problem in adapter.replace_problems(wanted):
            at, *rest = problem.field or ("0",)
            moved = msgspec.structs.replace(problem, field=tuple(rest))
            problems.setdefault(wanted[int(at)].customer, []).append(moved)
        done |= {customer: RowOutcome(NOT_UPDATED, found) for customer, found in problems.items()}
        write, places = uuid.uuid4().hex, asyncio.Semaphore(BATCHES_AT_ONCE)

        async def batch(part: Sequence[Replacement]) -> Mapping[str, RowOutcome]:
            async with places:
                return await self._sent(provider, adapter, part, write)

        sendable = [each for each in wanted if each.customer not in problems]
        cut = batches(sendable, adapter.rows_per_call)
        for part in await asyncio.gather(*(batch(each) for each in cut)):
            done |= part
        return done

    async def _sent(
        self, provider: Provider, adapter: ReplacesTags, rows: Sequence[Replacement], write: str
    ) -> Mapping[str, RowOutcome]:
        """Send one batch under the record's eyes; customers of other writes wait their turn."""
        found: dict[str, RowOutcome] = {}
        while rows:
            try:
                begun = await self._record.tags.begin(provider.key, rows, write, self._deadline)
            except GatewayError as error:
                self._desk.note_unsent()
                self._desk.report(error)
                told = RowOutcome(NOT_UPDATED, (failed(error, provider, self._desk.request_id),))
                return found | {each.customer: told for each in rows}
            try:
                found |= await carried_out(
                    self._desk, provider, adapter, self._record, begun.claim
                )
            except GatewayError as error:  # it was sent, and what came of it cannot be recorded
                self._desk.report(error)
                told = RowOutcome(UNKNOWN, (failed(error, provider, self._desk.request_id),))
                found |= {each.customer: told for each in begun.claim.rows}
            # What was read while the write was open is not believed either.
            self._desk.loaders.forget()
            rows = begun.left
        return found


async def carried_out(
    desk: WriteDispatcher,
    provider: Provider,
    adapter: ReplacesTags,
    record: Store,
    claim: LeasedIntent,
) -> Mapping[str, RowOutcome]:
    """Send what a claim of the record covers and settle it; also what recovery does."""
    customers = [each.customer for each in claim.rows]
    try:
        confirmed = set(await desk.send(provider, adapter.replace_tags(claim.rows)))
    except (UserErrors, ProviderError) as error:
        is_unknown = isinstance(error, ProviderError) and error.was_sent
        settlement = Settlement.UNKNOWN if is_unknown else Settlement.NOT_APPLIED
        await record.tags.settle(claim, dict.fromkeys(customers, settlement))
        if isinstance(error, UserErrors):
            errors = error.errors
        else:
            errors = (failed(error, provider, desk.request_id),)
        return dict.fromkeys(customers, RowOutcome(UNKNOWN if is_unknown else NOT_UPDATED, errors))
    superseded = await record.tags.settle(
        claim,
        {
            customer: Settlement.CONFIRMED if customer in confirmed else Settlement.NOT_APPLIED
            for customer in customers
        },
    )
    return {
        customer: RowOutcome(NOT_UPDATED, (silent(provider, desk.request_id),))
        if customer not in confirmed
        else RowOutcome(UNKNOWN, (overtaken(provider, desk.request_id),))
        if customer in superseded
        else RowOutcome(UPDATED)
        for customer in customers
    }


def row(index: int, entry: ReplacementEntry, told: RowOutcome) -> ReplacementRow:
    """Return an entry's row; the fields of its errors are below its place in the input."""
    errors = tuple(each.below("customers", str(index)) for each in told.errors)
    return ReplacementRow(
        index=index, customer=entry.customer, outcome=told.outcome, errors=errors
    )


def failed(error: GatewayError, provider: Provider, request_id: str) -> UserError:
    """Say of a row what failed for all of its batch."""
    is_record = isinstance(error, StoreFailed)
    reason = Reason.STORE_UNAVAILABLE if is_record else Reason.PROVIDER_FAILED
    return UserError(str(error), reason, None, provider.key, request_id)


def silent(provider: Provider, request_id: str) -> UserError:
    """Say what it means when the provider's answer leaves a customer out."""
    return UserError(
        "The provider did not update this customer and does not say why; it may not know them.",
        Reason.NOT_FOUND,
        ("externalId",),
        provider.key,
        request_id,
    )


def overtaken(provider: Provider, request_id: str) -> UserError:
    """Say what it means when another write took this one's place before it was settled."""
    return UserError(
        "It took so long that another write of this customer took its place.",
        Reason.PROVIDER_FAILED,
        None,
        provider.key,
        request_id,
    )
