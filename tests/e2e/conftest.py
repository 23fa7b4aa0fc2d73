"""The gateway over the embedded sandbox."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.serving import Front, serving


@pytest.fixture(autouse=True, scope="session")
def made_once() -> Iterator[None]:
    """Make once for all gateways what takes longer than a test: their trust."""
    trust = httpx.create_ssl_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "create_ssl_context", lambda: trust)
        yield


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    """Return the front door of a gateway that is signed in; calls count from here."""
    async with serving() as result:
        await result.data('{ provider(key: "emporix") { segments(first: 1) { totalCount } } }')
        result.forget()
        yield result
