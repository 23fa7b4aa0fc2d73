"""Probe providers whose circuit is open while no request does.

Without this a provider that works again would be shown as down until somebody reads from it.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from gateway.errors import GatewayError
from gateway.request_scope import Scope
from gateway.upstream.provider import Provider
from gateway.upstream.resilience.circuit_breaker import Circuit

GRACE_S: Final = 1.0
"""How long a probe that is due is left to a request, whose own call says most."""

DEADLINE_S: Final = 60.0
"""How long a probe may take, if the account's `timeout_s` is not shorter."""

log = structlog.get_logger(__name__)


async def keep_probing(providers: Mapping[str, Provider]) -> None:
    """Probe until cancelled; the providers may change meanwhile.

    A probe is the read of `Provider.check`, at most one per `probe_interval_s`, within the
    provider's rate limit. A provider without such a read is probed by requests alone.
    """
    probed: set[Provider] = set()

    async def probe(provider: Provider) -> None:
        try:
            await _probe(provider, providers)
        finally:
            probed.discard(provider)

    async with asyncio.TaskGroup() as tasks:
        while True:
            await asyncio.sleep(GRACE_S)
            for each in providers.values():
                if each not in probed and _is_open(each):
                    probed.add(each)
                    tasks.create_task(probe(each))


async def _probe(provider: Provider, providers: Mapping[str, Provider]) -> None:
    """Probe one provider until its circuit is closed. The log has each kind of failure once."""
    now = asyncio.get_running_loop().time
    outage = Scope(uuid.uuid4().hex, 0, is_background=True)
    while _is_open(provider) and providers.get(provider.key) is provider:
        await asyncio.sleep((_wait_s(provider) or 0) + GRACE_S)
        if not _is_open(provider) or _wait_s(provider) is not None:
            continue  # a request has called it meanwhile
        scope = msgspec.structs.replace(
            outage, deadline=now() + DEADLINE_S, calls=[], calls_by_provider={}
        )
        try:
            if provider.check is None:
                return
            await provider.send(provider.check, scope)
        except GatewayError:
            continue
        except Exception:  # a bug must not end the probing of other providers
            log.exception("probe failed", provider=provider.key)
            return


def _is_open(provider: Provider) -> bool:
    return provider.upstream.guard.breaker.circuit is not Circuit.CLOSED


def _wait_s(provider: Provider) -> float | None:
    return provider.upstream.guard.wait_s(asyncio.get_running_loop().time())
