"""What each kind of fault does to a provider's server: an app that wraps its app."""

import asyncio
import gzip
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GARBAGE = bytes(range(256)) * 4
PAGE = b"<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1><hr>nginx"
LEVELS = 100_000
MEBIBYTE = 1024 * 1024
BOMB_MEBIBYTES = 1024
PAGE_SIZES = frozenset({"pageSize", "limit"})
"""The parameters of the providers that say how many rows a page has."""


class Fault(Protocol):
    """The fields of a fault that are used here."""

    @property
    def provider(self) -> str: ...  # noqa: D102  # see gateway.sandbox.faults
    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def retry_after_s(self) -> int | None: ...  # noqa: D102
    @property
    def every_s(self) -> float: ...  # noqa: D102
    @property
    def most_rows(self) -> int: ...  # noqa: D102


class BufferedResponse(NamedTuple):
    """The response that a server would have sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def buffered(app: ASGIApp, scope: Scope, receive: Receive) -> BufferedResponse:
    """Return the response of the app instead of sending it."""
    status, headers, parts = 500, list[tuple[bytes, bytes]](), list[bytes]()

    async def collect(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, collect)
    other_headers = [header for header in headers if header[0].lower() != b"content-length"]
    return BufferedResponse(status, other_headers, b"".join(parts))


async def start(send: Send, response: BufferedResponse, length: int) -> None:
    """Send the head of a response, with this Content-Length."""
    headers = [*response.headers, (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


def sending(response: Response) -> ASGIApp:
    """Return an app that reads the whole request and sends this response."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await response(scope, receive, send)

    return app


def json_error(status: int, headers: Mapping[str, str]) -> ASGIApp:
    """Return an app that sends an error; no provider documents the body of these."""
    body = msgspec.json.encode({"code": status, "message": "A fault of the sandbox."})
    return sending(Response(body, status, headers, media_type="application/json"))


def _none(fault: Fault, app: ASGIApp) -> ASGIApp:
    del fault
    return app


def _error(fault: Fault, app: ASGIApp) -> ASGIApp:
    del app
    after = fault.retry_after_s
    headers = {} if after is None else {"retry-after": str(after)}
    if fault.status in range(300, 400):
        headers["location"] = "/elsewhere"
    return json_error(fault.status, headers)


def _limit(fault: Fault, app: ASGIApp) -> ASGIApp:
    del app
    after = 1 if fault.retry_after_s is None else fault.retry_after_s
    headers = {"retry-after": str(after)}
    if fault.provider == "voucherify":
        headers |= {
            "x-rate-limit-limit": "100",
            "x-rate-limit-remaining": "0",
            "x-rate-limit-retry": str(int(time.time()) + after),
            "x-rate-limit-type": "api_calls",
        }
    return json_error(429, headers)


def _reset(fault: Fault, app: ASGIApp) -> ASGIApp:
    del fault

    async def reset(scope: Scope, receive: Receive, send: Send) -> None:
        response = await buffered(app, scope, receive)
        await start(send, response, len(response.body) + 1)
        await send({"type": "http.response.body", "body": response.body[:1], "more_body": True})
        # A server closes the connection; in the same process the caller gets this error.
        raise ConnectionResetError("a fault of the sandbox")

    return reset


def _hang(fault: Fault, app: ASGIApp) -> ASGIApp:
    del fault, app

    async def hang(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        while (await receive())["type"] != "http.disconnect":
            pass

    return hang


def _drip(fault: Fault, app: ASGIApp) -> ASGIApp:
    async def drip(scope: Scope, receive: Receive, send: Send) -> None:
        response = await buffered(app, scope, receive)
        await start(send, response, len(response.body))
        for index in range(len(response.body)):
            part = response.body[index : index + 1]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(fault.every_s)
        await send({"type": "http.response.body", "body": b""})

    return drip


def _replaced(change: Callable[[bytes], bytes]) -> Callable[[Any, ASGIApp], ASGIApp]:
    """Return a disturbance that changes the body of the normal response."""

    def disturbance(fault: Fault, app: ASGIApp) -> ASGIApp:
        del fault

        async def replaced(scope: Scope, receive: Receive, send: Send) -> None:
            response = await buffered(app, scope, receive)
            body = change(response.body)
            await start(send, response, len(body))
            await send({"type": "http.response.body", "body": body})

        return replaced

    return disturbance


def _with_wrong_token(body: bytes) -> bytes:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    if isinstance(document, dict) and "access_token" in document:
        return msgspec.json.encode({**document, "access_token": "wrong"})
    return body


def _short_pages(fault: Fault, app: ASGIApp) -> ASGIApp:
    """Lower the requested page size: pages are then numbered by what they hold."""

    async def short_pages(scope: Scope, receive: Receive, send: Send) -> None:
        query = [
            (name, str(min(int(value), fault.most_rows)) if _is_size(name, value) else value)
            for name, value in parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        ]
        await app({**scope, "query_string": urlencode(query).encode()}, receive, send)

    return short_pages


def _is_size(name: str, value: str) -> bool:
    return name in PAGE_SIZES and value.isascii() and value.isdecimal()


def _html(fault: Fault, app: ASGIApp) -> ASGIApp:
    del fault, app
    return sending(Response(PAGE, media_type="text/html"))


def _bomb(fault: Fault, app: ASGIApp) -> ASGIApp:
    del fault, app
    headers = {"content-encoding": "gzip"}
    return sending(Response(_compressed_zeros(), 200, headers, media_type="application/json"))


@cache
def _compressed_zeros() -> bytes:
    """Return a gigabyte of zeros in one megabyte: gzip members may be concatenated."""
    return gzip.compress(bytes(MEBIBYTE)) * BOMB_MEBIBYTES


def _delayed(app: ASGIApp, delay_s: float) -> ASGIApp:
    async def delayed(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(delay_s)
        await app(scope, receive, send)

    return delayed if delay_s else app


_KINDS: Mapping[str, Callable[[Any, ASGIApp], ASGIApp]] = {
    "none": _none,
    "error": _error,
    "limit": _limit,
    "reset": _reset,
    "hang": _hang,
    "drip": _drip,
    "garbage": _replaced(lambda _: GARBAGE),
    "html": _html,
    "truncated": _replaced(lambda body: body[: len(body) // 2]),
    "deep": _replaced(lambda _: b"[" * LEVELS + b"]" * LEVELS),
    "bomb": _bomb,
    "wrong_token": _replaced(_with_wrong_token),
    "short_pages": _short_pages,
}


def disturbed(kind: str, fault: Fault, app: ASGIApp, delay_s: float) -> ASGIApp:
    """Return the app with this fault; its response starts `delay_s` later."""
    return _delayed(_KINDS[kind](fault, app), delay_s)
