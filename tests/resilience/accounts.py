"""Accounts at a fictitious provider with scripted replies, on the loop's clock."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.providers.base.adapter import Adapter
from gateway.providers.base.decoding import check
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.settings import AccountSettings
from gateway.providers.registry import ADAPTERS
from gateway.request_scope import Scope
from gateway.upstream.client import UpstreamClient
from tests.resilience.clockwork import now

Step = httpx.Response | Exception | float
"""What happens to a call: a reply, a connection error, or seconds of silence."""


@dataclass
class Script(httpx.AsyncBaseTransport):
    """Plays one step per call, the last one forever; records when each call arrived."""

    steps: Sequence[Step]
    takes_s: float = 0.0
    at: list[float] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Respond to one call."""
        del request
        step = self.steps[min(len(self.at), len(self.steps) - 1)]
        self.at.append(now())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(step if isinstance(step, float) else self.takes_s)
        finally:
            self.under_way -= 1
        if isinstance(step, Exception):
            raise step
        if isinstance(step, float):
            return response(200, "late")
        # One response is read by one caller only.
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)


def response(status: int = 200, text: str = "well", **headers: str) -> httpx.Response:
    """Return a reply."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=spelled, text=text)


SECRETS = {
    "stuut": {"token": "t"},
    "voucherify": {"app_id": "i", "app_token": "t"},
    "emporix": {"tenant": "acme", "client_id": "i", "client_secret": "s"},
}


def adapter_of(kind: str, **settings: Any) -> Adapter:
    """Return an adapter of this kind, for the account `acme`."""
    return ADAPTERS[kind](_settings(kind, settings))


def account(
    script: httpx.AsyncBaseTransport, *, kind: str = "stuut", **settings: Any
) -> UpstreamClient:
    """Return an account of five seconds a call."""
    return UpstreamClient(_settings(kind, settings), adapter_of(kind, **settings), script)


def _settings(kind: str, given: Mapping[str, Any]) -> AccountSettings:
    base = {"key": "acme", "kind": kind, "base_url": "https://upstream.test", **SECRETS[kind]}
    return ADAPTERS[kind].Settings.model_validate({**base, **given})


def circuit(upstream: UpstreamClient) -> str:
    """Return the state of an account's circuit breaker."""
    return upstream.guard.breaker.circuit.value


def scope(seconds: float = 10, **parts: Any) -> Scope:
    """Return the scope of a request with this time to live."""
    return Scope("request-1", now() + seconds, **parts)


def things(path: str = "/things", method: str = "GET", **parts: Any) -> Exchange[str]:
    """Return an exchange that reads the body as text."""

    def read(reply: Reply) -> str:
        check("acme", "things.list", reply)
        return reply.body.decode()

    return Exchange("things.list", Call(method, path), read, **parts)
