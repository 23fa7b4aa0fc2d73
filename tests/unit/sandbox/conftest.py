"""A clock the tests turn by hand, and servers that run by it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.types import ASGIApp

from gateway.sandbox import stuut, voucherify
from gateway.sandbox.people import people


@dataclass
class Clock:
    """A clock that returns the time it was set to."""

    time: datetime

    def __call__(self) -> datetime:
        """Return the time."""
        return self.time

    def forward(self, **by: float) -> None:
        """Turn it forward, by the parts of a timedelta."""
        self.time += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    """Return a clock set to 10:00 UTC on 22 November 2026."""
    return Clock(datetime(2026, 11, 22, 10, 0, 0, 123_456, tzinfo=UTC))


@pytest.fixture
def voucherify_app(clock: Clock) -> ASGIApp:
    """Return Voucherify's server; it has 240 of 300 people."""
    return voucherify.build(tuple(people(300)), clock)


@pytest.fixture(name="voucherify")
async def voucherify_client(voucherify_app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of that server with the key pair."""
    pair = voucherify.CREDENTIALS
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=voucherify_app),
        base_url="http://voucherify",
        headers={"X-App-Id": pair["app_id"], "X-App-Token": pair["app_token"]},
    ) as client:
        yield client


@pytest.fixture(name="stuut")
async def stuut_client(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of Stuut's server of 300 people, with the token."""
    app = stuut.build(tuple(people(300)), clock)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://stuut",
        headers={"Authorization": f"Bearer {stuut.CREDENTIALS['token']}"},
    ) as client:
        yield client
