#!/usr/bin/env python
"""Measure a long stream of replacements at Instaleap: their rate, and the gateway's memory.

Run `python bench/replacements.py [--customers 100000] [--rows 1000] [--at-once 2] [--store URL]`.
It runs the gateway and a stand-in for Instaleap as processes of their own, then sends mutations
with idempotency keys until every customer has three segments. It prints the progress after every
tenth, and at the end the number of customers and assignments in the store, which is a fresh SQLite
file unless a URL is given.
"""

import argparse
import asyncio
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

CONFIGURATION = """
[server]
request_timeout_s = 60

[limits]
cost_per_minute = 1000000000

[store]
url = "{store}"

[[providers]]
key = "shop"
kind = "instaleap"
base_url = "http://127.0.0.1:{port}"
token = "any"
"""
MUTATION = """mutation($input: CustomerSegmentsReplaceInput!) {
  customerSegmentsReplace(input: $input) { results { outcome } userErrors { message } }
}"""
COUNTS = """{
  customers(first: 1, filter: {providers: ["shop"]}) { totalCount }
  provider(key: "shop") { segments(first: 250) { nodes { customersCount { count } } } }
}"""
TIERS = ("GOLD", "SILVER", "BRONZE")


async def shop(_scope: Any, receive: Any, send: Any) -> None:
    """Respond as Instaleap does if it knows every customer."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    customers = msgspec.json.decode(b"".join(parts))["customers"]
    body = msgspec.json.encode({"updatedCustomers": [each["document_id"] for each in customers]})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def process(*command: str, fd: int, **environment: str) -> AsyncIterator[int]:
    """Run Python with an inherited socket until the block ends; yield the process id."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, *command, pass_fds=[fd], env={**os.environ, **environment}
    )
    try:
        yield started.pid
    finally:
        started.terminate()
        await started.wait()


def listening() -> socket.socket:
    """Return a socket on a free port; connections wait until a process serves them."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    return listener


def mebibytes(pid: int, part: str) -> int:
    """Return a figure of a process's memory, from Linux: VmRSS (current) or VmHWM (peak)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == part:
            return int(rest.split()[0]) // 1024
    raise LookupError(part)


def inputs(customers: int, rows: int) -> Iterator[dict[str, Any]]:
    """Yield the inputs of the stream, one at a time."""
    for start in range(0, customers, rows):
        yield {
            "provider": "shop",
            "idempotencyKey": f"stream {start}",
            "customers": [
                {
                    "externalId": f"CC-{number:010}",
                    "segments": [
                        {"type": "membership", "value": TIERS[number % 3]},
                        {"type": "city", "value": str(number % 50)},
                        {"type": "affiliation", "value": "RECURRENT_CUSTOMER"},
                    ],
                }
                for number in range(start, min(start + rows, customers))
            ],
        }


class Stream:
    """Sends the inputs concurrently and reports progress."""

    def __init__(self, client: httpx.AsyncClient, customers: int, gateway: int) -> None:
        """Count down from `customers`; `gateway` is the process to watch."""
        self._client = client
        self._customers = customers
        self._gateway = gateway
        self._started = time.perf_counter()
        self._updated = 0
        self._reported = 0

    async def send(self, left: Iterator[dict[str, Any]]) -> None:
        """Send inputs until none is left."""
        for batch in left:
            body = msgspec.json.encode({"query": MUTATION, "variables": {"input": batch}})
            reply = await self._client.post(
                "/graphql", content=body, headers={"content-type": "application/json"}
            )
            payload = reply.json()["data"]["customerSegmentsReplace"]
            outcomes = {row["outcome"] for row in payload["results"]}
            if outcomes != {"UPDATED"} or payload["userErrors"]:
                raise RuntimeError(f"not all was updated: {outcomes}, {payload['userErrors']}")
            self._updated += len(payload["results"])
            self._tell()

    def _tell(self) -> None:
        if self._updated * 10 // self._customers > self._reported:
            self._reported = self._updated * 10 // self._customers
            took_s = time.perf_counter() - self._started
            print(
                f"{self._updated:>8} customers  {took_s:6.1f} s  "
                f"{self._updated / took_s:6.0f} customers/s  "
                f"gateway {mebibytes(self._gateway, 'VmRSS')} MiB",
                flush=True,
            )


async def main(customers: int, rows: int, at_once: int, store: str | None) -> None:
    """Serve, stream, count."""
    with tempfile.TemporaryDirectory() as folder, listening() as front, listening() as back:
        configuration = Path(folder) / "gateway.toml"
        url = store or f"sqlite:///{folder}/gateway.db"
        port = back.getsockname()[1]
        configuration.write_text(CONFIGURATION.format(store=url, port=port), encoding="utf-8")
        served = ("-m", "uvicorn", "--log-level", "warning", "--fd")
        here = str(Path(__file__).parent)
        async with (
            process(
                *served,
                str(back.fileno()),
                "--app-dir",
                here,
                "replacements:shop",
                fd=back.fileno(),
            ),
            process(
                *served,
                str(front.fileno()),
                "--factory",
                "gateway.asgi:create",
                fd=front.fileno(),
                GATEWAY_CONFIG=str(configuration),
            ) as gateway,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{front.getsockname()[1]}", timeout=120, trust_env=False
            ) as client,
        ):
            await client.get("/livez")
            before = mebibytes(gateway, "VmRSS")
            print(f"{customers} customers, {rows} a mutation, {at_once} mutations at once")
            started = time.perf_counter()
            stream, left = Stream(client, customers, gateway), inputs(customers, rows)
            await asyncio.gather(*(stream.send(left) for _ in range(at_once)))
            took_s = time.perf_counter() - started
            counted = (await client.post("/graphql", json={"query": COUNTS})).json()["data"]
            most = mebibytes(gateway, "VmHWM")
        recorded = counted["customers"]["totalCount"]
        members = (each["customersCount"] for each in counted["provider"]["segments"]["nodes"])
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"rate      {customers / took_s:.0f} customers/s ({took_s:.1f} s)")
        print(f"memory    gateway {before} MiB before, {most} MiB at most; this client {own} MiB")
        print(f"recorded  {recorded} customers, {sum(each['count'] for each in members)} segments")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, usage="%(prog)s [options]")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_000, help="customers of one mutation")
    parser.add_argument("--at-once", type=int, default=2, help="mutations under way")
    parser.add_argument("--store", help="the record's URL, for example postgresql://…")
    options = parser.parse_args()
    asyncio.run(main(options.customers, options.rows, options.at_once, options.store))
