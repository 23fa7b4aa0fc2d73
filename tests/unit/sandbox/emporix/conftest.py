"""A fresh Emporix per test, which goes by the clock of all sandbox tests, and its callers."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import emporix
from gateway.sandbox.people import people

CAST = tuple(people(300))


@pytest.fixture
def app(clock: Callable[[], datetime]) -> Starlette:
    """Return a fresh server over 300 people."""
    return emporix.build(CAST, clock)


@pytest.fixture
async def anonymous(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a caller without a token."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://emporix") as client:
        yield client


@pytest.fixture
async def service(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a service with every scope of its client."""
    form = {
        "grant_type": "client_credentials",
        "client_id": emporix.CREDENTIALS["client_id"],
        "client_secret": emporix.CREDENTIALS["client_secret"],
    }
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://emporix") as client:
        answer = (await client.post("/oauth/token", data=form)).json()
        client.headers["Authorization"] = f"Bearer {answer['access_token']}"
        yield client


@pytest.fixture
async def shopper(app: Starlette) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Yield a function that returns a client of a signed-in customer, by number."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://emporix") as client:

        def sign_in(number: str) -> httpx.AsyncClient:
            client.headers["Authorization"] = f"Bearer {emporix.customer_token(app, number)}"
            return client

        yield sign_in
