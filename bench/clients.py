#!/usr/bin/env python
"""Measure the CPU time of a call to a provider, by HTTP client and transport.

Run `python bench/clients.py [rounds]`. It starts `upstream.py` beside it and prints one row per
candidate: the median CPU time of a call (user and system, all threads of this process) with 20
calls in flight, and its ratio to the best. Rounds are interleaved, so that noise affects all.

Every call is a GET with four headers or more and a connect timeout; its body, about 1 KB, is read
to bytes. "client" goes through `httpx.AsyncClient.stream`; "direct" hands an `httpx.Request`
to the transport and joins the response's stream, without what the client adds around that:
merging defaults, signing in, redirects, cookies, events, logging. "site" is the gateway's
`HttpClient`, "send" the whole of `UpstreamClient.send`: deadline, concurrency limit, circuit
breaker, retries, health; everything but reading the JSON.
"""

import asyncio
import importlib
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

import aiohttp
import httpx
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from gateway.providers.base.exchange import Call, Exchange
from gateway.providers.voucherify.adapter import Voucherify, VoucherifySettings
from gateway.request_scope import Scope
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http.aiohttp_transport import PooledTransport
from gateway.upstream.http.client import http_client
from gateway.upstream.http.http1_pool import Http1Transport

IN_FLIGHT = 20
ROUNDS = 9
MEASURED_S = 0.1  # of CPU, for one candidate in one round: several hundred calls at least
CONNECT_S = 5
MAX_BODY_BYTES = 1024 * 1024
TIMEOUT = httpx.Timeout(None, connect=CONNECT_S)
EXTENSIONS = {"timeout": TIMEOUT.as_dict()}
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Authorization": "Bearer abcdefghijklmnopqrstuvwxyz0123456789",
    "User-Agent": "segment-gateway/0.1",
}

Get = Callable[[str], Awaitable[bytes]]
"""Fetches a path."""

Open = Callable[[], httpx.AsyncBaseTransport]


@dataclass(frozen=True)
class Candidate:
    """One way to call a provider."""

    name: str
    start: Callable[[str], AbstractAsyncContextManager[Get]]
    """Opens its connections to an origin."""
    needs: str | None = None
    """The module of an optional distribution."""
    is_a_call: bool = True
    """False: shows the cost of httpx alone, and is not compared."""


class NoNetwork(httpx.AsyncBaseTransport):
    """Responds at once, which leaves the cost of httpx itself."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return a constant."""
        del request
        return httpx.Response(200, headers=[], stream=httpx.ByteStream(b"x" * 1024))


def over_aiohttp() -> httpx.AsyncBaseTransport:
    """Return the gateway's general transport."""
    return PooledTransport(httpx.create_ssl_context())


def over_protocol() -> httpx.AsyncBaseTransport:
    """Return the gateway's fast transport."""
    return Http1Transport(httpx.create_ssl_context())


def own_pool() -> httpx.AsyncBaseTransport:
    """Return the default transport of httpx."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncHTTPTransport(limits=limits)


def httpx_aiohttp() -> httpx.AsyncBaseTransport:
    """Return the published transport over aiohttp."""
    transport: httpx.AsyncBaseTransport = importlib.import_module(
        "httpx_aiohttp"
    ).AiohttpTransport()
    return transport


def httpx_pyreqwest() -> httpx.AsyncBaseTransport:
    """Return pyreqwest's transport for httpx."""
    client = importlib.import_module("pyreqwest.client").ClientBuilder().no_proxy().build()
    transport: httpx.AsyncBaseTransport = importlib.import_module(
        "pyreqwest.compatibility.httpx"
    ).HttpxTransport(client)
    return transport


@asynccontextmanager
async def through_client(open_transport: Open, origin: str) -> AsyncIterator[Get]:
    """Call the way httpx's documentation does."""
    async with httpx.AsyncClient(
        transport=open_transport(), timeout=TIMEOUT, trust_env=False
    ) as client:

        async def get(path: str) -> bytes:
            async with client.stream("GET", origin + path, headers=HEADERS) as response:
                return await response.aread()

        yield get


@asynccontextmanager
async def direct(open_transport: Open, origin: str) -> AsyncIterator[Get]:
    """Call the transport itself."""
    async with open_transport() as transport:

        async def get(path: str) -> bytes:
            request = httpx.Request("GET", origin + path, headers=HEADERS, extensions=EXTENSIONS)
            response = await transport.handle_async_request(request)
            try:
                # The stream of an asynchronous transport is an asynchronous one.
                return b"".join([part async for part in response.stream])  # type: ignore[union-attr]  # an async client gives an async stream
            finally:
                await response.aclose()

        yield get


@asynccontextmanager
async def through_site(open_transport: Open, origin: str) -> AsyncIterator[Get]:
    """Call the shortest way that the transport offers."""
    async with open_transport() as transport:
        site = http_client(origin, transport, CONNECT_S, MAX_BODY_BYTES)

        async def get(path: str) -> bytes:
            return (await site.exchange(Call("GET", path), HEADERS)).body

        yield get


@asynccontextmanager
async def whole_send(open_transport: Open, origin: str) -> AsyncIterator[Get]:
    """Call as the gateway does."""
    settings = VoucherifySettings(
        key="bench",
        kind="voucherify",
        base_url=origin,
        app_id=SecretStr("abcdefghijklmnopqrstuvwxyz"),
        app_token=SecretStr("0123456789"),
    )
    upstream = UpstreamClient(settings, Voucherify(settings), open_transport())
    loop = asyncio.get_running_loop()

    async def get(path: str) -> bytes:
        exchange = Exchange("bench", Call("GET", path), attrgetter("body"))
        body: bytes = await upstream.send(exchange, Scope("bench", loop.time() + CONNECT_S))
        return body

    yield get
    await upstream.close()


@asynccontextmanager
async def aiohttp_alone(origin: str) -> AsyncIterator[Get]:
    """Call without httpx, through aiohttp."""
    timeout = aiohttp.ClientTimeout(sock_connect=TIMEOUT.connect)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout
    ) as session:

        async def get(path: str) -> bytes:
            async with session.get(
                origin + path, headers=HEADERS, allow_redirects=False
            ) as answer:
                return await answer.read()

        yield get


@asynccontextmanager
async def pyreqwest_alone(origin: str) -> AsyncIterator[Get]:
    """Call without httpx, through pyreqwest."""
    builder = importlib.import_module("pyreqwest.client").ClientBuilder()
    async with builder.no_proxy().build() as client:

        async def get(path: str) -> bytes:
            answer = await client.get(origin + path).headers(HEADERS).build().send()
            return bytes(await answer.bytes())

        yield get


CANDIDATES = (
    Candidate("httpx's own pool, client", partial(through_client, own_pool)),
    Candidate("httpx's own pool, direct", partial(direct, own_pool)),
    Candidate("httpx-aiohttp, client", partial(through_client, httpx_aiohttp), "httpx_aiohttp"),
    Candidate("httpx-aiohttp, direct", partial(direct, httpx_aiohttp), "httpx_aiohttp"),
    Candidate("ours over aiohttp, client", partial(through_client, over_aiohttp)),
    Candidate("ours over aiohttp, direct", partial(direct, over_aiohttp)),
    Candidate("ours over aiohttp, site", partial(through_site, over_aiohttp)),
    Candidate("ours over aiohttp, send", partial(whole_send, over_aiohttp)),
    Candidate("ours over asyncio, client", partial(through_client, over_protocol)),
    Candidate("ours over asyncio, direct", partial(direct, over_protocol)),
    Candidate("ours over asyncio, site", partial(through_site, over_protocol)),
    Candidate("ours over asyncio, send", partial(whole_send, over_protocol)),
    Candidate("pyreqwest, client", partial(through_client, httpx_pyreqwest), "pyreqwest"),
    Candidate("pyreqwest, direct", partial(direct, httpx_pyreqwest), "pyreqwest"),
    Candidate("aiohttp without httpx", aiohttp_alone),
    Candidate("pyreqwest without httpx", pyreqwest_alone, "pyreqwest"),
    Candidate("no network, client", partial(through_client, NoNetwork), is_a_call=False),
    Candidate("no network, direct", partial(direct, NoNetwork), is_a_call=False),
)


async def cpu_us(get: Get, paths: list[str], measured_s: float) -> float:
    """Return the CPU time of one call in µs, over bursts that take `measured_s` of it."""
    started = spent = time.process_time()
    calls = 0
    while spent - started < measured_s:
        await asyncio.gather(*map(get, paths))
        calls += len(paths)
        spent = time.process_time()
    return (spent - started) / calls * 1e6


async def measure(origin: str, rounds: int) -> dict[str, list[float]]:
    """Return µs per call, one figure a round, by candidate."""
    paths = [f"/v1/customers/cust_{number:02}" for number in range(IN_FLIGHT)]
    figures: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        gets: dict[str, Get] = {}
        for candidate in CANDIDATES:
            if candidate.needs and not importlib.util.find_spec(candidate.needs):
                package = candidate.needs.replace("_", "-")
                Console(soft_wrap=True).print(
                    f"{candidate.name}: skipped, needs pip install {package}"
                )
                continue
            gets[candidate.name] = await stack.enter_async_context(candidate.start(origin))
        for name, get in gets.items():
            await cpu_us(get, paths, MEASURED_S / 4)  # connects, and warms up
            figures[name] = []
        for _ in range(rounds):
            for name, get in gets.items():
                figures[name].append(await cpu_us(get, paths, MEASURED_S))
    return figures


def table(figures: dict[str, list[float]]) -> Table:
    """Return the medians as a table; the best is the cheapest of those that made calls."""
    medians = {name: statistics.median(of_rounds) for name, of_rounds in figures.items()}
    best = min(
        medians[candidate.name]
        for candidate in CANDIDATES
        if candidate.name in medians and candidate.is_a_call
    )
    # httpx's own pool tries to import sniffio in every call, and a failing import is dear.
    sniffio = "sniffio is installed" if importlib.util.find_spec("sniffio") else "no sniffio"
    shown = Table("candidate", title=f"CPU of one call, {IN_FLIGHT} in flight ({sniffio})")
    for heading in ("median µs", "least", "most", "to the best"):
        shown.add_column(heading, justify="right")
    for name, median in medians.items():
        least, most = min(figures[name]), max(figures[name])
        shown.add_row(name, *(f"{us:.0f}" for us in (median, least, most)), f"{median / best:.1f}")
    return shown


async def main(rounds: int) -> None:
    """Start the upstream, measure, print."""
    upstream = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("upstream.py")),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if upstream.stdout is None:
            raise RuntimeError("the upstream was started without a pipe")
        port = int(await upstream.stdout.readline())
        if sys.platform == "linux":  # the upstream takes the last core
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        figures = await measure(f"http://127.0.0.1:{port}", rounds)
    finally:
        upstream.kill()
        await upstream.wait()
    Console().print(table(figures))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
