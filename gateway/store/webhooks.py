"""Received webhooks: each is stored once, and has its effect on the change log once."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update

from gateway.domain.change_log import ChangeSource, Observation
from gateway.providers.base.webhooks import WebhookEvent
from gateway.store.change_log import SWEPT, ChangeLog
from gateway.store.change_rows import PROVIDER
from gateway.store.database import Database
from gateway.store.tables import CHANGES, WEBHOOK_STATUS, WEBHOOKS

KEEP: Final = timedelta(days=30)
"""How long a webhook is kept, and so how long a repeat of it is recognised."""
BATCH: Final = 100
"""Webhooks that one transaction applies."""
REFUSALS_APART: Final = timedelta(seconds=1)
"""Of refusals within this time only the first is counted."""
FAILING_FROM: Final = 3
"""A provider whose newest webhooks were refused this often is failing."""
QUIET_AFTER: Final = timedelta(seconds=60)
"""How long a webhook may lag behind a comparison that reported the same change."""

_DAY: Final = timedelta(days=1)


class StoredWebhook(NamedTuple):
    """A webhook that was accepted."""

    provider: str
    dedupe_key: str
    type: str
    occurred_at: datetime | None
    received_at: datetime
    body: bytes


class WebhookStatus(NamedTuple):
    """What is known of the webhooks of one provider."""

    received_at: datetime | None
    """When one was accepted last, repeats included."""
    rejected_at: datetime | None
    rejection: str | None
    refusals: int
    """Since one was accepted."""
    received_last_24h: int
    """Without repeats."""
    has_missed: bool
    """A comparison found a change that no webhook reported in time, and none came since."""


Interpreter = Callable[[StoredWebhook], Sequence[Observation]]
"""Returns what a webhook reports."""

_COLUMNS: Final = [WEBHOOKS.c[name] for name in StoredWebhook._fields]


class WebhookInbox:
    """The webhooks of one database, for any number of processes."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], changes: ChangeLog
    ) -> None:
        """Keep them in this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock
        self._changes = changes

    async def accept(
        self, provider: str, event: WebhookEvent, body: bytes, deadline: float | None = None
    ) -> bool:
        """Store a webhook; return False for a repeat. It is committed when this returns."""
        now = self._clock()
        # The publish time of some webhooks is not signed: a time to come would outdate later ones.
        occurred_at = None if event.occurred_at is None else min(event.occurred_at, now)
        row = {
            "provider": provider,
            "dedupe_key": event.dedupe_key,
            "type": event.type,
            "occurred_at": occurred_at,
            "received_at": now,
            "body": body,
            "needs_confirmation": event.needs_confirmation,
        }

        async def work() -> bool:
            async with self._database.writing() as connection:
                stored = await connection.execute(
                    self._database.insert(WEBHOOKS)
                    .values(row)
                    .on_conflict_do_nothing()
                    .returning(WEBHOOKS.c.dedupe_key)
                )
                is_new = stored.first() is not None
                status = {"received_at": now, "refusals": 0}
                await connection.execute(self._upserted(provider, status))
                return is_new

        return await self._database.finish(work(), deadline)

    async def refuse(self, provider: str, reason: str, deadline: float | None = None) -> None:
        """Note that a webhook of a provider was refused, and why: a sentence of ours."""
        now = self._clock()
        columns = WEBHOOK_STATUS.c
        first = or_(columns.rejected_at.is_(None), columns.rejected_at <= now - REFUSALS_APART)
        noted = {"rejected_at": now, "rejection": reason}

        async def work() -> None:
            async with self._database.writing() as connection:
                await connection.execute(
                    self._upserted(
                        provider,
                        {**noted, "refusals": 1},
                        {**noted, "refusals": columns.refusals + 1},
                        first,
                    )
                )

        await self._database.finish(work(), deadline)

    def _upserted(
        self,
        provider: str,
        values: dict[str, Any],
        changed: dict[str, Any] | None = None,
        condition: ColumnElement[bool] | None = None,
    ) -> Any:
        return (
            self._database.insert(WEBHOOK_STATUS)
            .values(provider=provider, **values)
            .on_conflict_do_update(
                index_elements=["provider"], set_=changed or values, where=condition
            )
        )

    async def apply(self, providers: Collection[str], interpret: Interpreter) -> int:
        """Apply the oldest webhooks that need no confirmation; return how many.

        What they report is appended by the transaction that marks them as applied.
        """

        async def work() -> int:
            async with self._database.writing() as connection:
                # Locked in order: two processes apply one after the other, the second the rest.
                rows = await connection.execute(
                    _pending(providers, confirms=False).with_for_update()
                )
                webhooks = [StoredWebhook(*row) for row in rows]
                for webhook in webhooks:
                    await connection.execute(self._applied(webhook))
                observations = [each for webhook in webhooks for each in interpret(webhook)]
                if observations:
                    await self._changes.append(connection, observations)
                return len(webhooks)

        return await self._database.finish(work())

    async def unconfirmed(self, providers: Collection[str]) -> Sequence[StoredWebhook]:
        """Return the oldest webhooks that wait for their confirmation."""

        async def look() -> Sequence[StoredWebhook]:
            async with self._database.reading() as connection:
                rows = await connection.execute(_pending(providers, confirms=True))
                return [StoredWebhook(*row) for row in rows]

        return await self._database.read(look())

    async def settle(
        self, webhook: StoredWebhook, observations: Sequence[Observation], read_since: int
    ) -> None:
        """Apply one webhook with what was confirmed of it, unless another process did.

        `read_since` is the log's revision before the read that confirmed it. If its objects were
        reported since, the webhook waits for another confirmation.
        """

        async def work() -> None:
            async with self._database.writing() as connection:
                settled = await connection.execute(self._applied(webhook))
                if settled.rowcount != 1 or not observations:
                    return
                appended = await self._changes.append(
                    connection, observations, read_since=read_since
                )
                if appended.outdated:
                    await connection.execute(_update(webhook).values(applied_at=None))

        await self._database.finish(work())

    def _applied(self, webhook: StoredWebhook) -> Any:
        is_pending = WEBHOOKS.c.applied_at.is_(None)
        return _update(webhook).where(is_pending).values(applied_at=self._clock())

    async def status(self, provider: str, deadline: float | None = None) -> WebhookStatus:
        """Return what is known of the webhooks of a provider."""
        now = self._clock()

        async def look() -> WebhookStatus:
            async with self._database.reading() as connection:
                of = WEBHOOK_STATUS.c
                row = await connection.execute(
                    select(of.received_at, of.rejected_at, of.rejection, of.refusals).where(
                        of.provider == provider
                    )
                )
                received_at, rejected_at, rejection, refusals = row.one_or_none() or (
                    *(None, None, None),
                    0,
                )
                count = await connection.scalar(
                    select(func.count())
                    .select_from(WEBHOOKS)
                    .where(WEBHOOKS.c.provider == provider, WEBHOOKS.c.received_at > now - _DAY)
                )
                missed = [
                    CHANGES.c.provider == provider,
                    CHANGES.c.source == ChangeSource.DIFF.value,
                    CHANGES.c.subject != PROVIDER,
                    CHANGES.c.recorded_at <= now - QUIET_AFTER,
                ]
                if received_at is not None:
                    missed.append(CHANGES.c.recorded_at > received_at)
                has_missed = await connection.scalar(select(exists().where(and_(*missed))))
            return WebhookStatus(
                received_at, rejected_at, rejection, refusals, count or 0, bool(has_missed)
            )

        return await self._database.read(look(), deadline)

    async def sweep(self) -> int:
        """Delete webhooks that were kept long enough; return how many."""
        oldest = self._clock() - KEEP
        columns = WEBHOOKS.c

        async def work() -> int:
            async with self._database.writing() as connection:
                end = await connection.scalar(
                    select(columns.received_at)
                    .where(columns.received_at < oldest)
                    .order_by(columns.received_at)
                    .offset(SWEPT - 1)
                    .limit(1)
                )
                before = (
                    columns.received_at < oldest if end is None else columns.received_at <= end
                )
                swept = await connection.execute(delete(WEBHOOKS).where(before))
                return int(swept.rowcount)

        return await self._database.finish(work())


def _pending(providers: Collection[str], *, confirms: bool) -> Any:
    columns = WEBHOOKS.c
    return (
        select(*_COLUMNS)
        .where(
            columns.applied_at.is_(None),
            columns.needs_confirmation.is_(confirms),
            columns.provider.in_(providers),
        )
        .order_by(columns.received_at, columns.provider, columns.dedupe_key)
        .limit(BATCH)
    )


def _update(webhook: StoredWebhook) -> Any:
    columns = WEBHOOKS.c
    return update(WEBHOOKS).where(
        columns.provider == webhook.provider, columns.dedupe_key == webhook.dedupe_key
    )
