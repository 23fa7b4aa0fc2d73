"""The store as a whole: opened and closed with the server, inside the running loop."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from gateway.domain.mutations import Tag
from gateway.providers.base.store_lookup import Lookup
from gateway.store.accounts import Account, bind
from gateway.store.backlog import Backlog
from gateway.store.change_log import SWEPT, ChangeLog
from gateway.store.database import CONNECT_TIMEOUT_S, Database, ObserveTransaction
from gateway.store.database_url import DatabaseUrl
from gateway.store.errors import StoreState
from gateway.store.health import StoreHealth
from gateway.store.idempotency import IdempotencyKeys
from gateway.store.identity import IdentityStore
from gateway.store.leadership import FileLeadership, Leadership, SessionLeadership
from gateway.store.migrate import migrate
from gateway.store.notifications import Notifications
from gateway.store.owners import Owners
from gateway.store.ownership import Hold, take_over
from gateway.store.presence import FilePresence, Presence, SessionPresence
from gateway.store.queries import StoreQueries
from gateway.store.settling import Settling
from gateway.store.shared_budgets import SharedBudgets
from gateway.store.shared_calls import SharedCalls
from gateway.store.shared_health import SharedHealth
from gateway.store.sizes import SegmentSizes
from gateway.store.snapshots import Snapshots
from gateway.store.webhooks import WebhookInbox
from gateway.store.write_intents import WriteIntents


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


class Store:
    """The gateway's durable state, which any number of processes may share."""

    def __init__(  # noqa: PLR0913  # the parts of one store
        self,
        database: Database,
        clock: Callable[[], datetime],
        presence: Presence,
        leadership: Leadership,
        *,
        hold: Hold | None = None,
        folder: Path | None = None,
    ) -> None:
        """Use `open` instead. `folder` is temporary, and removed by `close`."""
        self._database = database
        self._hold = hold
        self._folder = folder
        self._lookups = StoreQueries(database)
        self._settling = Settling(database)
        self.now = clock
        self.idempotency_keys = IdempotencyKeys(database, clock, self._settling)
        self.owners = Owners(database, clock, presence)
        self.changes = ChangeLog(database, clock, self._settling)
        self.webhooks = WebhookInbox(database, clock, self.changes)
        self.sizes = SegmentSizes(database, clock)
        self.snapshots = Snapshots(database, clock, self.changes, self.sizes)
        self.shared_calls = SharedCalls(database, clock)
        self.budgets = SharedBudgets(database)
        self.provider_health = SharedHealth(database)
        self.leadership = leadership
        self.identity = IdentityStore(database, clock)
        new_claim = self.owners.new_claim
        self.write_intents = WriteIntents(database, clock, self._settling, self.changes, new_claim)
        self.backlog = Backlog(database, clock)
        self.notifications = Notifications(database)
        self._health = StoreHealth(database)
        self._presence = presence
        self._watching = [
            asyncio.create_task(self._health.watch()),
            asyncio.create_task(self.owners.watch()),
        ]

    @classmethod
    async def open(
        cls,
        location: DatabaseUrl,
        clock: Callable[[], datetime] = now,
        *,
        accounts: Sequence[Account] = (),
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> Self:
        """Open the store for these accounts; create or upgrade its database where needed.

        The only process that has an SQLite file open takes over the open writes of earlier ones.
        The clocks of processes that share a store must agree to within a few seconds. Raises
        `SettingsError` for an unusable location and for keys that are bound to other accounts,
        and `StoreFailed` for an unreachable database within `connect_timeout_s`; an upgrade may
        take longer.
        """
        database = Database(location, connect_timeout_s)
        hold: Hold | None = None
        presence: Presence | None = None
        try:
            await migrate(database, location, connect_timeout_s)
            await bind(database, accounts, clock())
            if database.file is not None:
                database.file.remember()
            if location.path is not None:
                hold = await Hold.take(location.path)
                if hold.is_alone:
                    await take_over(database, clock())
                    await hold.share()
                presence = FilePresence.take(location.path)
            else:
                presence = SessionPresence(database)
            # Before anything is claimed, so that others see that the owner is alive.
            look = await database.read(
                presence.look(), deadline=asyncio.get_running_loop().time() + connect_timeout_s
            )
        except BaseException:
            if presence is not None:
                await presence.close()
            if hold is not None:
                hold.close()
            await database.close()
            raise
        folder = location.path.parent if location.is_ours and location.path else None
        leadership: Leadership = (
            SessionLeadership(database) if location.path is None else FileLeadership(location.path)
        )
        store = cls(database, clock, presence, leadership, hold=hold, folder=folder)
        store.owners.note(look)
        return store

    async def close(self) -> None:
        """Finish unfinished work, and close all connections."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._health.close()
        await self.sizes.close()
        await self._settling.close()
        await self.leadership.release()
        await self._presence.close()
        await self._database.close()
        if self._hold is not None:
            self._hold.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def observe(self, observe: ObserveTransaction) -> None:
        """Call `observe` with each transaction that has ended."""
        self._database.observe = observe

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections to the database are in use, and how many are idle."""
        return self._database.connections

    async def bind(self, accounts: Sequence[Account]) -> None:
        """Bind the keys of other accounts. Raises `SettingsError`, `StoreFailed`; see `open`."""
        await bind(self._database, accounts, now())

    async def state(self) -> StoreState:
        """Return the state of the database at its last check; see `StoreHealth`."""
        return await self._health.state()

    async def look_up(self, provider: str, lookup: Lookup, deadline: float | None = None) -> Any:
        """Answer a lookup; see `StoreQueries.look_up`."""
        return await self._lookups.look_up(provider, lookup, deadline)

    async def newest_tags(
        self, provider: str, customer: str, deadline: float | None = None
    ) -> Sequence[Tag]:
        """Return the tags of a customer's newest write; see `StoreQueries.newest_tags`."""
        return await self._lookups.newest_tags(provider, customer, deadline)

    async def once(
        self,
        key: str,
        digest: str,
        run: Callable[[], Awaitable[bytes]],
        deadline: float,
        claim: str | None = None,
    ) -> bytes:
        """Run once for a key; see `IdempotencyKeys.once`. `claim` defaults to a new one."""
        return await self.idempotency_keys.once(
            key, digest, run, deadline, claim or self.new_claim()
        )

    def new_claim(self) -> str:
        """Return a unique claim; see `Owners.new_claim`."""
        return self.owners.new_claim()

    async def sweep(self) -> int:
        """Delete expired changes, webhooks, budgets and idempotency keys; return how many keys."""
        for sweep in (self.changes.sweep, self.webhooks.sweep):
            while await sweep() == SWEPT:
                pass
        await self.budgets.sweep()
        return await self.idempotency_keys.sweep()
