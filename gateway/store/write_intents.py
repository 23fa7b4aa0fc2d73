"""Write intents for providers that cannot be read: committed before a call, settled after it.

A customer has at most one open write. The process with its lease may send it; when the lease
ends, another may take it over. If the first one settles after all, the order of the two calls is
unknown: the customer becomes UNCONFIRMED, and the newest write is repeated.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from gateway.domain.entities import AssignmentState
from gateway.domain.mutations import Replacement, Tag
from gateway.store.change_log import ChangeLog
from gateway.store.database import Database
from gateway.store.errors import StoreBusy, Unrecordable
from gateway.store.leases import LEASE, leased_until
from gateway.store.limits import unrecordable
from gateway.store.settling import Settling
from gateway.store.tag_observations import observations
from gateway.store.tag_rows import CustomerEntry, TagRows
from gateway.store.tag_states import (
    TagStates,
    confirmed,
    in_order,
    possibly_applied,
    reverted,
    started,
)
from gateway.store.turns import Turn, Turns
from gateway.store.waiting import FIRST_PAUSE_S, MAX_PAUSE_S

FIRST_PAUSE: Final = timedelta(minutes=1)
MAX_PAUSE: Final = timedelta(minutes=15)
"""A write of unknown outcome is due at once, then after one minute, two, four, … up to this."""
REVOKED: Final = ""
"""Replaces a claim that can no longer settle its write, until its lease ends."""
MAX_ROWS: Final = 10_000
"""The most rows of one transaction."""


class Settlement(Enum):
    """The outcome of a call for one customer."""

    CONFIRMED = "CONFIRMED"
    """The provider confirmed it."""
    NOT_APPLIED = "NOT_APPLIED"
    """The provider refused it, or the call was certainly not sent."""
    UNKNOWN = "UNKNOWN"


class LeasedIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A lease on the open writes of some customers: only its holder may send them."""

    provider: str
    token: str
    rows: tuple[Replacement, ...]
    """The rows in the caller's order (longest due first for recovery), tags in their order."""
    until: datetime
    """When the lease ends: nothing may be sent later."""
    deadline: float
    """The caller's deadline, on the event loop's clock."""
    is_repeat: bool = False
    """The outcome of an earlier attempt is unknown."""

    def __repr__(self) -> str:
        """Show the provider and the number of rows, as rows contain personal data."""
        return f"LeasedIntent({self.provider!r}, {len(self.rows)} customers)"


class Begun(NamedTuple):
    """The rows of a write that may be sent now, and those that must wait."""

    claim: LeasedIntent
    left: tuple[Replacement, ...]
    """Rows whose customers have another open write, in the caller's order."""


class WriteIntents:
    """The tags of the customers of all write-only providers."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        settling: Settling,
        changes: ChangeLog,
        new_claim: Callable[[], str],
    ) -> None:
        """Use this database; `clock` is the wall clock, in UTC."""
        self._changes = changes
        self._database = database
        self._new_claim = new_claim
        self._clock = clock
        self._settling = settling
        self._turns = Turns()

    async def begin(  # noqa: PLR0913  # the last two by name
        self,
        provider: str,
        rows: Sequence[Replacement],
        write: str,
        deadline: float,
        *,
        has_key: bool = False,
        turn: Turn | None = None,
    ) -> Begun:
        """Commit the intent to replace the tags of customers, before it is sent.

        `write` names the write; with `has_key` it is the claim of an idempotency key's run that
        has a plan. `turn` is the caller's place in the queues of these customers (`queued`).

        Waits only while all of these customers have other open writes. `deadline` is the caller's
        for the whole write, on the event loop's clock; the lease lasts longer. A customer may
        occur only once; duplicate tags count once. Raises `StoreBusy` and `Unrecordable`.
        """
        wanted = {row.customer: row for row in rows}
        if len(wanted) < len(rows):
            raise ValueError("A customer occurs twice.")
        for row in rows:
            problem = unrecordable(provider, row)
            if problem:
                raise Unrecordable(problem)
        if turn is None:
            with self.queued(provider, rows) as own:
                return await self.begin(provider, rows, write, deadline, has_key=has_key, turn=own)
        async for mine in self._turns_of(turn, provider, wanted, deadline):
            claim = await self._database.finish(
                self._begin(provider, mine, write, deadline, has_key=has_key),
                deadline,
                undo=self._withdraw,
            )
            if claim.rows or not rows:
                taken = {row.customer for row in claim.rows}
                return Begun(claim, tuple(row for row in rows if row.customer not in taken))
        raise StoreBusy(provider)

    def queued(self, provider: str, rows: Sequence[Replacement]) -> AbstractContextManager[Turn]:
        """Wait in the queues of these customers, with other writes of this process."""
        return self._turns.queued([(provider, row.customer) for row in rows])

    async def _turns_of(
        self, turn: Turn, provider: str, wanted: Mapping[str, Replacement], deadline: float
    ) -> AsyncIterator[Mapping[str, Replacement]]:
        """Yield the rows that are next, whenever they may be free, until the deadline."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            mine = {
                customer: row
                for customer, row in wanted.items()
                if turn.is_first((provider, customer))
            }
            if mine or not wanted:
                yield dict(itertools.islice(mine.items(), MAX_ROWS))
            left_s = deadline - loop.time()
            if left_s <= 0:
                return
            # Another process may have the customer: look again after growing pauses.
            has_changed = await turn.changed(min(pause, left_s) if mine else left_s)
            pause = FIRST_PAUSE_S if has_changed else min(pause * 1.5, MAX_PAUSE_S)

    async def _begin(
        self,
        provider: str,
        wanted: Mapping[str, Replacement],
        write: str,
        deadline: float,
        *,
        has_key: bool,
    ) -> LeasedIntent:
        now = self._clock()
        token, until = self._new_claim(), leased_until(now, deadline)
        async with self._database.writing() as connection:
            tag_rows = TagRows(self._database, connection, provider, now)
            await tag_rows.enter(sorted(wanted), write)
            before = await tag_rows.free(sorted(wanted))
            after = [
                entry._replace(
                    state=AssignmentState.PENDING,
                    write=write,
                    claim=token,
                    due_at=until,
                    attempts=entry.attempts + entry.is_open,
                    tag_states=started(
                        entry.tag_states,
                        wanted[entry.customer].tags,
                        is_open=entry.is_open,
                    ),
                )
                for entry in before
            ]
            await tag_rows.change(before, after)
            if has_key:
                await tag_rows.begin_outcomes(write, [entry.customer for entry in after])
        leased = {entry.customer for entry in after}
        rows = [
            Replacement(row.customer, list(dict.fromkeys(row.tags)))
            for row in wanted.values()
            if row.customer in leased
        ]
        return LeasedIntent(
            provider=provider, token=token, rows=tuple(rows), until=until, deadline=deadline
        )

    async def _withdraw(self, claim: LeasedIntent) -> None:
        """Undo an intent that was committed after the deadline: its caller got an error."""
        outcomes = dict.fromkeys((row.customer for row in claim.rows), Settlement.NOT_APPLIED)
        await self._settle(claim, outcomes, None)

    async def settle(
        self,
        claim: LeasedIntent,
        settlements: Mapping[str, Settlement],
        answered_at: datetime | None = None,
    ) -> frozenset[str]:
        """Store the outcomes of all or some customers of a claim.

        Confirmed writes are appended to the change log in the same transaction; they occurred at
        `answered_at`, the time of the provider's reply.

        Returns the customers whose write another process has taken over: their outcome is
        UNKNOWN. Continues if the caller is cancelled. If the database fails, it is repeated in
        the background until the lease ends; then the writes are taken over.
        """
        if not settlements.keys() <= {row.customer for row in claim.rows}:
            raise ValueError("A customer is not of this claim.")
        superseded = await self._settling.attempt(
            lambda: self._settle(claim, settlements, answered_at),
            claim.deadline,
            claim.deadline + LEASE.total_seconds(),
        )
        # If it is not stored yet, nothing was taken over: the lease has not ended.
        return superseded or frozenset()

    async def _settle(
        self,
        claim: LeasedIntent,
        settlements: Mapping[str, Settlement],
        answered_at: datetime | None,
    ) -> frozenset[str]:
        now = self._clock()
        sent = {row.customer: row.tags for row in claim.rows}
        async with self._database.writing() as connection:
            tag_rows = TagRows(self._database, connection, claim.provider, now)
            before = await tag_rows.locked(sorted(settlements))
            after = []
            for entry in before:
                settlement = settlements[entry.customer]
                if entry.claim != claim.token:
                    after.append(_late(entry, settlement, sent[entry.customer], now))
                elif settlement is Settlement.CONFIRMED:
                    after.append(_settled(entry, confirmed(entry.tag_states), now))
                elif settlement is Settlement.UNKNOWN or claim.is_repeat:
                    after.append(_unconfirmed(entry, entry.tag_states, now))
                elif entry.attempts:
                    after.append(
                        _unconfirmed(entry, reverted(entry.tag_states, is_known=False), now)
                    )
                else:
                    states = reverted(entry.tag_states, is_known=True)
                    after.append(_settled(entry, states, entry.confirmed_at))
            await tag_rows.change(before, after)
            await tag_rows.settle_outcomes(
                [
                    (entry.write, entry.customer, outcome.value)
                    for entry in before
                    if entry.claim == claim.token
                    for outcome in [_outcome(claim, settlements[entry.customer])]
                    if outcome is not None
                ]
            )
            if Settlement.CONFIRMED in settlements.values():
                confirmed_entries = {
                    entry.customer: entry
                    for entry in before
                    if entry.claim == claim.token
                    and settlements[entry.customer] is Settlement.CONFIRMED
                }
                observed = observations(
                    claim.provider, claim.rows, confirmed_entries, answered_at or now
                )
                await self._changes.append(connection, observed)
        mine = {entry.customer for entry in before if entry.claim == claim.token}
        return frozenset(settlements) - mine

    async def overdue(
        self, providers: Sequence[str], deadline: float, limit: int = 100
    ) -> Sequence[LeasedIntent]:
        """Lease open writes that are due, to be sent again: at most one claim for each provider.

        A claim has the `limit` customers that have been due longest. No two callers in any
        process get the same one. `deadline` is as in `begin`.
        """
        claims = [
            await self._database.finish(self._overdue(provider, deadline, limit))
            for provider in providers
        ]
        return [claim for claim in claims if claim.rows]

    async def _overdue(self, provider: str, deadline: float, limit: int) -> LeasedIntent:
        now = self._clock()
        token, until = self._new_claim(), leased_until(now, deadline)
        async with self._database.writing() as connection:
            tag_rows = TagRows(self._database, connection, provider, now)
            before = await tag_rows.due(limit)
            after = [
                entry._replace(claim=token, due_at=until, attempts=entry.attempts + 1)
                for entry in before
            ]
            await tag_rows.change(before, after)
        rows = [Replacement(entry.customer, in_order(entry.tag_states)) for entry in after]
        return LeasedIntent(
            provider=provider,
            token=token,
            rows=tuple(rows),
            until=until,
            deadline=deadline,
            is_repeat=True,
        )


def _settled(
    entry: CustomerEntry, states: TagStates, confirmed_at: datetime | None
) -> CustomerEntry:
    return entry._replace(
        state=AssignmentState.CONFIRMED,
        claim=None,
        due_at=None,
        attempts=0,
        confirmed_at=confirmed_at,
        tag_states=states,
    )


def _unconfirmed(entry: CustomerEntry, states: TagStates, now: datetime) -> CustomerEntry:
    """Leave the write open, to be repeated at once, then after growing pauses."""
    pause = timedelta()
    if entry.attempts:
        pause = min(FIRST_PAUSE * 2 ** min(entry.attempts - 1, 10), MAX_PAUSE)
    return entry._replace(
        state=AssignmentState.UNCONFIRMED, claim=None, due_at=now + pause, tag_states=states
    )


def _late(
    entry: CustomerEntry, settlement: Settlement, sent: Sequence[Tag], now: datetime
) -> CustomerEntry:
    """Return the entry after the late outcome of a write that another one replaced.

    Which of the two calls reached the provider first is unknown. So the other write is repeated,
    even if it was confirmed; if it is still leased, when its lease ends.
    """
    if settlement is Settlement.NOT_APPLIED:
        return entry
    states = possibly_applied(entry.tag_states, sent)
    if entry.claim is not None and entry.due_at is not None and entry.due_at > now:
        return entry._replace(state=AssignmentState.UNCONFIRMED, claim=REVOKED, tag_states=states)
    return _unconfirmed(entry._replace(attempts=max(entry.attempts, 1)), states, now)


def _outcome(claim: LeasedIntent, settlement: Settlement) -> Settlement | None:
    """Return the outcome for the idempotency key of a write; None: not known yet.

    If a repeat was not applied, the outcome of the first attempt is still unknown.
    """
    if settlement is Settlement.NOT_APPLIED and claim.is_repeat:
        return Settlement.UNKNOWN
    return None if settlement is Settlement.UNKNOWN else settlement
