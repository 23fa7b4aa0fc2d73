"""Replace all segments of customers with those of the input."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain.mutations import Reason, Replacement, UserError
from gateway.errors import BadInput, GatewayError, ProviderError
from gateway.providers.base.capabilities import ReplacesAssignments
from gateway.providers.base.write_protocols import ReplacesTags
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
"""The most concurrent batches of one request, so that others can be sent meanwhile."""


SENDING_S, SENDING_SHARE = 1.0, 0.1
"""The time reserved for a call: a second, or a tenth of the request's time if that is less."""

PENDING = RowOutcome(PLANNED)


class SegmentReplacement:
    """Replaces segments: with one call where supported, else assignment by assignment."""

    def __init__(self, dispatcher: WriteDispatcher, store: Store, deadline: float) -> None:
        """Send writes with `dispatcher` until `deadline`, on the event loop's clock."""
        self._dispatcher = dispatcher
        self._store = store
        self._deadline = deadline
        left_s = max(deadline - asyncio.get_running_loop().time(), 0)
        self._latest = deadline - min(SENDING_S, left_s * SENDING_SHARE)
        """When to stop waiting for a customer's turn, so that time is left for the call."""

    async def replace(
        self, provider: str, entries: Sequence[ReplacementEntry]
    ) -> ReplacementsReceipt:
        """Replace, and return one row for each entry, in order."""
        chosen = self._dispatcher.provider(provider, "provider")
        outcomes: dict[int, RowOutcome] = {}
        indices: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if errors := (*entry.errors, *entry.foreign_segments(provider)):
                outcomes[index] = RowOutcome(NOT_UPDATED, errors)
            elif indices.setdefault(entry.customer, index) != index:
                outcomes[index] = RowOutcome(DISCARDED_DUPLICATE)
        good = [entries[index] for index in indices.values()]
        if chosen.offers(ReplacesTags):
            bad, replacements = checked(chosen, good)
            outcomes |= {indices[customer]: each for customer, each in bad.items()}
            plan = plan_of(provider, entries, outcomes)
            sent = await self._replace_tags(chosen, replacements, plan)
        elif chosen.offers(ReplacesAssignments):
            sent = await AssignmentDiff(self._dispatcher, chosen).replace(good)
        else:
            text = f"Provider {provider!r} does not support ASSIGNMENT_REPLACE."
            raise UserErrors(UserError(text, Reason.UNSUPPORTED, ("provider",), provider))
        outcomes |= {indices[customer]: each for customer, each in sent.items()}
        rows = (row(index, entry, outcomes[index]) for index, entry in enumerate(entries))
        return ReplacementsReceipt(rows=tuple(rows))

    async def _replace_tags(
        self, provider: Provider, replacements: Sequence[Replacement], plan: bytes
    ) -> Mapping[str, RowOutcome]:
        adapter = provider.require(ReplacesTags, "ASSIGNMENT_REPLACE")
        key_claim = self._dispatcher.key_claim
        if key_claim is not None and replacements:
            try:
                await self._store.idempotency_keys.plan(key_claim, plan, self._deadline)
            except GatewayError as error:
                return self._unsent(provider, replacements, error)
        limit = asyncio.Semaphore(BATCHES_AT_ONCE)
        write = key_claim or uuid.uuid4().hex

        async def send(batch: Sequence[Replacement]) -> Mapping[str, RowOutcome]:
            async with limit:
                return await self._send(provider, adapter, batch, write)

        outcomes: dict[str, RowOutcome] = {}
        parts = batches(replacements, adapter.rows_per_call)
        for sent in await asyncio.gather(*(send(batch) for batch in parts)):
            outcomes |= sent
        return outcomes

    async def _send(
        self, provider: Provider, adapter: ReplacesTags, rows: Sequence[Replacement], write: str
    ) -> Mapping[str, RowOutcome]:
        """Send one batch with write intents; wait for other writes to the same customers."""
        outcomes: dict[str, RowOutcome] = {}
        intents, has_key = self._store.write_intents, self._dispatcher.key_claim is not None
        with intents.queued(provider.key, rows) as turn:
            while rows:
                try:
                    begun = await intents.begin(
                        provider.key, rows, write, self._latest, has_key=has_key, turn=turn
                    )
                except GatewayError as error:
                    return outcomes | self._unsent(provider, rows, error)
                outcomes |= await self._execute(provider, adapter, begun.claim)
                turn.leave([(provider.key, row.customer) for row in begun.claim.rows])
                # What was read while the write was open is invalid as well.
                self._dispatcher.loaders.invalidate()
                rows = begun.left
        return outcomes

    async def _execute(
        self, provider: Provider, adapter: ReplacesTags, claim: LeasedIntent
    ) -> Mapping[str, RowOutcome]:
        if asyncio.get_running_loop().time() < self._deadline:
            return await execute(self._dispatcher, provider, adapter, self._store, claim)
        customers = [each.customer for each in claim.rows]
        await self._store.write_intents.settle(
            claim, dict.fromkeys(customers, Settlement.NOT_APPLIED)
        )
        return self._unsent(provider, claim.rows, StoreBusy(provider.key))

    def _unsent(
        self, provider: Provider, rows: Sequence[Replacement], error: GatewayError
    ) -> dict[str, RowOutcome]:
        """Return the outcomes of rows that were not sent."""
        self._dispatcher.note_unsent()
        self._dispatcher.report(error)
        outcome = RowOutcome(NOT_UPDATED, (failed(error, provider, self._dispatcher.request_id),))
        return {each.customer: outcome for each in rows}


def checked(
    provider: Provider, entries: Sequence[ReplacementEntry]
) -> tuple[dict[str, RowOutcome], Sequence[Replacement]]:
    """Return the outcomes of entries with mistakes, by customer, and the other entries."""
    adapter = provider.require(ReplacesTags, "ASSIGNMENT_REPLACE")
    bad: dict[str, RowOutcome] = {}
    good: list[Replacement] = []
    for entry in entries:
        try:
            tags = entry.tags or [adapter.tag_of(ref.key) for ref in entry.segments or ()]
        except BadInput as error:
            problem = UserError(str(error), Reason.INVALID, ("segmentIds",), provider.key)
            bad[entry.customer] = RowOutcome(NOT_UPDATED, (problem,))
            continue
        replacement = Replacement(entry.customer, tuple(dict.fromkeys(tags)))
        if text := unrecordable(provider.key, replacement):
            problem = UserError(text, Reason.INVALID, None, provider.key)
            bad[entry.customer] = RowOutcome(NOT_UPDATED, (problem,))
        else:
            good.append(replacement)
    problems: dict[str, list[UserError]] = {}
    for problem in adapter.replace_problems(good):
        index, *field = problem.field or ("0",)
        below_entry = msgspec.structs.replace(problem, field=tuple(field))
        problems.setdefault(good[int(index)].customer, []).append(below_entry)
    bad |= {customer: RowOutcome(NOT_UPDATED, errors) for customer, errors in problems.items()}
    return bad, [each for each in good if each.customer not in problems]


def plan_of(
    provider: str, entries: Sequence[ReplacementEntry], outcomes: Mapping[int, RowOutcome]
) -> bytes:
    """Encode the plan of a replacement: the rows with an outcome, and those to be sent."""
    rows = (row(index, entry, outcomes.get(index, PENDING)) for index, entry in enumerate(entries))
    return msgspec.json.encode(ReplacementsPlan(provider=provider, rows=tuple(rows)))


def conclusion(plan: bytes, outcomes: Mapping[str, str | None]) -> bytes | None:
    """Return the result to store for the key of an interrupted replacement.

    `outcomes` contains the customers whose write was started. None: no write was started, so the
    key may be used again.
    """
    if not outcomes:
        return None
    decoded = msgspec.json.decode(plan, type=ReplacementsPlan)
    rows = tuple(
        conclude_row(each, decoded.provider, outcomes) if each.outcome == PLANNED else each
        for each in decoded.rows
    )
    return DONE + msgspec.json.encode(ReplacementsReceipt(rows=rows))


def conclude_row(
    planned: ReplacementRow, provider: str, outcomes: Mapping[str, str | None]
) -> ReplacementRow:
    """Return the final row of a planned one."""
    if planned.customer not in outcomes:
        text = "The gateway stopped before this was sent."
        error = UserError(text, Reason.PROVIDER_FAILED, None, provider)
        outcome = RowOutcome(NOT_UPDATED, (error,))
    elif outcomes[planned.customer] == Settlement.CONFIRMED.value:
        outcome = RowOutcome(UPDATED)
    elif outcomes[planned.customer] == Settlement.NOT_APPLIED.value:
        outcome = RowOutcome(NOT_UPDATED, (not_named(provider, None),))
    else:
        text = "The gateway stopped while this was in progress; the outcome is unknown."
        error = UserError(text, Reason.PROVIDER_FAILED, None, provider)
        outcome = RowOutcome(UNKNOWN, (error,))
    return row(planned.index, planned, outcome)


async def execute(
    dispatcher: WriteDispatcher,
    provider: Provider,
    adapter: ReplacesTags,
    store: Store,
    claim: LeasedIntent,
) -> Mapping[str, RowOutcome]:
    """Send the rows of a leased intent and settle it; recovery does this as well."""
    customers = [each.customer for each in claim.rows]
    try:
        replaced = await dispatcher.send(provider, adapter.replace_tags(claim.rows))
    except (UserErrors, ProviderError) as error:
        is_unknown = isinstance(error, ProviderError) and error.was_sent
        # If a repeat cannot be sent, the outcome of the first attempt is still unknown.
        is_open = is_unknown or (claim.is_repeat and isinstance(error, ProviderError))
        settlement = Settlement.UNKNOWN if is_open else Settlement.NOT_APPLIED
        await store.write_intents.settle(claim, dict.fromkeys(customers, settlement))
        if isinstance(error, UserErrors):
            errors = error.errors
        else:
            errors = (failed(error, provider, dispatcher.request_id),)
        return dict.fromkeys(customers, RowOutcome(UNKNOWN if is_unknown else NOT_UPDATED, errors))
    confirmed = frozenset(replaced.customers)
    unnamed = Settlement.NOT_APPLIED if replaced.is_whole else Settlement.UNKNOWN
    superseded = await store.write_intents.settle(
        claim,
        {
            customer: Settlement.CONFIRMED if customer in confirmed else unnamed
            for customer in customers
        },
    )
    left_out = (
        RowOutcome(NOT_UPDATED, (not_named(provider.key, dispatcher.request_id),))
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


def row(
    index: int, entry: ReplacementEntry | ReplacementRow, outcome: RowOutcome
) -> ReplacementRow:
    """Return an entry's row; its errors get their paths in the input."""
    errors = tuple(each.below("customers", str(index)) for each in outcome.errors)
    return ReplacementRow(
        index=index, customer=entry.customer, outcome=outcome.outcome, errors=errors
    )


def failed(error: GatewayError, provider: Provider, request_id: str) -> UserError:
    """Return the error of each row of a failed batch."""
    is_store = isinstance(error, StoreFailed)
    reason = Reason.STORE_UNAVAILABLE if is_store else Reason.PROVIDER_FAILED
    return UserError(str(error), reason, None, provider.key, request_id)


def not_named(provider: str, request_id: str | None) -> UserError:
    """Return the error for a customer that the provider's reply does not name."""
    return UserError(
        "The provider did not update this customer and does not say why; it may not know them.",
        Reason.NOT_FOUND,
        ("externalId",),
        provider,
        request_id,
    )


def unreadable(provider: str, request_id: str) -> UserError:
    """Return the error for a customer that an unreadable entry of the reply may name."""
    return UserError(
        "A part of the provider's reply cannot be read: it may have updated this customer.",
        Reason.PROVIDER_FAILED,
        None,
        provider,
        request_id,
    )


def overtaken(provider: Provider, request_id: str) -> UserError:
    """Return the error for a write that another one replaced before it was settled."""
    return UserError(
        "It took so long that another write to this customer replaced it.",
        Reason.PROVIDER_FAILED,
        None,
        provider.key,
        request_id,
    )
