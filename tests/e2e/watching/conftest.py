"""A store of either kind, and a comparer over a scripted tenant."""

from collections.abc import AsyncIterator

import pytest
from starlette.types import ASGIApp

from gateway.asgi import connect
from gateway.changes.comparing import SegmentComparer
from gateway.changes.share import SharedProvider
from gateway.store.store import Store
from tests.e2e.serving import Providers, settings_with
from tests.e2e.watching.emporix import Tenant
from tests.unit.store.conftest import clock, place, postgres_url, record, sqlite_url, url

__all__ = ["clock", "place", "postgres_url", "record", "sqlite_url", "url"]


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant without segments."""
    return Tenant()


class ProvidersWith(Providers):
    """The sandbox, with a tenant in the place of its own of Emporix."""

    def __init__(self, tenant: Tenant) -> None:
        """Serve this tenant."""
        super().__init__()
        self._tenant = tenant

    def real(self, kind: str) -> ASGIApp:
        """Return the server of a provider."""
        return self._tenant if kind == "emporix" else super().real(kind)


@pytest.fixture
def providers(tenant: Tenant) -> Providers:
    """Return providers of which Emporix is the tenant."""
    return ProvidersWith(tenant)


@pytest.fixture
async def comparer(record: Store, providers: Providers) -> AsyncIterator[SegmentComparer]:
    """Return a comparer with any number of calls."""
    connected = await connect(settings_with(calls_per_minute=1_000_000), providers, record)
    (emporix,) = (each for each in connected if each.key == "emporix")
    yield SegmentComparer(record, SharedProvider(emporix, record.shared_calls))
    for each in connected:
        await each.close()
