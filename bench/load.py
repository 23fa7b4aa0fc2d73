"""Asking: one request to compare answers by, and wrk for load."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from bench.contestants import INSTALLED, KEY, UPSTREAM, Contestant
from bench.processes import Server

HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "authorization": f"Bearer {KEY}",
}
"""Everybody is sent the same; only this gateway asks who it is."""

LOAD_CORE = "1"
READY_S = 60


class CannotAnswerError(Exception):
    """A contestant that does not start, or answers otherwise than it should."""


class Point(NamedTuple):
    """One stretch of load on one contestant."""

    requests: int
    cpu_ms: float
    """Of one request, all processes of the server."""
    per_s: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    calls: float
    """At the upstream for one request."""
    errors: int


class Upstream:
    """The benchmark's upstream, as far as it can be told what to do."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Talk to it by this client."""
        self._client = client

    async def calls(self) -> int:
        """Return how many calls there were since `reset`."""
        told: int = (await self._client.get(f"{UPSTREAM}/__calls")).json()["calls"]
        return told

    async def reset(self) -> None:
        """Count anew."""
        await self._client.get(f"{UPSTREAM}/__reset")

    async def latency(self, milliseconds: float) -> None:
        """Let every answer take so long."""
        await self._client.get(f"{UPSTREAM}/__latency/{milliseconds:g}")


async def ready(client: httpx.AsyncClient, server: Server, url: str, body: bytes) -> bytes:
    """Wait for the first whole answer, and return it."""
    until = time.monotonic() + READY_S
    why = "no answer"
    while time.monotonic() < until and server.is_running:
        try:
            return await ask(client, url, body)
        except (httpx.HTTPError, CannotAnswerError) as error:
            why = f"{type(error).__name__}: {error}"
        await asyncio.sleep(0.02)
    raise CannotAnswerError(f"{server.name} does not come up: {why}; see {server.log.name}")


async def ask(client: httpx.AsyncClient, url: str, body: bytes) -> bytes:
    """Return an answer that has data and no errors."""
    answer = await client.post(url, content=body, headers=HEADERS)
    told = answer.json() if answer.is_success else None
    if not told or told.get("errors") or not told.get("data"):
        raise CannotAnswerError(f"HTTP {answer.status_code}: {answer.text[:200]}")
    return answer.content


def leaves(answer: bytes) -> Counter[str]:
    """Return the leaf values of an answer, however they are nested and named."""
    return Counter(map(json.dumps, _leaves(json.loads(answer)["data"])))


def _leaves(part: Any) -> Iterator[Any]:
    if isinstance(part, dict | list):
        for each in part.values() if isinstance(part, dict) else part:
            yield from _leaves(each)
    else:
        yield part


async def press(  # noqa: PLR0913  # a stretch of load has so many sides
    contestant: Contestant,
    server: Server,
    bodies: Sequence[bytes],
    upstream: Upstream,
    *,
    seconds: float,
    connections: int,
    fresh: bool = False,
    traced: bool = False,
    core: str = LOAD_CORE,
) -> Point:
    """Keep so many requests in flight; bodies take turns.

    With `fresh` every tenth is a document that was not sent before; with `traced` each has a
    header of its own. The requests that are in
    flight at the end count half: they are half done on average.
    """
    listed = INSTALLED / "bodies.txt"
    _write(listed, b"\n".join(bodies))
    authorization = HEADERS["authorization"]
    environment = {
        **os.environ,
        "BENCH_BODIES": str(listed),
        "BENCH_AUTHORIZATION": authorization,
    }
    if fresh:
        environment["BENCH_FRESH"] = "1"
    if traced:
        environment["BENCH_TRACED"] = "1"
    await upstream.reset()
    before = server.use()
    script = Path(__file__).with_name("post.lua")
    flags = f"-t1 -c{connections} -d{max(round(seconds), 1)}s --timeout 30s".split()
    process = await asyncio.create_subprocess_exec(
        *("taskset", "-c", core, "wrk", *flags, "-s", str(script), contestant.url),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    after = server.use()
    lines = [line for line in out.decode().splitlines() if line.startswith("FIGURES")]
    if not lines:
        raise CannotAnswerError(f"wrk: {out.decode()[-200:]}")
    requests, duration_us, _, p50_us, p99_us, errors = map(float, lines[0].split()[1:])
    done = requests + connections / 2
    point = Point(
        requests=int(requests),
        cpu_ms=(after.cpu_s - before.cpu_s) / done * 1000,
        per_s=requests / duration_us * 1e6,
        p50_ms=p50_us / 1000,
        p99_ms=p99_us / 1000,
        rss_mb=after.rss_bytes / 2**20,
        calls=await upstream.calls() / done,
        errors=int(errors),
    )
    await server.settle()
    return point


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
