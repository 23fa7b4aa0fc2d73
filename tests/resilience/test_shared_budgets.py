"""Three replicas on PostgreSQL stay within one budget, also while one of them dies.

`LONG=1` has the budgets of the documentation, and goes on for a second minute.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.auth import api_keys
from tests.four_kinds import CREDENTIALS
from tests.proxies.processes import PATIENCE_S, PROVIDER, free_port, sandbox_running
from tests.proxies.replicas import Replica, schema
from tests.sizes import size

pytestmark = pytest.mark.postgres

SECONDS = size("BUDGET_SECONDS", 0, 100)
REQUESTS = size("BUDGET_REQUESTS", 120, 600)
CALLS = size("BUDGET_CALLS", 60, 100)
REFUSALS = 20
"""After so many of both kinds both budgets are used up in all replicas."""
MINUTE_S = 60
CLIENTS = 1
"""Of each replica and kind of request."""

CONFIGURATION = f"""
[server]
cache_ttl_s = 0

[store]
url = "{{store}}"

[limits]
requests_per_minute = {REQUESTS}

[[auth.keys]]
name = "asker"
hash = "{{asker}}"
scopes = ["segments:read"]

[[auth.keys]]
name = "reader"
hash = "{{reader}}"
scopes = ["segments:read"]
"""
READ = """{ segments(first: 1) { nodes { name } sources { error { code retryAfterMs } } } }"""


class Load:
    """Requests of one caller, to all replicas."""

    def __init__(self, key: str, query: str) -> None:
        """Send nothing yet."""
        self._headers = {"authorization": f"Bearer {key}"}
        self._query = query
        self.codes: Counter[str | None] = Counter()
        """The codes of the replies; None: without an error."""

    async def send(self, client: httpx.AsyncClient, url: str, end: asyncio.Event) -> None:
        """Send one request after the other until the end, or until the replica is gone."""
        while not end.is_set():
            try:
                reply = await client.post(
                    url, json={"query": self._query}, headers=self._headers, timeout=PATIENCE_S
                )
            except httpx.TransportError:
                return
            error = _error(reply)
            self.codes[None if error is None else error["code"]] += 1
            if error is not None:
                # Calls count for a second more than the minute.
                assert 0 < error["retryAfterMs"] <= (MINUTE_S + 1) * 1000, error
                # Asked more often than that, which must not help.
                await asyncio.sleep(min(error["retryAfterMs"] / 1000, 0.2))


def _error(reply: httpx.Response) -> dict[str, Any] | None:
    body: dict[str, Any] = reply.json()
    if reply.status_code == httpx.codes.TOO_MANY_REQUESTS:
        assert 1 <= int(reply.headers["retry-after"]) <= MINUTE_S
        extensions: dict[str, Any] = body["errors"][0]["extensions"]
        return extensions
    error: dict[str, Any] | None = None
    for source in body["data"].get("segments", {}).get("sources", ()):
        error = source["error"]
    return error


async def test_three_replicas_within_one_budget(tmp_path: Path) -> None:
    """A caller's 600 requests a minute, and a provider's 100 calls, hold for all together."""
    with sandbox_running() as (sandbox, port), schema() as store:
        asker, reader = api_keys.make(), api_keys.make()
        text = CONFIGURATION.format(store=store, asker=asker[1], reader=reader[1])
        text += PROVIDER.format(kind="emporix", port=port) + f"calls_per_minute = {CALLS}\n"
        text += "".join(f'{key} = "{value}"\n' for key, value in CREDENTIALS["emporix"].items())
        file = tmp_path / "gateway.toml"
        file.write_text(text, encoding="utf-8")
        async with replicas(tmp_path, file) as running:
            asks, reads = Load(asker[0], "{ __typename }"), Load(reader[0], READ)
            started = time.monotonic()
            await _send(running, asks, reads, started + SECONDS)
            took_s = time.monotonic() - started
    allowed = REQUESTS + REQUESTS / MINUTE_S * took_s
    assert asks.codes[None] == pytest.approx(allowed, rel=0.05)
    windows = 1 + took_s // (MINUTE_S + 5)
    assert sandbox.counts["emporix"] == pytest.approx(CALLS * windows, rel=0.05)
    assert {*asks.codes} == {None, "LIMIT_EXCEEDED"}
    assert {*reads.codes} <= {None, "LIMIT_EXCEEDED", "PROVIDER_RATE_LIMITED"}


async def _send(running: Sequence[Replica], asks: Load, reads: Load, until: float) -> None:
    """Send both loads until then, and until both are refused; one replica dies meanwhile."""
    end = asyncio.Event()
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as sending:
        for replica in running:
            url = f"http://127.0.0.1:{replica.port}/graphql"
            for load in (asks, reads) * CLIENTS:
                sending.create_task(load.send(client, url, end))
        await _reached(lambda: asks.codes[None] >= REQUESTS / 2 and reads.codes[None] >= CALLS / 2)
        running[-1].kill()
        asks.codes["LIMIT_EXCEEDED"] = reads.codes["PROVIDER_RATE_LIMITED"] = 0
        await _reached(
            lambda: (
                time.monotonic() >= until
                and asks.codes["LIMIT_EXCEEDED"] >= REFUSALS
                and reads.codes["PROVIDER_RATE_LIMITED"] >= REFUSALS
            )
        )
        end.set()


async def _reached(state: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S + SECONDS):
        while not state():  # noqa: ASYNC110  # of counters and logs
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def replicas(folder: Path, file: Path) -> AsyncIterator[Sequence[Replica]]:
    """Run three replicas, each of which has seen the others."""
    running = [Replica(folder, file, free_port()) for _ in range(3)]
    try:
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in running))
        await _reached(lambda: all("budgets are shared" in each.log for each in running))
        yield running
    finally:
        for each in running:
            each.kill()
