"""A gateway that takes webhooks of two providers, over either database."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from gateway.settings.tables import Settings
from tests.e2e.serving import Front, Providers, settings_with
from tests.e2e.webhooks.sending import NEW, OLD
from tests.e2e.writes.serving import serving
from tests.unit.store.conftest import postgres_url, sqlite_url, url

__all__ = ["postgres_url", "sqlite_url", "url"]


@pytest.fixture
def settings() -> Settings:
    """Return settings with both secrets at the providers that send webhooks."""
    settings = settings_with()
    secrets = {"webhook_secret": SecretStr(NEW), "webhook_secret_old": SecretStr(OLD)}
    accounts = tuple(
        each.model_copy(update=secrets if each.kind in {"voucherify", "emporix"} else {})
        for each in settings.providers
    )
    return settings.model_copy(update={"providers": accounts})


@pytest.fixture
def providers() -> Providers:
    """Return providers that no other test writes to."""
    return Providers()


@pytest.fixture
async def front(providers: Providers, url: str, settings: Settings) -> AsyncIterator[Front]:
    """Return the front door of the gateway."""
    async with serving(providers, url, settings) as front:
        yield front
