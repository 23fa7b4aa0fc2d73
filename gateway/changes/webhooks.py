"""Apply stored webhooks to the change log: oldest first, each once."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import structlog

from gateway.auth.permissions import unrestricted_caller
from gateway.domain.change_log import (
    AssignmentObservation,
    Observation,
    ProviderObservation,
    SegmentObservation,
)
from gateway.errors import GatewayError
from gateway.providers.base.adapter import ReadsAssignments, ReadsSegments
from gateway.providers.base.exchange import Exchange, ReadPlan
from gateway.providers.base.webhooks import ReceivesWebhooks
from gateway.request_scope import Scope
from gateway.store.errors import StoreFailed
from gateway.store.store import Store
from gateway.store.webhooks import BATCH, FAILING_FROM, StoredWebhook
from gateway.upstream.provider import Provider

POLL_S: Final = 1.0
"""The longest between two looks: other processes, and ones that ended, store webhooks too."""
RETRY_S: Final = 5.0
"""The least between two attempts to confirm webhooks of providers that could not be read."""
START_S: Final = 5.0
"""How long a start waits for confirmations."""
READ_S: Final = 10.0
"""How long one confirmation may take."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class WebhookReport(NamedTuple):
    """How the webhooks of one provider arrive."""

    state: str
    """A value of the schema's `WebhookState`."""
    last_received_at: datetime | None = None
    last_rejected_at: datetime | None = None
    last_rejection: str | None = None
    received_last_24h: int = 0


async def webhook_report(store: Store, provider: Provider, deadline: float) -> WebhookReport:
    """Return how a provider's webhooks arrive. Raises `StoreFailed`."""
    if not _receives(provider):
        return WebhookReport("UNCONFIGURED")
    status = await store.webhooks.status(provider.key, deadline)
    state = "QUIET" if status.has_missed else "HEALTHY"
    if status.refusals >= FAILING_FROM:
        state = "FAILING"
    return WebhookReport(
        state,
        status.received_at,
        status.rejected_at,
        status.rejection,
        status.received_last_24h,
    )


class WebhookWorker:
    """Gives every stored webhook its effect, in any number of processes exactly once."""

    def __init__(self, store: Store, providers: Mapping[str, Provider]) -> None:
        """Apply the webhooks of these providers, by key."""
        self._store = store
        self._providers = {
            key: provider for key, provider in providers.items() if _receives(provider)
        }
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._retry_at = 0.0

    async def start(self) -> None:
        """Apply what is stored, then go on in the background. Raises `StoreFailed`."""
        if not self._providers:
            return
        await self._apply()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._confirm()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop applying."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Apply now what was stored."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._apply()
                await self._confirm()
            except StoreFailed as error:
                log.warning("webhooks could not be applied", cause=error.cause)
                await asyncio.sleep(POLL_S)
            except Exception:  # a bug, which must not leave later webhooks without effect
                log.exception("webhooks could not be applied")
                await asyncio.sleep(POLL_S)

    async def _apply(self) -> None:
        while await self._store.webhooks.apply(self._providers, self._observations) == BATCH:
            pass

    def _observations(self, webhook: StoredWebhook) -> Sequence[Observation]:
        adapter = self._providers[webhook.provider].adapter
        try:
            observations: Sequence[Observation] = adapter.webhook_observations(
                webhook.type, webhook.occurred_at, webhook.body
            )
        except Exception:  # stored by another version, or a bug of one adapter: others go on
            log.exception("a stored webhook cannot be read", provider=webhook.provider)
            return ()
        return observations

    async def _confirm(self) -> None:
        """Read live what webhooks without a version report; those that cannot be read wait."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._retry_at:
            return
        for webhook in await self._store.webhooks.unconfirmed(self._providers):
            scope = Scope(
                uuid.uuid4().hex,
                loop.time() + READ_S,
                unrestricted_caller("gateway"),
                is_background=True,
            )
            provider = self._providers[webhook.provider]
            read_since = await self._store.changes.revision()
            try:
                confirmed = [
                    each
                    for each in self._observations(webhook)
                    if await _is_gone(provider, each, scope)
                ]
            except StoreFailed:
                raise
            except GatewayError as error:
                log.info("a webhook waits", provider=webhook.provider, error=str(error))
                self._retry_at = loop.time() + RETRY_S
                continue
            await self._store.webhooks.settle(webhook, confirmed, read_since)


def _receives(provider: Provider) -> bool:
    return provider.offers(ReceivesWebhooks) and provider.adapter.has_webhook_secret


async def _is_gone(provider: Provider, seen: Observation, scope: Scope) -> bool:
    """Return whether what an observation reports as gone is not at the provider any more."""
    if isinstance(seen, AssignmentObservation):
        assignments = provider.require(ReadsAssignments, "ASSIGNMENT_READ")
        ref = seen.ref
        plan = assignments.assignment(ref.segment, ref.customer, ref.legal_entity)
        return await _sent(provider, plan, scope) is None
    if isinstance(seen, SegmentObservation):
        (batch,) = provider.require(ReadsSegments, "SEGMENT_READ").segments_by_key([seen.ref.key])
        return seen.ref.key not in await _sent(provider, batch.exchange, scope)
    return isinstance(seen, ProviderObservation)


async def _sent(provider: Provider, plan: ReadPlan[T], scope: Scope) -> T:
    """Read past the cache, which may hold what was there before."""
    if isinstance(plan, Exchange):
        return await provider.send(plan, scope)
    return await provider.read(plan, scope)
