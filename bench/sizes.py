"""This gateway alone: growth with the number of rows, start-up, memory after long use, workers."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import httpx

from bench.contestants import INSTALLED, Contestant, gateway
from bench.load import Upstream, ask, press, ready
from bench.processes import Server
from bench.tables import short, table
from bench.workloads import GATEWAY, NEW, WORKLOADS, growing

GROWTH = ((1, 10), (1, 100), (5, 200), (50, 200))
"""Segments, and assignments per segment: 10 to 10,000 rows."""
OPERATIONS = 100_000
STARTS = 5
CORES = "0,1"
PORT = 19108
LIGHT = [each.body(GATEWAY) for each in WORKLOADS if each.name in {"Q1", "Q5"}]
"""Most requests to a gateway are small."""
UNSEEN = json.dumps({"query": f"{{ {NEW}: __typename }}"}).encode()
"""A new document each time it is sent."""


class Started(NamedTuple):
    """A running gateway, and how long it took to start."""

    contestant: Contestant
    server: Server
    took_s: float


async def started(client: httpx.AsyncClient, *, workers: int = 1, cores: str = "0") -> Started:
    """Start a gateway, and wait until it responds."""
    contestant = gateway(PORT, workers)
    began = time.perf_counter()
    server = Server.start(
        contestant.name,
        contestant.command,
        {},
        cores=cores,
        log=INSTALLED / "alone.log",
        cwd=contestant.cwd,
    )
    await ready(client, server, contestant.url, WORKLOADS[0].body(GATEWAY))
    return Started(contestant, server, time.perf_counter() - began)


async def measure(
    client: httpx.AsyncClient, upstream: Upstream, show: Callable[[str], None], seconds: float
) -> None:
    """Measure everything, and show one table after the other."""
    show("## This gateway alone\n")
    took: list[float] = []
    for _ in range(STARTS):
        one = await started(client)
        took.append(one.took_s)
        one.server.stop()
    show(f"Start-up until the first answer: {statistics.median(took):.2f} s (warm)\n")
    await _heads(client, upstream, show, seconds)
    await _growth(client, upstream, show, seconds)
    await _memory(client, upstream, show)
    await _workers(client, upstream, show, seconds)


async def _heads(
    client: httpx.AsyncClient, upstream: Upstream, show: Callable[[str], None], seconds: float
) -> None:
    """Measure requests with the same head as the one before, and with different heads."""
    one = await started(client)
    body = WORKLOADS[0].body(GATEWAY)
    cpu_ms = []
    try:
        for traced in (False, True, False, True):
            point = await press(
                one.contestant,
                one.server,
                [body, body],
                upstream,
                seconds=seconds,
                connections=16,
                traced=traced,
            )
            cpu_ms.append(point.cpu_ms)
    finally:
        one.server.stop()
    same, other = (short(min(cpu_ms[at::2])) for at in (0, 1))
    show(f"Q1 with equal heads: {same} ms of CPU; with a header that differs: {other} ms\n")


async def _growth(
    client: httpx.AsyncClient, upstream: Upstream, show: Callable[[str], None], seconds: float
) -> None:
    one = await started(client)
    rows = []
    fewer, less = 0, 0.0
    try:
        for segments, members in GROWTH:
            body = growing(segments, members)
            await ask(client, one.contestant.url, body)
            one.server.forget_peak()
            before = one.server.use().rss_bytes
            answer = await ask(client, one.contestant.url, body)
            grown = one.server.peak_bytes() - before
            point = await press(
                one.contestant, one.server, [body], upstream, seconds=seconds, connections=1
            )
            count = segments * members
            rows.append(
                (
                    f"{count}",
                    f"{1 + segments}",
                    short(point.cpu_ms),
                    short(point.cpu_ms / count * 1000),
                    short((point.cpu_ms - less) / (count - fewer) * 1000),
                    short(max(grown, 0) / count),
                    f"{len(answer) / count:.0f}",
                )
            )
            fewer, less = count, point.cpu_ms
    finally:
        one.server.stop()
    headings = ("rows x 10 fields", "calls", "CPU ms/request", "CPU µs/row", "of each further row")
    show("### Growth, one request at a time\n")
    show(table((*headings, "peak memory B/row", "answer B/row"), rows))


async def _memory(
    client: httpx.AsyncClient, upstream: Upstream, show: Callable[[str], None]
) -> None:
    """Mixed operations, a tenth of them with new documents."""
    one = await started(client)
    bodies = []
    for each in WORKLOADS:
        bodies += [each.body(GATEWAY), *LIGHT * 5]
    bodies = [body if number % 10 else UNSEEN for number, body in enumerate(bodies)]
    try:
        fresh = one.server.use().rss_bytes
        sent = 0
        while sent < OPERATIONS:
            point = await press(
                one.contestant,
                one.server,
                bodies,
                upstream,
                seconds=10,
                connections=16,
            )
            sent += point.requests
        used = one.server.use().rss_bytes
        peak = one.server.peak_bytes()
    finally:
        one.server.stop()
    sizes = [f"{value / 2**20:.0f} MB" for value in (fresh, used, peak)]
    show(f"Memory: {sizes[0]} at start, {sizes[1]} after {sent} mixed operations, of which a")
    show(f"tenth were new documents; at most {sizes[2]}.\n")


async def _workers(
    client: httpx.AsyncClient, upstream: Upstream, show: Callable[[str], None], seconds: float
) -> None:
    """Measure two workers, which share both cores with the load generator."""
    rows = []
    workload = next(each for each in WORKLOADS if each.name == "Q4")
    for workers in (1, 2):
        one = await started(client, workers=workers, cores=CORES)
        try:
            await asyncio.sleep(1)  # until the other worker is up, too
            bodies = [workload.body(GATEWAY)]
            for length in (1, seconds):  # the first only warms up
                point = await press(
                    one.contestant,
                    one.server,
                    bodies,
                    upstream,
                    seconds=length,
                    connections=32,
                    core=CORES,
                )
            memory = one.server.use().rss_bytes / 2**20
        finally:
            one.server.stop()
        rows.append((f"{workers}", short(point.per_s), short(point.cpu_ms), f"{memory:.0f}"))
    show(f"### `--workers`, {workload.name}, cores shared with wrk and the upstream\n")
    show(table(("workers", "req/s", "CPU ms/request", "RSS MB, all processes"), rows))
