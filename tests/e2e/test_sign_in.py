"""Sign-in: once for all, again when a token fails, and what a client sees when it is refused."""

import asyncio
from collections import Counter

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.e2e.failures import SECRET, Failure, answering, raising
from tests.e2e.serving import SIGN_IN, Front, serving

LIST = """{ segments(first: 1, filter: {providers: ["emporix"]}) {
  nodes { name } sources { error { code message retryable retryAfterMs upstreamStatus } }
} }"""
SEGMENTS = "GET /customer-segment/sandbox/segments?pageNumber=1&pageSize=2"
FIRST = [{"name": "Golden customers"}]


def choosing(sign_in: ASGIApp, rest: ASGIApp) -> ASGIApp:
    """Return a server of two: one signs in, the other does the rest."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        await (sign_in if scope["path"] == "/oauth/token" else rest)(scope, receive, send)

    return choose


def token(**expected: object) -> bytes:
    """Return the answer to a sign-in."""
    return msgspec.json.encode({"access_token": "t0k", "token_type": "Bearer", **expected})


MALFORMED = [
    b"<html>",
    b"{}",
    token(),
    token(expires_in="soon"),
    token(expires_in=-1),
    token(expires_in=3600, access_token=""),
    token(expires_in=3600, access_token="a\r\nx-injected: 1"),
    token(expires_in=3600, access_token=7),
]
REFUSALS = {
    "refused with 400": Failure(
        answering(400, b'{"error": "invalid_client"}'), "PROVIDER_DENIED", 400
    ),
    "refused with 401": Failure(answering(401, SECRET.encode()), "PROVIDER_DENIED", 401),
    "refused with 403": Failure(answering(403, b""), "PROVIDER_DENIED", 403),
    "rate-limited": Failure(
        answering(429, b"", retry_after="3"), "PROVIDER_RATE_LIMITED", 429, 3000
    ),
    "broken": Failure(answering(502, SECRET.encode()), "PROVIDER_BROKEN", 502),
    "unreachable": Failure(raising(httpx.ConnectError), "PROVIDER_UNREACHABLE"),
    "timed out": Failure(raising(httpx.ReadTimeout), "PROVIDER_TIMEOUT"),
    **{
        f"unreadable {body!r}": Failure(answering(200, body), "PROVIDER_MALFORMED")
        for body in MALFORMED
    },
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refused_sign_in(name: str) -> None:
    """What the sign-in fails with, the list fails with; nothing else is sent."""
    failure = REFUSALS[name]
    async with serving() as front:
        real = front.providers.real("emporix")
        front.providers.instead["emporix"] = choosing(failure.server, real)
        shown = await front.data(LIST)

        assert shown["segments"] == {
            "nodes": [],
            "sources": [{"error": failure.extensions("emporix")}],
        }
        assert front.calls == []


async def test_one_sign_in_for_all() -> None:
    """However many requests come at once, the account signs in once and keeps the token."""
    pages = [LIST.replace("first: 1", f"first: {first}") for first in range(1, 11)]
    async with serving() as front:
        shown = await asyncio.gather(*(front.data(page) for page in pages))

        assert [len(each["segments"]["nodes"]) for each in shown] == list(range(1, 11))
        assert Counter(call.partition("?")[0] for call in front.calls) == {
            SIGN_IN: 1,
            SEGMENTS.partition("?")[0]: 10,
        }


async def test_token_that_fails_is_renewed_once(front: Front) -> None:
    """A token refused before its time is renewed, and the call made again."""
    real = front.providers.real("emporix")
    refused: list[str] = []

    async def forgetful(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/oauth/token" and not refused:
            refused.append(scope["path"])
            await answering(401, b"")(scope, receive, send)
            return
        await real(scope, receive, send)

    front.providers.instead["emporix"] = forgetful
    shown = await front.data(LIST)

    assert shown["segments"] == {"nodes": FIRST, "sources": [{"error": None}]}
    assert len(refused) == 1
    assert front.calls == [SIGN_IN, SEGMENTS]


async def test_token_that_fails_again_is_denied(front: Front) -> None:
    """A fresh token that is refused as well ends it: two tries, one sign-in between them."""
    tried: list[str] = []
    real = front.providers.real("emporix")
    denial = answering(401, SECRET.encode())

    async def denying(scope: Scope, receive: Receive, send: Send) -> None:
        tried.append(scope["path"])
        await choosing(real, denial)(scope, receive, send)

    front.providers.instead["emporix"] = denying
    shown = await front.data(LIST)

    expected = Failure(denial, "PROVIDER_DENIED", 401).extensions("emporix")
    assert shown["segments"] == {"nodes": [], "sources": [{"error": expected}]}
    path = "/customer-segment/sandbox/segments"
    assert tried == [path, "/oauth/token", path]


async def test_credentials_go_where_they_belong() -> None:
    """Each provider gets its own credentials with every call, Emporix with the sign-in alone."""
    async with serving() as front:
        await front.data("{ segments(first: 1) { nodes { id } } }")
        sent = [
            (kind, {name: headers[name] for name in SHOWN if name in headers})
            for kind, headers in front.providers.headers
        ]

    bearer = next(expected for kind, expected in reversed(sent) if kind == "emporix")
    assert bearer["authorization"].startswith("Bearer ")
    assert sorted(sent, key=lambda pair: pair[0]) == [
        ("emporix", {}),
        ("emporix", bearer),
        ("stuut", {"authorization": "Bearer sandbox-stuut-token"}),
        (
            "voucherify",
            {
                "x-app-id": "sandbox-voucherify-app-id",
                "x-app-token": "sandbox-voucherify-app-token",
            },
        ),
    ]


SHOWN = ("authorization", "x-app-id", "x-app-token", "cookie")
"""Headers that may carry a secret."""
