"""Requests: single ones to compare responses, and wrk for load."""

import asyncio
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from bench.contestants import INSTALLED, KEY, UPSTREAM, Contestant
from bench.processes import Server
from bench.workloads import NEW

HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "authorization": f"Bearer {KEY}",
}
"""All servers get the same headers; only this gateway checks credentials."""

LOAD_CORE = "1"
READY_S = 60


class CannotAnswerError(Exception):
    """A server that does not start, or has the wrong response."""


class Point(NamedTuple):
    """One measurement of one server under load."""

    requests: int
    cpu_ms: float
    """Per request, for all processes of the server."""
    per_s: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    calls: float
    """Upstream calls per request."""
    errors: int


class Upstream:
    """Controls the benchmark's upstream."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Use this client."""
        self._client = client

    async def calls(self) -> int:
        """Return the number of calls since `reset`."""
        calls: int = (await self._client.get(f"{UPSTREAM}/__calls")).json()["calls"]
        return calls

    async def targets(self) -> Sequence[str]:
        """Return the paths and queries called since `reset`, in the order of the first call."""
        targets: Sequence[str] = (await self._client.get(f"{UPSTREAM}/__targets")).json()
        return targets

    async def reset(self) -> None:
        """Reset the count."""
        await self._client.get(f"{UPSTREAM}/__reset")

    async def latency(self, milliseconds: float) -> None:
        """Delay every response."""
        await self._client.get(f"{UPSTREAM}/__latency/{milliseconds:g}")


async def ready(client: httpx.AsyncClient, server: Server, url: str, body: bytes) -> bytes:
    """Wait for the first complete response, and return it."""
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
    """Return a response that has data and no errors."""
    answer = await client.post(url, content=body, headers=HEADERS)
    document = answer.json() if answer.is_success else None
    if not document or document.get("errors") or not document.get("data"):
        raise CannotAnswerError(f"HTTP {answer.status_code}: {answer.text[:200]}")
    return answer.content


def leaves(answer: bytes) -> Counter[str]:
    """Return the leaf values of a response, whatever their nesting and names."""
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
    traced: bool = False,
    core: str = LOAD_CORE,
) -> Point:
    """Keep a number of requests in flight, which take the bodies in turn.

    `NEW` in a body becomes a name that was never sent before. With `traced`, each request has a
    `traceparent` of its own. Requests in flight at the end count half, because on average they are
    half done.
    """
    listed = INSTALLED / "bodies.txt"
    _write(listed, b"\n".join(bodies))
    authorization = HEADERS["authorization"]
    environment = {
        **os.environ,
        "BENCH_BODIES": str(listed),
        "BENCH_AUTHORIZATION": authorization,
    }
    if any(NEW.encode() in body for body in bodies):
        environment["BENCH_NEW"] = f"New{secrets.token_hex(4)}"
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
