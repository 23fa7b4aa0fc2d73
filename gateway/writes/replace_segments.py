"""Replace the segments of customers: what they have afterwards is what was given, nothing else."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain.mutations import Reason, Replacement, UserError
from gateway.errors import BadInput, GatewayError, ProviderError
from gateway.providers.base.adapter import ListsSegmentsOfCustomer
from gateway.providers.base.write_protocols import AssignsCustomers, ReplacesTags
from gateway.store.errors import StoreBusy, StoreFailed
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
from gateway.writes.receipts import (
    DONE,
    PLANNED,
    ReplacementRow,
    ReplacementsPlan,
    ReplacementsReceipt,
)

BATCHES_AT_ONCE = 4
"""Batches of one request under way: so that a long request leaves places for others."""


SENDING_S, SENDING_SHARE = 1.0, 0.1
"""What a call must have left of its request's time: a second, or a tenth if that is less."""

PENDING = RowOutcome(PLANNED)


class SegmentReplacement:
    """Replaces at providers that can, and by the difference at those that assign one by one."""

    def __init__(self, dispatcher: WriteDispatcher, store: Store, deadline: float) -> None:
        """Work at this dispatcher, until the request's deadline on the loop's clock."""
        self._dispatcher = dispatcher
        self._store = store
        self._deadline = deadline
        left_s = max(deadline - asyncio.get_running_loop().time(), 0)
        self._latest = deadline - min(SENDING_S, left_s * SENDING_SHARE)
        """Until when a customer's turn is waited for: nothing is sent without time left."""

    async def replace(
        self, provider: str, entries: Sequence[ReplacementEntry]
    ) -> ReplacementsReceipt:
        """Replace, and return one row for each entry, in order."""
        chosen = self._dispatcher.provider(provider, "provider")
        told: dict[int, RowOutcome] = {}
        places: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if errors := (*entry.errors, *entry.foreign_segments(provider)):
                told[index] = RowOutcome(NOT_UPDATED, errors)
            elif places.setdefault(entry.customer, index) != index:
                told[index] = RowOutcome(DISCARDED_DUPLICATE)
        good = [entries[index] for index in places.values()]
        if chosen.offers(ReplacesTags):
            bad, wanted = checked(chosen, good)
            told |= {places[customer]: each for customer, each in bad.items()}
            done = await self._by_tags(chosen, wanted, planned(provider, entries, told))
        elif chosen.offers(AssignsCustomers) and chosen.offers(ListsSegmentsOfCustomer):
            done = await AssignmentDiff(self._dispatcher, chosen).replace(good)
        else:
            text = f"Provider {provider!r} does not support ASSIGNMENT_REPLACE."
            raise UserErrors(UserError(text, Reason.UNSUPPORTED, ("provider",), provider))
        told |= {places[customer]: each for customer, each in done.items()}
        rows = (row(index, entry, told[index]) for index, entry in enumerate(entries))
        return ReplacementsReceipt(rows=tuple(rows))

    async def _by_tags(
        self, provider: Provider, wanted: Sequence[Replacement], plan: bytes
    ) -> Mapping[str, RowOutcome]:
        adapter = provider.require(ReplacesTags, "ASSIGNMENT_REPLACE")
        key_claim = self._dispatcher.key_claim
        if key_claim is not None and wanted:
            try:
                await self._store.answers.plan(key_claim, plan, self._deadline)
            except GatewayError as error:
                return self._unsent(provider, wanted, error)
        places = asyncio.Semaphore(BATCHES_AT_ONCE)
        write = key_claim or uuid.uuid4().hex

        async def batch(part: Sequence[Replacement]) -> Mapping[str, RowOutcome]:
            async with places:
                return await self._sent(provider, adapter, part, write)

        done: dict[str, RowOutcome] = {}
        cut = batches(wanted, adapter.rows_per_call)
        for part in await asyncio.gather(*(batch(each) for each in cut)):
            done |= part
        return done

    async def _sent(
        self, provider: Provider, adapter: ReplacesTags, rows: Sequence[Replacement], write: str
    ) -> Mapping[str, RowOutcome]:
        """Send one batch under the record's eyes; customers of other writes wait their turn."""
        done: dict[str, RowOutcome] = {}
        tags, has_key = self._store.tags, self._dispatcher.key_claim is not None
        with tags.queued(provider.key, rows) as turn:
            while rows:
                try:
                    begun = await tags.begin(
                        provider.key, rows, write, self._latest, has_key=has_key, turn=turn
                    )
                except GatewayError as error:
                    return done | self._unsent(provider, rows, error)
                done |= await self._carried_out(provider, adapter, begun.claim)
                turn.leave([(provider.key, row.customer) for row in begun.claim.rows])
                # What was read while the write was open is not believed either.
                self._dispatcher.loaders.invalidate()
                rows = begun.left
        return done

    async def _carried_out(
        self, provider: Provider, adapter: ReplacesTags, claim: LeasedIntent
    ) -> Mapping[str, RowOutcome]:
        if asyncio.get_running_loop().time() < self._deadline:
            return await carried_out(self._dispatcher, provider, adapter, self._store, claim)
        customers = [each.customer for each in claim.rows]
        await self._store.tags.settle(claim, dict.fromkeys(customers, Settlement.NOT_APPLIED))
        return self._unsent(provider, claim.rows, StoreBusy(provider.key))

    def _unsent(
        self, provider: Provider, rows: Sequence[Replacement], error: GatewayError
    ) -> dict[str, RowOutcome]:
        """Return what is said of rows that were not sent."""
        self._dispatcher.note_unsent()
        self._dispatcher.report(error)
        told = RowOutcome(NOT_UPDATED, (failed(error, provider, self._dispatcher.request_id),))
        return {each.customer: told for each in rows}


def checked(
    provider: Provider, entries: Sequence[ReplacementEntry]
) -> tuple[dict[str, RowOutcome], Sequence[Replacement]]:
    """Part the entries that may be sent from those that have mistakes, by their customer."""
    adapter = provider.require(ReplacesTags, "ASSIGNMENT_REPLACE")
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
    return done, [each for each in wanted if each.customer not in problems]


def planned(
    provider: str, entries: Sequence[ReplacementEntry], told: Mapping[int, RowOutcome]
) -> bytes:
    """Return the plan of a replacement: the rows that are decided, and those to be sent."""
    rows = (row(index, entry, told.get(index, PENDING)) for index, entry in enumerate(entries))
    return msgspec.json.encode(ReplacementsPlan(provider=provider, rows=tuple(rows)))


def concluded(plan: bytes, outcomes: Mapping[str, str | None]) -> bytes | None:
    """Return what the key of a replacement that broke off is to answer, by what it came to.

    `outcomes` has the customers whose write was begun. None: nobody's was, so that nothing was
    done, and the key may be used again.
    """
    if not outcomes:
        return None
    read = msgspec.json.decode(plan, type=ReplacementsPlan)
    rows = tuple(
        conclusion(each, read.provider, outcomes) if each.outcome == PLANNED else each
        for each in read.rows
    )
    return DONE + msgspec.json.encode(ReplacementsReceipt(rows=rows))


def conclusion(
    planned: ReplacementRow, provider: str, outcomes: Mapping[str, str | None]
) -> ReplacementRow:
    """Return one row of it."""
    if planned.customer not in outcomes:
        text = "The gateway stopped before this was sent."
        told = RowOutcome(NOT_UPDATED, (UserError(text, Reason.PROVIDER_FAILED, None, provider),))
    elif outcomes[planned.customer] == Settlement.CONFIRMED.value:
        told = RowOutcome(UPDATED)
    elif outcomes[planned.customer] == Settlement.NOT_APPLIED.value:
        told = RowOutcome(NOT_UPDATED, (silent(provider, None),))
    else:
        text = "The gateway stopped while this was under way; what came of it is not known."
        told = RowOutcome(UNKNOWN, (UserError(text, Reason.PROVIDER_FAILED, None, provider),))
    return row(planned.index, planned, told)


async def carried_out(
    dispatcher: WriteDispatcher,
    provider: Provider,
    adapter: ReplacesTags,
    store: Store,
    claim: LeasedIntent,
) -> Mapping[str, RowOutcome]:
    """Send what a claim of the record covers and settle it; also what recovery does."""
    customers = [each.customer for each in claim.rows]
    try:
        replaced = await dispatcher.send(provider, adapter.replace_tags(claim.rows))
    except (UserErrors, ProviderError) as error:
        is_unknown = isinstance(error, ProviderError) and error.was_sent
        # A repeat that could not be sent says nothing of the first attempt.
        is_open = is_unknown or (claim.is_repeat and isinstance(error, ProviderError))
        settlement = Settlement.UNKNOWN if is_open else Settlement.NOT_APPLIED
        await store.tags.settle(claim, dict.fromkeys(customers, settlement))
        if isinstance(error, UserErrors):
            errors = error.errors
        else:
            errors = (failed(error, provider, dispatcher.request_id),)
        return dict.fromkeys(customers, RowOutcome(UNKNOWN if is_unknown else NOT_UPDATED, errors))
    confirmed = frozenset(replaced.customers)
    unnamed = Settlement.NOT_APPLIED if replaced.is_whole else Settlement.UNKNOWN
    superseded = await store.tags.settle(
        claim,
        {
            customer: Settlement.CONFIRMED if customer in confirmed else unnamed
            for customer in customers
        },
    )
    left_out = (
        RowOutcome(NOT_UPDATED, (silent(provider.key, dispatcher.request_id),))
        if replaced.is_whole
        else RowOutcome(UNKNOWN, (unreadable(provider.key, dispatcher.request_id),))
    )
    return {
        customer: left_out
        if customer not in confirmed
        else RowOutcome(UNKNOWN, (overtaken(provider, dispatcher.request_id),))
        if customer in superseded
        else RowOutcome(UPDATED)
        for customer in customers
    }


def row(index: int, entry: ReplacementEntry | ReplacementRow, told: RowOutcome) -> ReplacementRow:
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


def silent(provider: str, request_id: str | None) -> UserError:
    """Say what it means when the provider's answer leaves a customer out."""
    return UserError(
        "The provider did not update this customer and does not say why; it may not know them.",
        Reason.NOT_FOUND,
        ("externalId",),
        provider,
        request_id,
    )


def unreadable(provider: str, request_id: str) -> UserError:
    """Say what it means when the answer may name a customer by an entry that cannot be read."""
    return UserError(
        "A part of the provider's answer cannot be read: it may have updated this customer.",
        Reason.PROVIDER_FAILED,
        None,
        provider,
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
