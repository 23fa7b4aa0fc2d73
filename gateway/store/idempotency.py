"""Idempotency keys: what a key was first answered is answered again, for a day."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import Executable, delete, select, update

from gateway.store.database import Database
from gateway.store.errors import FirstAttemptRunning, IdempotencyKeyReused, OutcomeUnknown
from gateway.store.tables import KEYS
from gateway.store.waiting import attempts

KEPT: Final = timedelta(hours=24)
LEASE: Final = timedelta(seconds=60)
"""How much longer than its deadline the first request of a key is believed to be running."""
SWEPT: Final = 1_000
"""Expired keys that one transaction forgets."""


class _StoredResult(NamedTuple):
    digest: str
    claimed_until: datetime
    answer: bytes | None


class IdempotencyKeys:
    """What was answered under which key."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Keep them in this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock

    async def once(
        self, key: str, digest: str, run: Callable[[], Awaitable[bytes]], deadline: float
    ) -> bytes:
        """Run and keep the answer, or return the one that is kept under this key.

        `digest` stands for the input; another one under the same key raises
        `IdempotencyKeyReused`. `run` is to end by the deadline (event loop's clock). While it runs
        others wait, until their own deadline (`FirstAttemptRunning`). When it raises, the key is
        free again; when it is cancelled or its process dies, or the answer cannot be kept, the key
        answers `OutcomeUnknown` for the day, for what it did is not known.
        """
        # Keys are of any length and content, those of the table are not.
        key = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        async for _ in attempts(deadline):
            found = await self._database.finish(self._find(key), deadline)
            if found is None:
                claim = await self._database.finish(self._claim(key, digest, deadline), deadline)
                if claim is None:
                    continue
                return await self._run(key, claim, run)
            if found.digest != digest:
                raise IdempotencyKeyReused
            if found.answer is not None:
                return found.answer
            if found.claimed_until <= self._clock():
                raise OutcomeUnknown
        raise FirstAttemptRunning

    async def sweep(self) -> int:
        """Forget expired keys; return how many."""
        return await self._database.finish(self._sweep())

    async def _sweep(self) -> int:
        count = 0
        while True:
            async with self._database.writing() as connection:
                expired = (
                    select(KEYS.c.key)
                    .where(KEYS.c.expires_at <= self._clock())
                    .limit(SWEPT)
                    .with_for_update(skip_locked=True)
                )
                keys = (await connection.execute(expired)).scalars().all()
                if keys:
                    await connection.execute(delete(KEYS).where(KEYS.c.key.in_(keys)))
            count += len(keys)
            if len(keys) < SWEPT:
                return count

    async def _find(self, key: str) -> _StoredResult | None:
        statement = select(*(KEYS.c[name] for name in _StoredResult._fields)).where(
            KEYS.c.key == key, KEYS.c.expires_at > self._clock()
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(statement)).one_or_none()
        return _StoredResult(*found) if found else None

    async def _claim(self, key: str, digest: str, deadline: float) -> str | None:
        """Take the key; None when somebody else was faster."""
        now, claim = self._clock(), uuid.uuid4().hex
        left = timedelta(seconds=max(deadline - asyncio.get_running_loop().time(), 0))
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
                    claimed_until=now + left + LEASE,
                    expires_at=now + KEPT,
                )
                .on_conflict_do_nothing()
                .returning(KEYS.c.key)
            )
            return claim if taken.one_or_none() else None

    async def _run(self, key: str, claim: str, run: Callable[[], Awaitable[bytes]]) -> bytes:
        mine = (KEYS.c.key == key, KEYS.c.claim == claim)
        try:
            answer = await run()
        except Exception:
            await self._database.finish(self._execute(delete(KEYS).where(*mine)))
            raise
        keep = update(KEYS).where(*mine).values(answer=answer)
        await self._database.finish(self._execute(keep))
        return answer

    async def _execute(self, statement: Executable) -> None:
        async with self._database.writing() as connection:
            await connection.execute(statement)
