"""Idempotency keys: the first result of a key is stored, and returned again for a day."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Executable, and_, delete, or_, select, update

from gateway.domain.mutations import RECEIPT_LIFETIME
from gateway.store.database import Database
from gateway.store.errors import FirstAttemptRunning, IdempotencyKeyReused, OutcomeUnknown
from gateway.store.leases import LEASE, MAX_LEASE, leased_until
from gateway.store.settling import Settling
from gateway.store.tables import CUSTOMERS, KEYS, OUTCOMES
from gateway.store.waiting import attempts

SWEPT: Final = 1_000
"""The most keys that one transaction deletes."""


class _StoredResult(NamedTuple):
    digest: str
    claimed_until: datetime
    answer: bytes | None
    plan: bytes | None


class InterruptedRun(NamedTuple):
    """A run that ended without a result, and whose writes are all settled."""

    claim: str
    plan: bytes
    outcomes: Mapping[str, str | None]
    """The `Settlement` of each customer whose write was started; None: it is unknown."""


class IdempotencyKeys:
    """The stored results by key."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], settling: Settling
    ) -> None:
        """Use this database; `clock` is the wall clock, in UTC."""
        self._database = database
        self._clock = clock
        self._settling = settling

    async def once(
        self,
        key: str,
        digest: str,
        run: Callable[[], Awaitable[bytes]],
        deadline: float,
        claim: str,
    ) -> bytes:
        """Run and store the result, or return the result that is stored under this key.

        `digest` is of the input; another input with the same key raises `IdempotencyKeyReused`.
        `claim` identifies this run. `run` should end by the deadline (event loop's clock).
        Meanwhile other requests with the key wait until their own deadlines, then raise
        `FirstAttemptRunning`. If `run` raises, the key is free again. If it is cancelled or its
        process dies, the key raises `OutcomeUnknown` for a day, unless it has a plan: then others
        wait until recovery settles it.
        """
        # Callers' keys have any length and content, those of the table do not.
        key = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        is_interrupted = False
        async for _ in attempts(deadline):
            stored = await self._database.finish(self._stored(key), deadline)
            if stored is None:
                claiming = self._claim(key, digest, claim, deadline)
                if not await self._database.finish(
                    claiming, deadline, undo=lambda _: self._free(claim)
                ):
                    continue
                return await self._run(key, claim, run, deadline)
            if stored.digest != digest:
                raise IdempotencyKeyReused
            if stored.answer is not None:
                return stored.answer
            is_interrupted = not self._is_running(stored.claimed_until)
            if is_interrupted and stored.plan is None:
                raise OutcomeUnknown
        raise FirstAttemptRunning(is_interrupted=is_interrupted)

    async def plan(self, claim: str, plan: bytes, deadline: float) -> None:
        """Store what a run will send, so that recovery can settle its key.

        The write intents of a run with a plan have the run's claim as their `write`.
        """
        statement = update(KEYS).where(KEYS.c.claim == claim).values(plan=plan)
        await self._database.finish(self._execute(statement), deadline)

    async def interrupted(self) -> Sequence[InterruptedRun]:
        """Return interrupted runs whose writes are all settled."""
        return await self._database.read(self._interrupted())

    async def _interrupted(self) -> Sequence[InterruptedRun]:
        now = self._clock()
        is_over = or_(KEYS.c.claimed_until <= now, KEYS.c.claimed_until > now + MAX_LEASE)
        statement = (
            select(KEYS.c.claim, KEYS.c.plan)
            .where(KEYS.c.answer.is_(None), KEYS.c.plan.is_not(None), is_over)
            .limit(SWEPT)
        )
        async with self._database.reading() as connection:
            runs = (await connection.execute(statement)).all()
            settled = []
            for claim, plan in runs:
                rows = (await connection.execute(_outcomes_of(claim))).all()
                if not any(row.is_open and row.outcome is None for row in rows):
                    outcomes = {row.customer: row.outcome for row in rows}
                    settled.append(InterruptedRun(claim, plan, outcomes))
        return settled

    async def conclude(self, claim: str, answer: bytes | None) -> None:
        """Store the result of an interrupted run; None frees its key, as nothing was done."""
        await self._database.finish(self._conclude(claim, answer))

    async def _conclude(self, claim: str, answer: bytes | None) -> None:
        mine = and_(KEYS.c.claim == claim, KEYS.c.answer.is_(None))
        async with self._database.writing() as connection:
            if answer is None:
                await connection.execute(delete(KEYS).where(mine))
            else:
                await connection.execute(update(KEYS).where(mine).values(answer=answer, plan=None))
            await connection.execute(delete(OUTCOMES).where(OUTCOMES.c.write == claim))

    async def sweep(self) -> int:
        """Delete expired keys; return how many."""
        return await self._database.finish(self._sweep())

    async def _sweep(self) -> int:
        count = 0
        while True:
            async with self._database.writing() as connection:
                expired = (
                    select(KEYS.c.key, KEYS.c.claim)
                    .where(KEYS.c.expires_at <= self._clock())
                    .limit(SWEPT)
                    .with_for_update(skip_locked=True)
                )
                rows = (await connection.execute(expired)).all()
                if rows:
                    keys, claims = zip(*rows, strict=True)
                    await connection.execute(delete(KEYS).where(KEYS.c.key.in_(keys)))
                    await connection.execute(delete(OUTCOMES).where(OUTCOMES.c.write.in_(claims)))
            count += len(rows)
            if len(rows) < SWEPT:
                return count

    async def _stored(self, key: str) -> _StoredResult | None:
        statement = select(*(KEYS.c[name] for name in _StoredResult._fields)).where(
            KEYS.c.key == key, KEYS.c.expires_at > self._clock()
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return _StoredResult(*row) if row else None

    async def _claim(self, key: str, digest: str, claim: str, deadline: float) -> bool:
        """Claim the key; return False if another request has it."""
        now = self._clock()
        async with self._database.writing() as connection:
            await connection.execute(
                delete(KEYS).where(KEYS.c.key == key, KEYS.c.expires_at <= now)
            )
            inserted = await connection.execute(
                self._database.insert(KEYS)
                .values(
                    key=key,
                    digest=digest,
                    claim=claim,
                    claimed_until=leased_until(now, deadline),
                    expires_at=now + RECEIPT_LIFETIME,
                )
                .on_conflict_do_nothing()
                .returning(KEYS.c.key)
            )
            return inserted.one_or_none() is not None

    async def _free(self, claim: str) -> None:
        """Free a key that was claimed after the deadline: its caller got an error already."""
        await self._execute(delete(KEYS).where(KEYS.c.claim == claim))

    def _is_running(self, claimed_until: datetime) -> bool:
        now = self._clock()
        return now < claimed_until <= now + MAX_LEASE

    async def _run(
        self, key: str, claim: str, run: Callable[[], Awaitable[bytes]], deadline: float
    ) -> bytes:
        mine = and_(KEYS.c.key == key, KEYS.c.claim == claim)
        try:
            answer = await run()
        except Exception:  # whatever it was: the key is free for another try
            await self._settle(claim, delete(KEYS).where(mine), deadline)
            raise
        store = update(KEYS).where(mine, KEYS.c.answer.is_(None)).values(answer=answer, plan=None)
        await self._settle(claim, store, deadline)
        return answer

    async def _settle(self, claim: str, statement: Executable, deadline: float) -> None:
        outcomes = delete(OUTCOMES).where(OUTCOMES.c.write == claim)
        until = deadline + LEASE.total_seconds()
        await self._settling.attempt(lambda: self._execute(statement, outcomes), deadline, until)

    async def _execute(self, *statements: Executable) -> None:
        async with self._database.writing() as connection:
            for statement in statements:
                await connection.execute(statement)


def _outcomes_of(claim: str) -> Executable:
    """Select the outcomes of a run's writes; `is_open`: the write is not settled yet."""
    is_open: ColumnElement[bool] = and_(
        CUSTOMERS.c.provider == OUTCOMES.c.provider,
        CUSTOMERS.c.customer == OUTCOMES.c.customer,
        CUSTOMERS.c.write == OUTCOMES.c.write,
        CUSTOMERS.c.due_at.is_not(None),
    )
    return (
        select(
            OUTCOMES.c.customer,
            OUTCOMES.c.outcome,
            CUSTOMERS.c.customer.is_not(None).label("is_open"),
        )
        .select_from(OUTCOMES.outerjoin(CUSTOMERS, is_open))
        .where(OUTCOMES.c.write == claim)
    )
