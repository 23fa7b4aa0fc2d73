"""Accounts at fictitious providers: real adapters over a scripted transport."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.providers.base.decoding import check
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.registry import ADAPTERS
from gateway.upstream.client import UpstreamClient

TOKEN = "stuut-token-4711"
CLIENT_SECRET = "emporix-secret-4712"
ACCESS = "access-4713-"
SECRETS = (TOKEN, CLIENT_SECRET, ACCESS)

BASE = {"base_url": "https://upstream.test/base", "retries": 0}

Answers = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def open_account(answers: Answers | httpx.AsyncBaseTransport, **settings: Any) -> UpstreamClient:
    """Return an account that shows its token with every call."""
    return _account(answers, {"kind": "stuut", "token": TOKEN, **settings})


def signing_account(
    answers: Answers | httpx.AsyncBaseTransport, **settings: Any
) -> UpstreamClient:
    """Return an account that signs in with its secret first."""
    credentials = {"tenant": "acme", "client_id": "gateway", "client_secret": CLIENT_SECRET}
    return _account(answers, {"kind": "emporix", **credentials, **settings})


def _account(
    answers: Answers | httpx.AsyncBaseTransport, settings: dict[str, Any]
) -> UpstreamClient:
    form = ADAPTERS[settings["kind"]]
    account = form.Settings.model_validate({**BASE, "key": "acme", **settings})
    return UpstreamClient(account, form(account), _transport(answers))


def _transport(answers: Answers | httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    if isinstance(answers, httpx.AsyncBaseTransport):
        return answers
    return httpx.MockTransport(answers)


def things(path: str = "/things", **parts: Any) -> Exchange[str]:
    """Return an exchange that reads the body as text."""

    def read(reply: Reply) -> str:
        check("acme", "things.list", reply)
        return reply.body.decode()

    return Exchange("things.list", Call(parts.pop("method", "GET"), path, **parts), read)


@dataclass
class SigningIssuer:
    """Behaves like a provider with a token endpoint: only the newest token is accepted."""

    status: int = 200
    token: int = 0
    """How many were given: the number of the newest."""
    revoked: bool = False
    """No token is let in at all."""
    heard: list[str] = field(default_factory=list)
    """What came in, in order: `sign in`, or the number of the token shown."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Respond to one call."""
        if request.url.path.endswith("/oauth/token"):
            self.heard.append("sign in")
            if self.status != httpx.codes.OK:
                return httpx.Response(self.status, text=f"no: {request.content.decode()}")
            self.token += 1
            body = {"access_token": f"{ACCESS}{self.token}", "expires_in": 3600}
            return httpx.Response(200, content=json.dumps(body).encode())
        shown = request.headers["authorization"].removeprefix(f"Bearer {ACCESS}")
        self.heard.append(shown)
        if self.revoked or shown != str(self.token):
            return httpx.Response(401, text=f"no: {request.headers['authorization']}")
        return httpx.Response(200, text="well")
