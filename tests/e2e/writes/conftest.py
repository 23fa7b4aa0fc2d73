"""The gateway over an embedded sandbox that the test may change."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.serving import Front, Providers
from tests.e2e.writes.serving import serving


@pytest.fixture
def url(store_url: str) -> str:
    """Return where this test's store is."""
    return store_url


@pytest.fixture
def providers() -> Providers:
    """Return providers that no other test writes to."""
    return Providers()


@pytest.fixture
async def front(providers: Providers, url: str) -> AsyncIterator[Front]:
    """Return the front door of a gateway that is signed in; calls count from here."""
    async with serving(providers, url) as front:
        yield front
