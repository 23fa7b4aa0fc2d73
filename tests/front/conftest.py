"""The gateway over the embedded sandbox."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.front.serving import Front, serving


@pytest.fixture(autouse=True, scope="session")
def one_trust_store() -> Iterator[None]:
    """Read the machine's certificates once for all gateways: that takes as long as a test."""
    trust = httpx.create_ssl_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "create_ssl_context", lambda: trust)
        yield


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    """Return the front door of a gateway that is signed in; calls count from here."""
    async with serving() as found:
        await found.data('{ provider(key: "emporix") { segments(first: 1) { totalCount } } }')
        found.forget()
        yield found
