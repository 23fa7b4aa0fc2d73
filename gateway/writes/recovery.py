"""Finish interrupted writes: at start, every minute, and when a process is gone."""

import asyncio
import uuid
from collections.abc import Mapping

import msgspec
import structlog

from gateway.auth.permissions import unrestricted_caller
from gateway.errors import GatewayError
from gateway.loaders.request_loaders import RequestLoaders
from gateway.observability import audit
from gateway.providers.base.write_protocols import ReplacesTags
from gateway.request_scope import Scope
from gateway.store.errors import StoreFailed
from gateway.store.store import Store
from gateway.store.write_intents import LeasedIntent
from gateway.upstream.provider import Provider
from gateway.writes.dispatch import WriteDispatcher
from gateway.writes.receipts import UNKNOWN, ReplacementRow, ReplacementsReceipt
from gateway.writes.replace_segments import conclusion, execute

EVERY_S = 60.0
"""Seconds between two rounds."""

ROUND_S = 30.0
"""The time limit of one round's calls, in seconds."""

GATEWAY = unrestricted_caller("gateway")
"""The caller in the audit log."""

log = structlog.get_logger(__name__)


async def recover(providers: Mapping[str, Provider], store: Store) -> int:
    """Repeat and settle every open write without a lease; return the number of customers.

    Replacing is idempotent, so it may be repeated. No two processes repeat the same write.
    """
    providers = dict(providers)  # a reload may change them meanwhile
    keys = [key for key, provider in providers.items() if provider.offers(ReplacesTags)]
    count = 0
    while True:
        deadline = asyncio.get_running_loop().time() + ROUND_S
        scope = Scope(uuid.uuid4().hex, deadline, GATEWAY)
        claims = await store.write_intents.overdue(keys, scope.deadline)
        if not claims:
            await settle_keys(store)
            return count
        dispatcher = WriteDispatcher(
            providers, RequestLoaders(providers, scope), scope, store.changes
        )
        for claim in claims:
            provider = providers[claim.provider]
            adapter = provider.require(ReplacesTags, "ASSIGNMENT_REPLACE")
            with audit.write(scope, "recovery", targets(claim)) as line:
                outcomes = await execute(dispatcher, provider, adapter, store, claim)
                rows = (
                    ReplacementRow(index=index, customer=customer, outcome=each.outcome)
                    for index, (customer, each) in enumerate(outcomes.items())
                )
                line.note(ReplacementsReceipt(rows=tuple(rows)), is_repeated=False)
            count += len(claim.rows)


async def settle_keys(store: Store) -> None:
    """Store the real results of interrupted runs whose writes are all settled."""
    for run in await store.idempotency_keys.interrupted():
        try:
            result = conclusion(run.plan, run.outcomes)
        except msgspec.MsgspecError:  # of another version: it must not stop the others
            result = UNKNOWN
        await store.idempotency_keys.conclude(run.claim, result)


def targets(claim: LeasedIntent) -> audit.Targets:
    """Return the targets of a claim, for the audit log."""
    return audit.Targets(
        providers={claim.provider: None},
        segments={f"{tag.type}:{tag.value}": None for row in claim.rows for tag in row.tags},
        customers={row.customer: None for row in claim.rows},
    )


async def keep_recovering(providers: Mapping[str, Provider], store: Store) -> None:
    """Recover at once, then every minute and when a process is gone, until cancelled."""
    while True:
        try:
            count = await recover(providers, store)
            await store.sweep()
            if count:
                log.info("open writes were repeated", customers=count)
        except GatewayError as error:
            cause = error.cause if isinstance(error, StoreFailed) else None
            log.warning("open writes could not be repeated", error=str(error), cause=cause)
        except Exception:  # a bug must not leave later writes open for ever
            log.exception("open writes could not be repeated")
        await store.owners.freed(EVERY_S)
