"""Two processes on one store show the same health, whichever of them made the calls."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from tests.proxies.processes import PATIENCE_S, sandbox_running
from tests.resilience.gateways import Process, serving

SETTINGS = """
[server]
cache_ttl_s = 0
"""
HEALTH = "health { status circuit lastError lastSuccessAt }"
SUBSCRIBE = f'subscription {{ providerHealthChanged(keys: ["stuut"]) {{ {HEALTH} }} }}'
CALL = """{ segments(filter: {providers: ["stuut"]}) { sources { error { code } } } }"""
CALLS = 8
"""Enough of those that fail open a circuit."""
UNKNOWN = {
    "key": "stuut",
    "kind": "stuut",
    "status": "UNKNOWN",
    "circuit": "CLOSED",
}


async def events(response: httpx.Response) -> Any:
    """Yield the health in each event of a stream."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))["data"]
            yield data["providerHealthChanged"]["health"]


async def ready(client: httpx.AsyncClient, process: Process) -> Any:
    """Return what `/readyz` shows of Stuut."""
    reply = await client.get(f"http://127.0.0.1:{process.port}/readyz")
    return reply.json()["providers"][0]


async def test_failures_elsewhere_are_shown_here(tmp_path: Path) -> None:
    """`providerHealthChanged` and `/readyz` follow, although nobody here calls the provider."""
    store = f"sqlite:///{tmp_path}/gateway.db"
    how: Any = {"trust_env": False, "timeout": PATIENCE_S}
    with sandbox_running() as (_, sandbox), serving(tmp_path, store, sandbox, SETTINGS) as here:
        async with httpx.AsyncClient(**how) as client, asyncio.timeout(PATIENCE_S):
            with serving(tmp_path, store, sandbox, SETTINGS) as there:
                assert await ready(client, here) == UNKNOWN
                fault = [{"provider": "stuut", "kind": "error", "status": 503}]
                put = await client.put(f"http://127.0.0.1:{sandbox}/faults", json=fault)
                assert put.status_code == httpx.codes.OK
                accept = {"accept": "text/event-stream"}
                request = client.stream(
                    "GET", here.url, params={"query": SUBSCRIBE}, headers=accept
                )
                async with request as response:
                    codes = []
                    for _ in range(CALLS):
                        reply = (await client.post(there.url, json={"query": CALL})).json()
                        codes.append(reply["data"]["segments"]["sources"][0]["error"]["code"])
                    assert codes[-1] == "PROVIDER_UNAVAILABLE"
                    async for health in events(response):
                        if health["circuit"] == "OPEN":
                            break
                assert health == {
                    "status": "DOWN",
                    "circuit": "OPEN",
                    "lastError": "PROVIDER_BROKEN",
                    "lastSuccessAt": None,
                }
                shown = {**UNKNOWN, "status": "DOWN", "circuit": "OPEN"}
                assert await ready(client, here) == await ready(client, there) == shown
            while await ready(client, here) != UNKNOWN:  # the other one is gone
                pass
