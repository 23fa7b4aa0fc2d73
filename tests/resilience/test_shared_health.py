"""Two processes on one store show the same health, whichever of them made the calls."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.writes.asking import shoppers
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
PROBED = "retries = 0\nprobe_interval_s = 1"
REPLACE = """mutation ($id: String!) {
  customerSegmentsReplace(input: {provider: "instaleap", customers: [
    {externalId: $id, segments: [{type: "tier", value: "gold"}]}
  ]}) { updatedCustomerIds }
}"""
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


async def ready(client: httpx.AsyncClient, process: Process, key: str = "stuut") -> Any:
    """Return what `/readyz` shows of a provider."""
    reply = await client.get(f"http://127.0.0.1:{process.port}/readyz")
    (shown,) = [each for each in reply.json()["providers"] if each["key"] == key]
    return shown


async def put_faults(client: httpx.AsyncClient, sandbox: int, *faults: object) -> None:
    """Let the sandbox fail like this."""
    put = await client.put(f"http://127.0.0.1:{sandbox}/faults", json=faults)
    assert put.status_code == httpx.codes.OK


async def test_failures_elsewhere_are_shown_here(tmp_path: Path) -> None:
    """`providerHealthChanged` and `/readyz` follow, although nobody here calls the provider."""
    store = f"sqlite:///{tmp_path}/gateway.db"
    how: Any = {"trust_env": False, "timeout": PATIENCE_S}
    with sandbox_running() as (_, sandbox), serving(tmp_path, store, sandbox, SETTINGS) as here:
        async with httpx.AsyncClient(**how) as client, asyncio.timeout(PATIENCE_S):
            with serving(tmp_path, store, sandbox, SETTINGS) as there:
                assert await ready(client, here) == UNKNOWN
                fault = {"provider": "stuut", "kind": "error", "status": 503}
                await put_faults(client, sandbox, fault)
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


async def test_an_open_circuit_of_an_idle_process_is_not_shown_for_ever(tmp_path: Path) -> None:
    """Instaleap cannot be probed: there, a circuit stays open until the process's next write."""
    store, (known,) = f"sqlite:///{tmp_path}/gateway.db", shoppers(1)
    how: Any = {"trust_env": False, "timeout": PATIENCE_S}
    with (
        sandbox_running() as (_, sandbox),
        serving(tmp_path, store, sandbox, provider=PROBED) as idle,
        serving(tmp_path, store, sandbox, provider=PROBED) as busy,
    ):
        async with httpx.AsyncClient(**how) as client, asyncio.timeout(PATIENCE_S):

            async def updated(process: Process, customer: str) -> Any:
                body = {"query": REPLACE, "variables": {"id": customer}}
                reply = (await client.post(process.url, json=body)).json()
                return reply["data"]["customerSegmentsReplace"]["updatedCustomerIds"]

            fault = {"provider": "instaleap", "kind": "error", "status": 503}
            await put_faults(client, sandbox, fault)
            for number in range(CALLS):
                assert await updated(idle, f"{number}") == []
            while (await ready(client, busy, "instaleap"))["circuit"] != "OPEN":
                pass
            await put_faults(client, sandbox)
            assert await updated(busy, known) == [known]
            for process in (idle, busy):
                while (await ready(client, process, "instaleap"))["circuit"] != "CLOSED":
                    pass
