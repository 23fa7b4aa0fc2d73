"""The gateway over providers and a record of the test's own: both can outlive it."""

import contextlib
from collections.abc import AsyncIterator

import httpx

from gateway.asgi import build
from gateway.settings.tables import Settings, StoreSettings
from tests.e2e.serving import Front, Providers, settings_with

SIGN_IN = '{ provider(key: "emporix") { segments(first: 1) { pageInfo { hasNextPage } } } }'


@contextlib.asynccontextmanager
async def serving(
    providers: Providers, url: str, settings: Settings | None = None
) -> AsyncIterator[Front]:
    """Serve the gateway over these providers, with the store at this URL; calls count anew."""
    store = StoreSettings(url=url)
    app = build((settings or settings_with()).model_copy(update={"store": store}), providers)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        front = Front(client, providers)
        await front.data(SIGN_IN)
        front.forget()
        yield front
