"""End the leases of processes that are gone, so that their writes can be repeated at once.

A claim starts with the id of its process. A frozen process still holds its lock. One that lost
its connection and was taken for gone settles late, which its claim shows.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import ColumnElement, and_, func, select, update

from gateway.store.database import Database
from gateway.store.errors import StoreFailed
from gateway.store.presence import Look, Presence
from gateway.store.tables import CUSTOMERS, KEYS

EVERY_S: Final = 1.0
"""Seconds between two looks."""
ID_LENGTH: Final = 8

log = structlog.get_logger(__name__)


class Owners:
    """Watches the processes that have the store open."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], presence: Presence
    ) -> None:
        """Watch other processes' locks with `presence`; `clock` is the wall clock, in UTC."""
        self._database = database
        self._clock = clock
        self._presence = presence
        self._seen: set[str] = set()
        self._missing: dict[str, float] = {}
        """When each lock was first missing, on the loop's clock."""
        self._has_scanned = False
        self._freed = asyncio.Event()
        self.processes = 1
        """How many had the store open when they were last seen, this one included."""

    def new_claim(self) -> str:
        """Return a unique claim that starts with the id of this process."""
        owner = self._presence.owner
        return f"{owner}-{uuid.uuid4().hex}" if owner else uuid.uuid4().hex

    async def freed(self, longest_s: float) -> None:
        """Wait until leases were ended, at most `longest_s` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._freed.wait(), longest_s)
        self._freed.clear()

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreFailed:
                # Others may have lost the database as well, and were not seen meanwhile.
                self._missing.clear()
                self._has_scanned = False
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """End the leases of processes whose locks have been missing for long enough."""
        look = await self._database.read(self._presence.look())
        self.note(look)
        if not self._has_scanned:
            self._seen |= await self._database.read(self._owners_of_claims())
            self._has_scanned = True
        self._seen |= look.alive | look.gone
        now = asyncio.get_running_loop().time()
        self._missing = {owner: self._missing.get(owner, now) for owner in self._seen - look.alive}
        for owner, since in list(self._missing.items()):
            if now - since >= self._presence.grace_s:
                await self._end(owner)

    def note(self, look: Look) -> None:
        """Count the processes of a look."""
        self.processes = look.processes

    async def _end(self, owner: str) -> None:
        count = await self._database.finish(self._end_leases(owner))
        self._presence.forget(owner)
        self._seen.discard(owner)
        self._missing.pop(owner, None)
        if count:
            log.info("leases of a process that is gone were ended", count=count)
            self._freed.set()

    async def _owners_of_claims(self) -> set[str]:
        now = self._clock()
        owners: set[str] = set()
        async with self._database.reading() as connection:
            for claim, is_held in (
                (CUSTOMERS.c.claim, _is_leased(now)),
                (KEYS.c.claim, _is_running(now)),
            ):
                owner = func.substr(claim, 1, ID_LENGTH)
                # Claims of older versions have no owner: they have no `-` at this position.
                owned = func.substr(claim, ID_LENGTH + 1, 1) == "-"
                rows = await connection.execute(select(owner).where(is_held, owned).distinct())
                owners.update(rows.scalars())
        return owners

    async def _end_leases(self, owner: str) -> int:
        now = self._clock()
        count = 0
        async with self._database.writing() as connection:
            for statement in (
                update(CUSTOMERS)
                .where(_is_leased(now), _is_of(CUSTOMERS.c.claim, owner))
                .values(due_at=now),
                update(KEYS)
                .where(_is_running(now), _is_of(KEYS.c.claim, owner))
                .values(claimed_until=now),
            ):
                count += (await connection.execute(statement)).rowcount
        return count


def _is_leased(now: datetime) -> ColumnElement[bool]:
    return and_(CUSTOMERS.c.claim.is_not(None), CUSTOMERS.c.due_at > now)


def _is_running(now: datetime) -> ColumnElement[bool]:
    # A key without a plan never gets a result: its run is over once and for all.
    return and_(KEYS.c.answer.is_(None), KEYS.c.claimed_until > now)


def _is_of(claim: ColumnElement[str | None], owner: str) -> ColumnElement[bool]:
    return func.substr(claim, 1, ID_LENGTH + 1) == f"{owner}-"
