"""Idempotency keys: what a key was first answered is answered again, for a day."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Executable, and_, delete, or_, select, update

from gateway.domain.mutations import RECEIPT_LIFETIME
from gateway.store.database import Database
from gateway.store.errors import FirstAttemptRunning, IdempotencyKeyReused, OutcomeUnknown
from gateway.store.leases import LEASE, LONGEST_LEASE, leased_until
from gateway.store.settling import Settling
from gateway.store.tables import CUSTOMERS, KEYS, OUTCOMES
from gateway.store.waiting import attempts

SWEPT: Final = 1_000
"""Expired keys that one transaction forgets."""


class _StoredResult(NamedTuple):
    digest: str
    claimed_until: datetime
    answer: bytes | None
    plan: bytes | None


class BrokenRun(NamedTuple):
    """A run that ended without an answer, all of whose writes are settled by now."""

    claim: str
    plan: bytes
    outcomes: Mapping[str, str | None]
    """By customer, of those whose write was begun: the `Settlement`; None: it is not known."""


class IdempotencyKeys:
    """What was answered under which key."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], settling: Settling
    ) -> None:
        """Keep them in this database; the clock is the wall's, in UTC."""
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
        """Run and keep the answer, or return the one that is kept under this key.

        `digest` stands for the input; another one under the same key raises
        `IdempotencyKeyReused`. `claim` names this run, and no other. `run` is to end by the
        deadline (event loop's clock). While it runs others wait, until their own deadline
        (`FirstAttemptRunning`). When it raises, the key is free again; when it is cancelled or its
        process dies, the key answers `OutcomeUnknown` for the day, for what it did is not known;
        unless it has a plan: then others wait until recovery settles it.
        """
        # Keys are of any length and content, those of the table are not.
        key = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        is_interrupted = False
        async for _ in attempts(deadline):
            kept = await self._database.finish(self._find(key), deadline)
            if kept is None:
                claimed = self._claim(key, digest, claim, deadline)
                if not await self._database.finish(
                    claimed, deadline, undo=lambda _: self._free(claim)
                ):
                    continue
                return await self._run(key, claim, run, deadline)
            if kept.digest != digest:
                raise IdempotencyKeyReused
            if kept.answer is not None:
                return kept.answer
            is_interrupted = not self._is_running(kept.claimed_until)
            if is_interrupted and kept.plan is None:
                raise OutcomeUnknown
        raise FirstAttemptRunning(is_interrupted=is_interrupted)

    async def plan(self, claim: str, plan: bytes, deadline: float) -> None:
        """Keep what a run is about to send, so that its key can be settled without it.

        The writes of a run with a plan are begun under its claim.
        """
        statement = update(KEYS).where(KEYS.c.claim == claim).values(plan=plan)
        await self._database.finish(self._execute(statement), deadline)

    async def broken(self) -> Sequence[BrokenRun]:
        """Return runs that broke off and whose writes are all settled."""
        return await self._database.read(self._broken())

    async def _broken(self) -> Sequence[BrokenRun]:
        now = self._clock()
        is_over = or_(KEYS.c.claimed_until <= now, KEYS.c.claimed_until > now + LONGEST_LEASE)
        statement = (
            select(KEYS.c.claim, KEYS.c.plan)
            .where(KEYS.c.answer.is_(None), KEYS.c.plan.is_not(None), is_over)
            .limit(SWEPT)
        )
        async with self._database.reading() as connection:
            runs = (await connection.execute(statement)).all()
            found = []
            for claim, plan in runs:
                rows = (await connection.execute(_outcomes_of(claim))).all()
                if not any(row.is_open and row.outcome is None for row in rows):
                    outcomes = {row.customer: row.outcome for row in rows}
                    found.append(BrokenRun(claim, plan, outcomes))
        return found

    async def conclude(self, claim: str, answer: bytes | None) -> None:
        """Give the key of a broken run its answer; None: free it, for it has done nothing."""
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
        """Forget expired keys; return how many."""
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

    async def _find(self, key: str) -> _StoredResult | None:
        statement = select(*(KEYS.c[name] for name in _StoredResult._fields)).where(
            KEYS.c.key == key, KEYS.c.expires_at > self._clock()
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(statement)).one_or_none()
        return _StoredResult(*found) if found else None

    async def _claim(self, key: str, digest: str, claim: str, deadline: float) -> bool:
        """Take the key; False when somebody else was faster."""
        now = self._clock()
        async with self._database.writing() as connection:
            await connection.execute(
                delete(KEYS).where(KEYS.c.key == key, KEYS.c.expires_at <= now)
            )
            taken = await connection.execute(
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
            return taken.one_or_none() is not None

    async def _free(self, claim: str) -> None:
        """Take back a key that was claimed too late: its caller was told that nothing is sent."""
        await self._execute(delete(KEYS).where(KEYS.c.claim == claim))

    def _is_running(self, claimed_until: datetime) -> bool:
        now = self._clock()
        return now < claimed_until <= now + LONGEST_LEASE

    async def _run(
        self, key: str, claim: str, run: Callable[[], Awaitable[bytes]], deadline: float
    ) -> bytes:
        mine = and_(KEYS.c.key == key, KEYS.c.claim == claim)
        try:
            answer = await run()
        except Exception:
            await self._settle(claim, delete(KEYS).where(mine), deadline)
            raise
        keep = update(KEYS).where(mine, KEYS.c.answer.is_(None)).values(answer=answer, plan=None)
        await self._settle(claim, keep, deadline)
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
    """Select what the writes of a run came to; `is_open`: one of them still stands open."""
    stands: ColumnElement[bool] = and_(
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
        .select_from(OUTCOMES.outerjoin(CUSTOMERS, stands))
        .where(OUTCOMES.c.write == claim)
    )
