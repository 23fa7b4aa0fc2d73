"""Share the health of providers with the other processes of the store.

Each process reports what its own calls showed, and joins it with what the others report. Without
other processes, or when the store has been gone for a while, a provider is judged by the calls of
this process alone.
"""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from gateway.context import Provider
from gateway.store.errors import StoreFailed
from gateway.store.shared_health import VALID_S
from gateway.store.store import Store
from gateway.upstream.health import HealthReport

EVERY_S: Final = 0.4
"""Seconds between two looks: a change is seen elsewhere after two of them, within a second."""
REPEAT_S: Final = 5.0
"""Seconds after which a report is renewed, if neither a status nor a circuit has changed."""
DEADLINE_S: Final = 1.0

log = structlog.get_logger(__name__)

_DECODER: Final = msgspec.json.Decoder(dict[str, HealthReport])


class HealthSharing:
    """Reports the health that one process sees, and reads what others report."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], look: Callable[[], None]
    ) -> None:
        """Share the health of these providers, which may change; `look` follows each reading."""
        self._store = store
        self._providers = providers
        self._look = look
        self._process = secrets.token_hex(8)
        self._states: object = None
        self._reported_at = self._read_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Share from now on, in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Withdraw the report of this process."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._states is not None:
            with contextlib.suppress(StoreFailed):
                await self._store.provider_health.withdraw(self._process, _deadline())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                if self._store.owners.processes > 1:
                    await self._report()
                    await self._read()
                else:
                    self._join({})
            except StoreFailed:  # the store reports it; what was read may still hold
                if asyncio.get_running_loop().time() - self._read_at > VALID_S:
                    self._join({})
            except Exception:  # a bug must not end what shows other failures
                log.exception("health cannot be shared")
                self._join({})

    async def _report(self) -> None:
        """Report at once what has changed, and the newest calls now and then."""
        now = asyncio.get_running_loop().time()
        reports = {key: each.own_report for key, each in self._providers.items()}
        states = {
            key: (each.upstream.health.status, reports[key].circuit, reports[key].is_refusing)
            for key, each in self._providers.items()
        }
        if states != self._states or now - self._reported_at >= REPEAT_S:
            body = msgspec.json.encode(reports)
            await self._store.provider_health.publish(self._process, body, _deadline())
            self._states, self._reported_at = states, now

    async def _read(self) -> None:
        reports: dict[str, list[HealthReport]] = defaultdict(list)
        for body in await self._store.provider_health.others(self._process, _deadline()):
            with contextlib.suppress(msgspec.MsgspecError):  # of another version
                for key, report in _DECODER.decode(body).items():
                    reports[key].append(report)
        self._read_at = asyncio.get_running_loop().time()
        self._join(reports)

    def _join(self, reports: Mapping[str, list[HealthReport]]) -> None:
        for key, provider in self._providers.items():
            provider.elsewhere = reports.get(key, ())
        self._look()


def _deadline() -> float:
    return asyncio.get_running_loop().time() + DEADLINE_S
