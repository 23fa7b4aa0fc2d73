"""Ways in which a provider fails, and the error that a client gets for each."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

SECRET = "upstream-says-7f3a"  # a mark, to be found nowhere in an answer
MARK = f'"{SECRET}" at https://{SECRET}.internal:8443/'
HEADERS = {"location": f"https://{SECRET}.internal/", "x-request-id": SECRET}
SENTENCES = {
    "PROVIDER_UNREACHABLE": "cannot be reached",
    "PROVIDER_TIMEOUT": "did not reply in time",
    "PROVIDER_RATE_LIMITED": "accepts no more calls at the moment",
    "PROVIDER_DENIED": "rejects the gateway's credentials, or they lack a permission",
    "PROVIDER_REFUSED": "does not accept this request",
    "PROVIDER_BROKEN": "failed internally",
    "PROVIDER_MALFORMED": "sent a reply that cannot be read",
}
A_DAY_MS = 24 * 60 * 60 * 1000
RETRYABLE = {
    "PROVIDER_UNREACHABLE",
    "PROVIDER_TIMEOUT",
    "PROVIDER_RATE_LIMITED",
    "PROVIDER_BROKEN",
}


def answering(status: int, body: bytes, **headers: str) -> ASGIApp:
    """Return a server that always gives this answer."""
    sent = {"content-type": "application/json", **HEADERS, **headers}

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        pairs = [(name.replace("_", "-").encode(), v.encode()) for name, v in sent.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    return answer


def raising(error: type[httpx.TransportError]) -> ASGIApp:
    """Return a server at which every call ends in an error of the network."""

    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error(MARK)

    return fail


async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def signed_in(failing: ASGIApp, real: ASGIApp) -> ASGIApp:
    """Return a server that fails but for its sign-in."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        await (real if scope["path"] == "/oauth/token" else failing)(scope, receive, send)

    return choose


@dataclass(frozen=True)
class Failure:
    """One way to fail: how a provider does it, and what it becomes."""

    server: ASGIApp
    code: str
    status: int | None = None
    retry_after_ms: int | None = None
    timeout_s: float = 5
    """What the provider is given to answer."""

    def extensions(self, key: str) -> Mapping[str, Any]:
        """Return the error for a client, except the request id."""
        return {
            "code": self.code,
            "message": f"Provider {key!r} {SENTENCES[self.code]}.",
            "retryable": self.code in RETRYABLE,
            "retryAfterMs": self.retry_after_ms,
            "upstreamStatus": self.status,
        }


def _text(status: int, code: str, body: str = MARK, **headers: str) -> Failure:
    return Failure(
        answering(status, msgspec.json.encode({"message": body}), **headers), code, status
    )


FAILURES: Mapping[str, Failure] = {
    "unreachable": Failure(raising(httpx.ConnectError), "PROVIDER_UNREACHABLE"),
    "broken connection": Failure(raising(httpx.ReadError), "PROVIDER_UNREACHABLE"),
    "no HTTP": Failure(raising(httpx.RemoteProtocolError), "PROVIDER_UNREACHABLE"),
    "silent": Failure(silent, "PROVIDER_TIMEOUT", timeout_s=0.1),
    "timeout": Failure(raising(httpx.ReadTimeout), "PROVIDER_TIMEOUT"),
    "429": _text(429, "PROVIDER_RATE_LIMITED"),
    "429 with Retry-After": Failure(
        answering(429, b"", retry_after="7"), "PROVIDER_RATE_LIMITED", 429, 7000
    ),
    # Nobody is believed that wants to be left alone for longer than a day.
    "429 for years": Failure(
        answering(429, b"", retry_after="9999999"), "PROVIDER_RATE_LIMITED", 429, A_DAY_MS
    ),
    "429 for ever": Failure(
        answering(429, b"", retry_after="9" * 400), "PROVIDER_RATE_LIMITED", 429, A_DAY_MS
    ),
    "429 until a moment we cannot read": Failure(
        answering(429, b"", retry_after="soon"), "PROVIDER_RATE_LIMITED", 429
    ),
    "401": _text(401, "PROVIDER_DENIED"),
    "403": _text(403, "PROVIDER_DENIED"),
    "400": _text(400, "PROVIDER_REFUSED"),
    "422": _text(422, "PROVIDER_REFUSED"),
    "500": _text(500, "PROVIDER_BROKEN"),
    "503": _text(503, "PROVIDER_BROKEN"),
    "HTML": Failure(
        answering(200, f"<html>{SECRET}</html>".encode(), content_type="text/html"),
        "PROVIDER_MALFORMED",
    ),
    "truncated JSON": Failure(
        answering(200, b'[{"id": "' + SECRET.encode()), "PROVIDER_MALFORMED"
    ),
    "invalid UTF-8": Failure(answering(200, b'\xff["x"]'), "PROVIDER_MALFORMED"),
    "nothing": Failure(answering(200, b""), "PROVIDER_MALFORMED"),
    "null": Failure(answering(200, b"null"), "PROVIDER_MALFORMED"),
    "a number": Failure(answering(200, b"7"), "PROVIDER_MALFORMED"),
    # Read no further than its head.
    "deep": Failure(answering(200, b"[" * 100_000), "PROVIDER_MALFORMED", 200),
    "no gzip": Failure(
        answering(200, SECRET.encode(), content_encoding="gzip"), "PROVIDER_MALFORMED"
    ),
    "oversized": Failure(answering(200, b" " * (16 * 2**20 + 1)), "PROVIDER_MALFORMED"),
    "redirect": Failure(answering(302, b""), "PROVIDER_MALFORMED", 302),
    "no content": Failure(answering(204, b""), "PROVIDER_MALFORMED", 204),
}
