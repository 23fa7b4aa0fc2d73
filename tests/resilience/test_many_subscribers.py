"""Ten thousand subscribers of one process: what they cost, and what they cost others.

`LONG=1` holds the targets: 20 KiB a subscriber, 250 ms from the commit to 99 % of deliveries, and
queries of others slowed by a fifth at most. `pytest -rP` shows the figures.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest

from gateway.domain.change_log import AssignmentObservation, ChangeKind, ChangeSource
from gateway.domain.entities import AssignmentRef
from gateway.store.database_url import database_url
from gateway.store.store import Store
from tests.e2e.serving import customer_id
from tests.proxies.processes import PATIENCE_S, sandbox_running
from tests.resilience.crowd import crowd
from tests.resilience.gateways import Process, serving
from tests.sizes import size
from tests.unit.store.conftest import postgres_url

__all__ = ["postgres_url"]

pytestmark = pytest.mark.postgres

SUBSCRIBERS = size("SUBSCRIBERS", 200, 10_000)
CHANGES = size("SUBSCRIBED_CHANGES", 20, 1000)
EACH = 10
"""Subscribers of each customer."""
PER_SECOND = 20.0
QUIET_S = size("QUIET_S", 0, 10)
QUERY = '{ provider(key: "voucherify") { segments(first: 10) { nodes { id name } } } }'
SUBSCRIPTION = """subscription($customer: ID!, $after: String) {
  assignmentChanged(customerId: $customer, after: $after) { cursor customerId segmentId }
}"""
SETTINGS = """
[server]
cache_ttl_s = 3600
[limits]
connections = 14000
connections_per_address = 14000
subscriptions_per_caller = 20000
"""


class Other:
    """Somebody else, who sends queries one after the other."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Send them by this client."""
        self._client = client

    async def query_until(self, is_over: Callable[[], bool]) -> float:
        """Return the median of the times that queries took, in seconds."""
        times: list[float] = []
        while not times or not is_over():
            start = time.perf_counter()
            reply = await self._client.post("", json={"query": QUERY})
            times.append(time.perf_counter() - start)
            assert "errors" not in reply.json()
            await asyncio.sleep(0.02)
        return median(times)


async def commit(store: Store, committed: dict[str, float]) -> None:
    """Append the changes, a customer after the other; note when each was committed."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(CHANGES):
        await asyncio.sleep(start + number / PER_SECOND - loop.time())
        customer, again = number % (SUBSCRIBERS // EACH), number >= SUBSCRIBERS // EACH
        change = AssignmentObservation(
            ref=AssignmentRef("emporix", "segment", f"c{customer}"),
            kind=ChangeKind.UPDATED if again else ChangeKind.ENTERED,
            source=ChangeSource.WRITE,
        )
        deadline = loop.time() + PATIENCE_S
        appended = await store.changes.settle([change], deadline, deadline)
        assert appended is not None
        committed[appended.cursor.text] = time.time()
        await store.notifications.notify(appended.cursor.epoch, appended.cursor.position)


async def deliver(gateway: Process, store: Store, client: httpx.AsyncClient) -> dict[str, float]:
    """Connect all, change, and return the figures."""
    after = (await client.post("", json={"query": "{ changesCursor }"})).json()["data"]
    arrivals: list[tuple[int, str, float]] = []
    payloads: list[Any] = [
        {
            "query": SUBSCRIPTION,
            "variables": {
                "customer": customer_id("emporix", f"c{number // EACH}"),
                "after": after["changesCursor"],
            },
        }
        for number in range(SUBSCRIBERS)
    ]
    other = Other(client)
    empty = gateway.memory_bytes
    subscribers = await crowd(gateway.port, payloads, lambda *each: arrivals.append(each))
    full = gateway.memory_bytes
    quiet_until = time.time() + QUIET_S
    quiet_cpu_s, quiet_from = gateway.cpu_s, time.time()
    quiet = await other.query_until(lambda: time.time() >= quiet_until)
    idle_cpu = (gateway.cpu_s - quiet_cpu_s) / (time.time() - quiet_from)

    committed: dict[str, float] = {}
    busy_cpu_s, busy_from = gateway.cpu_s, time.time()
    committing = asyncio.create_task(commit(store, committed))
    busy = await other.query_until(committing.done)
    await committing
    async with asyncio.timeout(PATIENCE_S):
        while len(arrivals) < EACH * CHANGES:  # noqa: ASYNC110  # they come by callback
            await asyncio.sleep(0.01)
    used_s = gateway.cpu_s - busy_cpu_s - idle_cpu * (time.time() - busy_from)
    for each in subscribers:
        each.close()

    seen: Counter[tuple[int, str]] = Counter()
    delays = []
    for number, text, arrived in arrivals:
        change = json.loads(text)["payload"]["data"]["assignmentChanged"]
        assert change["customerId"] == payloads[number]["variables"]["customer"]
        seen[number, change["cursor"]] += 1
        delays.append(arrived - committed[change["cursor"]])
    assert len(seen) == EACH * CHANGES
    assert set(seen.values()) == {1}
    delays.sort()
    return {
        "KiB a subscriber": round((full - empty) / SUBSCRIBERS / 1024, 1),
        "µs of CPU an event": round(used_s / len(arrivals) * 1e6),
        "ms to half": round(delays[len(delays) // 2] * 1000, 1),
        "ms to 99 %": round(delays[len(delays) * 99 // 100] * 1000, 1),
        "ms a query, quiet": round(quiet * 1000, 2),
        "ms a query, meanwhile": round(busy * 1000, 2),
    }


async def test_many_subscribers(postgres_url: str, tmp_path: Path) -> None:
    """Each change comes to its ten subscribers, once each, and to nobody else."""
    store = await Store.open(database_url(postgres_url, {}))
    try:
        with (
            sandbox_running() as (_, sandbox),
            serving(tmp_path, postgres_url, sandbox, SETTINGS) as gateway,
        ):
            async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
                figures = await deliver(gateway, store, client)
    finally:
        await store.close()
    print(SUBSCRIBERS, "subscribers:", figures)  # noqa: T201  # for whoever wants them
    if os.environ.get("LONG"):
        assert figures["KiB a subscriber"] <= 20
        assert figures["ms to 99 %"] <= 250
        assert figures["ms a query, meanwhile"] <= 1.2 * figures["ms a query, quiet"]
