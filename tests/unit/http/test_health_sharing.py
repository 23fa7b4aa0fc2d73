"""What a process shows of providers while the store fails."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.http import health_sharing
from gateway.http.health_sharing import HealthSharing
from gateway.store.errors import StoreFailed
from gateway.upstream.health import Health, HealthReport

OPEN = HealthReport(
    circuit="OPEN",
    is_refusing=True,
    calls=[(100.0, 5.0, False)],
    succeeded_at=None,
    failed_at=100.0,
    last_error="Broken",
)


class Reports:
    """The reports of one other process, in a store that fails on request."""

    def __init__(self) -> None:
        """Fail nothing."""
        self.is_failing = False
        self.reads = 0

    async def publish(self, _process: str, _report: bytes, _deadline: float) -> None:
        """Take the report, or fail."""
        if self.is_failing:
            raise StoreFailed

    async def others(self, _process: str, _deadline: float) -> Sequence[bytes]:
        """Return what the other process reports, or fail."""
        self.reads += 1
        if self.is_failing:
            raise StoreFailed
        return [msgspec.json.encode({"shop": OPEN})]

    async def withdraw(self, _process: str, _deadline: float) -> None:
        """Have nothing to withdraw."""


async def test_reports_hold_for_a_while_when_the_store_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store that is busy for a moment changes no circuit; one that is gone leaves own calls."""
    monkeypatch.setattr(health_sharing, "EVERY_S", 0)
    reports = Reports()
    store: Any = SimpleNamespace(owners=SimpleNamespace(processes=2), provider_health=reports)
    health = Health()
    shop: Any = SimpleNamespace(
        upstream=SimpleNamespace(health=health),
        own_report=health.report("CLOSED", is_refusing=False),
        elsewhere=(),
    )
    sharing = HealthSharing(store, {"shop": shop}, lambda: None)

    async def look(times: int) -> None:
        until = reports.reads + times
        while reports.reads < until:  # noqa: ASYNC110  # each read is a turn of the loop
            await asyncio.sleep(0)

    sharing.start()
    async with asyncio.timeout(10):
        await look(2)
        assert shop.elsewhere == [OPEN]
        reports.is_failing = True
        await look(3)
        assert shop.elsewhere == [OPEN]
        monkeypatch.setattr(health_sharing, "VALID_S", -1)
        await look(2)
        assert shop.elsewhere == ()
        reports.is_failing = False
        await look(2)
        assert shop.elsewhere == [OPEN]
    await sharing.close()
