"""Finish what a crash or an outage left open in the record: at start, and every minute."""

import asyncio
import uuid
from collections.abc import Mapping

import structlog

from gateway.errors import GatewayError
from gateway.loaders import Loaders
from gateway.provider import Provider
from gateway.scope import Scope
from gateway.store.record import Record
from gateway.writes.desk import Desk
from gateway.writes.replacing import carried_out
from gateway.writing import ReplacesTags

EVERY_S = 60.0
"""Seconds between two looks at the record."""

LONGEST_S = 30.0
"""Seconds that one claim may take."""

log = structlog.get_logger(__name__)


async def recover(providers: Mapping[str, Provider], record: Record) -> int:
    """Repeat every open write that nobody is at, and settle it; return how many customers.

    Replacing is idempotent, so it is repeated. No two processes repeat the same one.
    """
    keys = [key for key, provider in providers.items() if provider.offers(ReplacesTags)]
    count = 0
    while True:
        scope = Scope(uuid.uuid4().hex, asyncio.get_running_loop().time() + LONGEST_S)
        claims = await record.tags.overdue(keys, scope.deadline)
        if not claims:
            return count
        desk = Desk(providers, Loaders(providers, scope), scope)
        for claim in claims:
            provider = providers[claim.provider]
            adapter = provider.wanted(ReplacesTags, "ASSIGNMENT_REPLACE")
            await carried_out(desk, provider, adapter, record, claim)
            count += len(claim.rows)


async def keep_recovering(providers: Mapping[str, Provider], record: Record) -> None:
    """Look at the record at once and then every minute, until cancelled."""
    while True:
        try:
            count = await recover(providers, record)
            await record.sweep()
            if count:
                log.info("open writes were repeated", customers=count)
        except GatewayError as error:
            log.warning("open writes could not be repeated", error=str(error))
        except Exception:  # a bug, which must not leave later writes open for ever
            log.exception("open writes could not be repeated")
        await asyncio.sleep(EVERY_S)
