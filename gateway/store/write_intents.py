"""What providers that cannot be read were told: intents, committed before a call, settled after.

A customer has at most one open write. Whoever has claimed it may send it until its lease ends;
then anybody may take it over, and if the first settles after all, what it did is not known to be
before or after: the customer becomes UNCONFIRMED and the newest write is repeated.
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
from gateway.store.marks import TagStates, begun, confirmed, disturbed, in_order, undone
from gateway.store.settling import Settling
from gateway.store.tag_observations import observations
from gateway.store.tag_rows import CustomerEntry, TagRows
from gateway.store.turns import Turn, Turns
from gateway.store.waiting import FIRST_PAUSE_S, LONGEST_PAUSE_S

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=15)
"""A write of unknown outcome is due at once, then after one minute, two, four, … to this."""
REVOKED: Final = ""
"""The claim in the place of one that cannot tell the outcome any more, until its lease ends."""
MOST_ROWS: Final = 10_000
"""Of one transaction."""


class Settlement(Enum):
    """What is known of a call for one customer."""

    CONFIRMED = "CONFIRMED"
    """The provider says that it did it."""
    NOT_APPLIED = "NOT_APPLIED"
    """The provider says that it did not, or the call was certainly not sent."""
    UNKNOWN = "UNKNOWN"


class LeasedIntent(msgspec.Struct, frozen=True, kw_only=True):
    """The right to send the open writes of some customers, and nobody else's meanwhile."""

    provider: str
    token: str
    rows: tuple[Replacement, ...]
    """In the order given (of recovery: by customer), tags in the order of whoever wrote them."""
    until: datetime
    """When the lease ends: nothing may be sent after."""
    deadline: float
    """The caller's, on the event loop's clock."""
    is_repeat: bool
    """An earlier attempt is of unknown outcome."""

    def __repr__(self) -> str:
        """Show provider and size: the rows name people."""
        return f"Claim({self.provider!r}, {len(self.rows)} customers)"


class Begun(NamedTuple):
    """What of a write may be sent now, and what is to be begun afterwards."""

    claim: LeasedIntent
    left: tuple[Replacement, ...]
    """Rows whose customers are being written by somebody else, in the order given."""


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
        """Keep them in this database; the clock is the wall's, in UTC."""
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
        """Record what customers are to have, before it is sent; `write` names it.

        `has_key`: it is the claim of an idempotency key's run that has a plan. `turn`: the
        caller's places in the queues of these customers, from `queued`.

        Waits only while all of these customers are being written by others. `deadline`, on the
        event loop's clock, is the caller's for the whole write: the lease outlasts it. A customer
        occurs once at most, duplicate tags count once. Raises `StoreBusy`, `Unrecordable`.
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
        """Stand in the queues of these customers: this process's writes take turns in order."""
        return self._turns.queued([(provider, row.customer) for row in rows])

    async def _turns_of(
        self, turn: Turn, provider: str, wanted: Mapping[str, Replacement], deadline: float
    ) -> AsyncIterator[Mapping[str, Replacement]]:
        """Yield the rows whose turn it is, whenever they may be free, until the deadline."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            mine = {
                customer: row
                for customer, row in wanted.items()
                if turn.is_first((provider, customer))
            }
            if mine or not wanted:
                yield dict(itertools.islice(mine.items(), MOST_ROWS))
            left_s = deadline - loop.time()
            if left_s <= 0:
                return
            # Another process may have it: then it is looked for again after growing pauses.
            has_changed = await turn.changed(min(pause, left_s) if mine else left_s)
            pause = FIRST_PAUSE_S if has_changed else min(pause * 1.5, LONGEST_PAUSE_S)

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
            ledger = TagRows(self._database, connection, provider, now)
            await ledger.enter(sorted(wanted), write)
            before = await ledger.free(sorted(wanted))
            after = [
                entry._replace(
                    state=AssignmentState.PENDING,
                    write=write,
                    claim=token,
                    due_at=until,
                    attempts=entry.attempts + entry.is_open,
                    marks=begun(
                        entry.marks,
                        wanted[entry.customer].tags,
                        is_open=entry.is_open,
                    ),
                )
                for entry in before
            ]
            await ledger.change(before, after)
            if has_key:
                await ledger.begin_outcomes(write, [entry.customer for entry in after])
        begun_for = {entry.customer for entry in after}
        rows = [
            Replacement(row.customer, list(dict.fromkeys(row.tags)))
            for row in wanted.values()
            if row.customer in begun_for
        ]
        return _claim(provider, token, until, deadline, rows)

    async def _withdraw(self, claim: LeasedIntent) -> None:
        """Take back what was begun too late: its caller was told that nothing is sent."""
        outcomes = dict.fromkeys((row.customer for row in claim.rows), Settlement.NOT_APPLIED)
        await self._settle(claim, outcomes, None)

    async def settle(
        self,
        claim: LeasedIntent,
        settlements: Mapping[str, Settlement],
        answered_at: datetime | None = None,
    ) -> frozenset[str]:
        """Record what came of a claim, for all of its customers or for some.

        What was confirmed is appended to the change log in the same transaction; it occurred when
        the provider's answer came, `answered_at`.

        Returns those whose write somebody else has taken over: their outcome is UNKNOWN. Goes on
        when its caller is cancelled, and, where the database fails, after it has returned, until
        the lease ends; then the writes are taken over.
        """
        if not settlements.keys() <= {row.customer for row in claim.rows}:
            raise ValueError("A customer is not of this claim.")
        superseded = await self._settling.attempt(
            lambda: self._settle(claim, settlements, answered_at),
            claim.deadline,
            claim.deadline + LEASE.total_seconds(),
        )
        # Nobody takes over what is not settled yet: the lease goes on.
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
            ledger = TagRows(self._database, connection, claim.provider, now)
            before = await ledger.locked(sorted(settlements))
            after = []
            for entry in before:
                settlement = settlements[entry.customer]
                if entry.claim != claim.token:
                    after.append(_late(entry, settlement, sent[entry.customer], now))
                elif settlement is Settlement.CONFIRMED:
                    after.append(_settled(entry, confirmed(entry.marks), now))
                elif settlement is Settlement.UNKNOWN or claim.is_repeat:
                    after.append(_unconfirmed(entry, entry.marks, now))
                elif entry.attempts:
                    after.append(_unconfirmed(entry, undone(entry.marks, is_known=False), now))
                else:
                    marks = undone(entry.marks, is_known=True)
                    after.append(_settled(entry, marks, entry.confirmed_at))
            await ledger.change(before, after)
            await ledger.settle_outcomes(
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
                seen = observations(
                    claim.provider, claim.rows, confirmed_entries, answered_at or now
                )
                await self._changes.append(connection, seen)
        mine = {entry.customer for entry in before if entry.claim == claim.token}
        return frozenset(settlements) - mine

    async def overdue(
        self, providers: Sequence[str], deadline: float, limit: int = 100
    ) -> Sequence[LeasedIntent]:
        """Claim open writes that nobody is at, to be sent again: a claim a provider at most.

        Those longest due come first, `limit` customers of a provider. No two callers anywhere get
        the same one. `deadline` as in `begin`.
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
            ledger = TagRows(self._database, connection, provider, now)
            before = await ledger.due(limit)
            after = [
                entry._replace(claim=token, due_at=until, attempts=entry.attempts + 1)
                for entry in before
            ]
            await ledger.change(before, after)
        rows = [Replacement(entry.customer, in_order(entry.marks)) for entry in after]
        return _claim(provider, token, until, deadline, rows, is_repeat=True)


def _settled(
    entry: CustomerEntry, marks: TagStates, confirmed_at: datetime | None
) -> CustomerEntry:
    return entry._replace(
        state=AssignmentState.CONFIRMED,
        claim=None,
        due_at=None,
        attempts=0,
        confirmed_at=confirmed_at,
        marks=marks,
    )


def _unconfirmed(entry: CustomerEntry, marks: TagStates, now: datetime) -> CustomerEntry:
    """Leave the write open, to be repeated: at once, then after growing pauses."""
    pause = timedelta()
    if entry.attempts:
        pause = min(FIRST_PAUSE * 2 ** min(entry.attempts - 1, 10), LONGEST_PAUSE)
    return entry._replace(
        state=AssignmentState.UNCONFIRMED, claim=None, due_at=now + pause, marks=marks
    )


def _late(
    entry: CustomerEntry, settlement: Settlement, sent: Sequence[Tag], now: datetime
) -> CustomerEntry:
    """Take in the outcome of a write whose place another one took while it was on its way.

    Whether it reached the provider before or after the other is unknown. So what the other wants,
    or wanted and got, is repeated; where the other is still at it, when its lease ends.
    """
    if settlement is Settlement.NOT_APPLIED:
        return entry
    marks = disturbed(entry.marks, sent)
    if entry.claim is not None and entry.due_at is not None and entry.due_at > now:
        return entry._replace(state=AssignmentState.UNCONFIRMED, claim=REVOKED, marks=marks)
    return _unconfirmed(entry._replace(attempts=max(entry.attempts, 1)), marks, now)


def _outcome(claim: LeasedIntent, settlement: Settlement) -> Settlement | None:
    """Return what the idempotency key of a write is told; None: nothing yet.

    A repeat that was not sent, or that the provider did not do, says nothing of the first attempt.
    """
    if settlement is Settlement.NOT_APPLIED and claim.is_repeat:
        return Settlement.UNKNOWN
    return None if settlement is Settlement.UNKNOWN else settlement


def _claim(  # noqa: PLR0913  # parts of one value
    provider: str,
    token: str,
    until: datetime,
    deadline: float,
    rows: Sequence[Replacement],
    *,
    is_repeat: bool = False,
) -> LeasedIntent:
    return LeasedIntent(
        provider=provider,
        token=token,
        rows=tuple(rows),
        until=until,
        deadline=deadline,
        is_repeat=is_repeat,
    )
