#!/usr/bin/env python
"""Measure what a call to a provider costs, by what runs under httpx.

Run `python bench/clients.py [rounds]`. It starts `upstream.py` beside it and prints one row per
candidate: the median CPU time of a call (user and system, all threads of this process) with 20
calls in flight, and its ratio to the best. Rounds are interleaved, so that noise meets all.

Every call is a GET with four headers and a connect timeout; its body, about 1 KB, is read to
bytes. "client" goes through `httpx.AsyncClient.stream`; "direct" hands an `httpx.Request`
to the transport and joins the response's stream, without what the client adds around that:
merging defaults, signing in, redirects, cookies, events, logging.
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
from pathlib import Path

import aiohttp
import httpx
import uvloop
import yarl
from rich.console import Console
from rich.table import Table

IN_FLIGHT = 20
ROUNDS = 9
MEASURED_S = 0.1  # of CPU, for one candidate in one round: several hundred calls at least
TIMEOUT = httpx.Timeout(None, connect=5)
EXTENSIONS = {"timeout": TIMEOUT.as_dict()}
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Authorization": "Bearer abcdefghijklmnopqrstuvwxyz0123456789",
    "User-Agent": "segment-gateway/0.1",
}

Get = Callable[[str], Awaitable[bytes]]
"""Fetches one URL."""


@dataclass(frozen=True)
class Candidate:
    """One way to call a provider; `start` opens its connection pool."""

    name: str
    start: Callable[[], AbstractAsyncContextManager[Get]]
    needs: str | None = None
    """The module of a distribution that need not be installed."""
    is_a_call: bool = True
    """False: shows what httpx costs by itself, and takes no part in the comparison."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """The least that httpx over aiohttp's pool can cost: no error is translated."""

    def __init__(self) -> None:
        """Open the pool, in the running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, its URL as it is."""
        waits = request.extensions["timeout"]
        answer = await self._session.request(
            request.method,
            yarl.URL(str(request.url), encoded=True),
            headers=request.headers.multi_items(),
            data=request.content or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(sock_connect=waits["connect"], sock_read=waits["read"]),
        )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=Body(answer))

    async def aclose(self) -> None:
        """Close the pool."""
        await self._session.close()


class Body(httpx.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        """Take over the answer; `aclose` closes it."""
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts."""
        async for part in self._answer.content.iter_any():
            yield part

    async def aclose(self) -> None:
        """Close the connection, if the body was not read to its end."""
        self._answer.close()


class NoNetwork(httpx.AsyncBaseTransport):
    """Answers at once: what is left is the cost of httpx itself."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return a constant."""
        del request
        return httpx.Response(200, headers=[], stream=httpx.ByteStream(b"x" * 1024))


def own_pool() -> httpx.AsyncBaseTransport:
    """Return what httpx uses unless told otherwise."""
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
async def through_client(
    open_transport: Callable[[], httpx.AsyncBaseTransport],
) -> AsyncIterator[Get]:
    """Call the way httpx's documentation does."""
    async with httpx.AsyncClient(
        transport=open_transport(), timeout=TIMEOUT, trust_env=False
    ) as client:

        async def get(url: str) -> bytes:
            async with client.stream("GET", url, headers=HEADERS) as response:
                return await response.aread()

        yield get


@asynccontextmanager
async def direct(open_transport: Callable[[], httpx.AsyncBaseTransport]) -> AsyncIterator[Get]:
    """Call the transport itself."""
    async with open_transport() as transport:

        async def get(url: str) -> bytes:
            request = httpx.Request("GET", url, headers=HEADERS, extensions=EXTENSIONS)
            response = await transport.handle_async_request(request)
            try:
                # The stream of an asynchronous transport is an asynchronous one.
                return b"".join([part async for part in response.stream])  # type: ignore[union-attr]
            finally:
                await response.aclose()

        yield get


@asynccontextmanager
async def aiohttp_alone() -> AsyncIterator[Get]:
    """Call without httpx, through aiohttp."""
    timeout = aiohttp.ClientTimeout(sock_connect=TIMEOUT.connect)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout
    ) as session:

        async def get(url: str) -> bytes:
            async with session.get(url, headers=HEADERS, allow_redirects=False) as answer:
                return await answer.read()

        yield get


@asynccontextmanager
async def pyreqwest_alone() -> AsyncIterator[Get]:
    """Call without httpx, through pyreqwest."""
    builder = importlib.import_module("pyreqwest.client").ClientBuilder()
    async with builder.no_proxy().build() as client:

        async def get(url: str) -> bytes:
            answer = await client.get(url).headers(HEADERS).build().send()
            return bytes(await answer.bytes())

        yield get


CANDIDATES = (
    Candidate("httpx's own pool, client", partial(through_client, own_pool)),
    Candidate("httpx's own pool, direct", partial(direct, own_pool)),
    Candidate("httpx-aiohttp, client", partial(through_client, httpx_aiohttp), "httpx_aiohttp"),
    Candidate("httpx-aiohttp, direct", partial(direct, httpx_aiohttp), "httpx_aiohttp"),
    Candidate("plain aiohttp, client", partial(through_client, AiohttpTransport)),
    Candidate("plain aiohttp, direct", partial(direct, AiohttpTransport)),
    Candidate("pyreqwest, client", partial(through_client, httpx_pyreqwest), "pyreqwest"),
    Candidate("pyreqwest, direct", partial(direct, httpx_pyreqwest), "pyreqwest"),
    Candidate("aiohttp without httpx", aiohttp_alone),
    Candidate("pyreqwest without httpx", pyreqwest_alone, "pyreqwest"),
    Candidate("no network, client", partial(through_client, NoNetwork), is_a_call=False),
    Candidate("no network, direct", partial(direct, NoNetwork), is_a_call=False),
)


async def cpu_us(get: Get, urls: list[str], measured_s: float) -> float:
    """Return the CPU time of one call in µs, over bursts that take `measured_s` of it."""
    started = spent = time.process_time()
    calls = 0
    while spent - started < measured_s:
        await asyncio.gather(*map(get, urls))
        calls += len(urls)
        spent = time.process_time()
    return (spent - started) / calls * 1e6


async def measure(origin: str, rounds: int) -> dict[str, list[float]]:
    """Return µs per call, one figure a round, by candidate."""
    urls = [f"{origin}/v1/customers/cust_{number:02}" for number in range(IN_FLIGHT)]
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
            gets[candidate.name] = await stack.enter_async_context(candidate.start())
        for name, get in gets.items():
            await cpu_us(get, urls, MEASURED_S / 4)  # connects, and warms up
            figures[name] = []
        for _ in range(rounds):
            for name, get in gets.items():
                figures[name].append(await cpu_us(get, urls, MEASURED_S))
    return figures


def table(figures: dict[str, list[float]]) -> Table:
    """Return the medians as a table; the best is the cheapest of those that really called."""
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
