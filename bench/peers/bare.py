"""The lower bounds: ASGI applications that send prepared bytes, without GraphQL.

`BENCH_PREPARED` names a JSON file. For each body that may be posted it has the answer, and the
paths that this gateway calls for it, in steps: each needs the results of the one before. `app`
only answers. `calling` makes the calls before it does, with this gateway's HTTP client.
"""

import asyncio
import json
import os
from functools import cache
from pathlib import Path

import httpx
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from gateway.providers.base.exchange import Call
from gateway.upstream.http.client import HttpClient, http_client
from gateway.upstream.http.http1_pool import Http1Transport

PREPARED = {
    body.encode(): (answer.encode(), steps)
    for body, (answer, steps) in json.loads(Path(os.environ["BENCH_PREPARED"]).read_text()).items()
}
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Authorization": "Bearer bench",
    "User-Agent": "segment-gateway",
}


@cache
def client() -> HttpClient:
    """Return the client of the running loop."""
    transport = Http1Transport(httpx.create_ssl_context())
    return http_client(os.environ["UPSTREAM"], transport, 5, 2**24)


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Respond to a request; lifespan events need no response."""
    if scope["type"] == "http":
        answer, _ = PREPARED[await _body(receive)]
        await _respond(send, answer)


async def calling(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Make the calls of a request, and respond to it."""
    if scope["type"] == "http":
        answer, steps = PREPARED[await _body(receive)]
        exchange = client().exchange
        for step in steps:
            await asyncio.gather(*[exchange(Call("GET", path), HEADERS) for path in step])
        await _respond(send, answer)


async def _body(receive: ASGIReceiveCallable) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        body += message["body"]
        more = message["more_body"]
    return body


async def _respond(send: ASGISendCallable, answer: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send(
        {"type": "http.response.start", "status": 200, "headers": headers, "trailers": False}
    )
    await send({"type": "http.response.body", "body": answer, "more_body": False})
