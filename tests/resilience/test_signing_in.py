"""However many wait, a sign-in is one call; refused, it is not a storm of calls."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.errors import Broken, Denied, ProviderError
from gateway.upstream.client import UpstreamClient
from gateway.upstream.token_session import DENIED_FOR_S
from tests.resilience.accounts import account, scope, things
from tests.resilience.clockwork import run


@dataclass
class Issuer(httpx.AsyncBaseTransport):
    """A provider with a token endpoint, whose status and tokens a test decides."""

    status: int = 200
    lets_in: bool = True
    sign_ins: int = 0
    calls: int = 0
    paths: list[str] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one call, in a tenth of a second."""
        await asyncio.sleep(0.1)
        if request.url.path == "/oauth/token":
            self.sign_ins += 1
            body = {"access_token": str(self.sign_ins), "expires_in": 3600}
            return httpx.Response(self.status, content=json.dumps(body).encode())
        self.calls += 1
        return httpx.Response(200 if self.lets_in else 401, text="well")


async def together(upstream: UpstreamClient, count: int) -> set[Any]:
    """Make different reads concurrently; return values and classes of errors."""
    results = await asyncio.gather(
        *(upstream.read(things(f"/{number}"), scope()) for number in range(count)),
        return_exceptions=True,
    )
    return {each if isinstance(each, str) else type(each) for each in results}


def test_500_requests_sign_in_once() -> None:
    """The first token serves all."""

    async def main() -> None:
        issuer = Issuer()
        assert await together(account(issuer, kind="emporix", max_concurrency=100), 500) == {
            "well"
        }
        assert (issuer.sign_ins, issuer.calls) == (1, 500)

    run(main())


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_credentials_are_shown_once_in_a_while(status: int) -> None:
    """500 requests, 500 more, and a minute of one a second: one call each five seconds."""

    async def main() -> None:
        issuer = Issuer(status=status)
        upstream = account(issuer, kind="emporix", max_concurrency=100)
        assert await together(upstream, 500) == {Denied}
        assert await together(upstream, 500) == {Denied}
        assert (issuer.sign_ins, issuer.calls) == (1, 0)
        for _ in range(60):
            await asyncio.sleep(1)
            await together(upstream, 1)
        assert issuer.sign_ins <= 1 + 60 / DENIED_FOR_S
        issuer.status = 200
        await asyncio.sleep(DENIED_FOR_S)
        assert await together(upstream, 1) == {"well"}

    run(main())


def test_tokens_that_are_not_let_in_are_not_a_storm() -> None:
    """Every new token fails as well: two sign-ins in five seconds, whatever the load."""

    async def main() -> None:
        issuer = Issuer(lets_in=False)
        upstream = account(issuer, kind="emporix", max_concurrency=100)
        for _ in range(3):
            assert await together(upstream, 500) == {Denied}
        assert issuer.sign_ins == 2

    run(main())


def test_a_broken_desk_is_not_a_storm() -> None:
    """Retries are budgeted and the circuit opens: 500 requests are some ten sign-ins."""

    async def main() -> None:
        issuer = Issuer(status=503)
        upstream = account(issuer, kind="emporix", max_concurrency=100)
        results = await together(upstream, 500)
        assert all(issubclass(each, ProviderError) for each in results)
        assert Broken in results
        assert issuer.sign_ins <= 12
        assert issuer.calls == 0

    run(main())
