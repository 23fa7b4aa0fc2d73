"""What the tests of the core share: each transport in turn, and a place for a configuration."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.unit.upstream.misbehaving import SOON_S
from tests.unit.upstream.transports import TRANSPORTS


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Open a transport, and close it whatever a test did to it."""
    opened = request.param(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    yield opened
    async with asyncio.timeout(SOON_S):
        await opened.aclose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a test writes its configuration."""
    return tmp_path / "gateway.toml"
