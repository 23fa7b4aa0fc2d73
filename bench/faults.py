"""Show that one sick provider does not spoil the answer.

Run `python bench/faults.py [seconds]`: the four providers' sandbox and the gateway as processes of
their own, a steady load from this one, and one fault after the other at Emporix, each for so many
seconds (8). Half of the queries leave Emporix out, half touch all four. Prints one row a fault.

Every answer of the sandbox takes 50 ms, the provider's time is 1 s, a probe goes every second;
nothing is kept from one query to the next.
"""

import asyncio
import contextlib
import itertools
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from rich.console import Console
from rich.table import Table

from gateway.sandbox.app import CREDENTIALS

SICK = "emporix"
RATE_HZ = 12.0  # of each half; Voucherify's sandbox allows 33 calls a second
TIMEOUT_S = 1.0
PROBE_S = 1.0
LATENCY_MS = 50
SECONDS = 8.0
SETTLE_S = 4.0

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "hang": {"kind": "hang"},
    "slow: 400 ms, p99 5 s": {"latency_ms": 400, "latency_p99_ms": 5000},
    "503": {"kind": "error", "status": 503},
    "500": {"kind": "error", "status": 500},
    "half 503": {"kind": "error", "status": 503, "share": 0.5},
    "429, Retry-After 1": {"kind": "limit"},
    "reset": {"kind": "reset"},
    "drip": {"kind": "drip"},
    "garbage": {"kind": "garbage"},
    "html": {"kind": "html"},
    "bomb": {"kind": "bomb"},
    "401": {"kind": "error", "status": 401},
    "flapping 1 s, 503": {"kind": "error", "down_s": 1, "up_s": 1},
}

WELL = '["stuut", "voucherify"]'
QUERY = "{ segments(first: %d%s) { nodes { name } sources { provider { key } error { code } } } }"


class Sample(NamedTuple):
    """One query: when it was sent, how long it took, what came of it."""

    at: float
    took_s: float
    is_well: bool
    """Every part that was not the sick provider's came."""
    sick: str | None
    """The code of the sick provider's part; None: it came, or was not asked for."""


@dataclass
class Load:
    """Sends both kinds of query, steadily; keeps what came of each."""

    session: aiohttp.ClientSession
    url: str
    without: list[Sample] = field(default_factory=list)
    with_all: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        """Send until cancelled; a query that is slow does not hold back the next."""
        async with asyncio.TaskGroup() as group:
            started = time.perf_counter()
            for number in itertools.count():
                await asyncio.sleep(started + number / RATE_HZ - time.perf_counter())
                # Different pages: equal reads at the same time would be one call.
                first = 5 + number % 40
                part = f", filter: {{providers: {WELL}}}"
                group.create_task(self._ask(self.without, QUERY % (first, part)))
                group.create_task(self._ask(self.with_all, QUERY % (first, "")))

    async def _ask(self, samples: list[Sample], query: str) -> None:
        at = time.perf_counter()
        is_well, sick = False, None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.session.post(self.url, json={"query": query}) as answer:
                body = await answer.json()
            sources = (body.get("data") or {"segments": {"sources": []}})["segments"]["sources"]
            codes = {
                each["provider"]["key"]: (each["error"] or {}).get("code") for each in sources
            }
            sick = codes.pop(SICK, None)
            is_well = "errors" not in body and bool(codes) and not any(codes.values())
        samples.append(Sample(at, time.perf_counter() - at, is_well, sick))


def between(samples: Sequence[Sample], since: float, until: float) -> Sequence[Sample]:
    """Return those that were sent in this time."""
    return [each for each in samples if since <= each.at < until]


def ms(samples: Sequence[Sample], share: float) -> float:
    """Return the milliseconds that this share of them took at most; NaN of none."""
    ordered = sorted(each.took_s for each in samples)
    place = min(math.ceil(len(ordered) * share), len(ordered)) - 1
    return ordered[place] * 1000 if ordered else math.nan


def told(samples: Sequence[Sample]) -> str:
    """Return p50 and p99 in milliseconds."""
    return f"{ms(samples, 0.5):.0f} / {ms(samples, 0.99):.0f}" if samples else "-"


def times(samples: Sequence[Sample], base: Sequence[Sample]) -> str:
    """Return both compared with a baseline."""
    if not samples:
        return "-"
    return " / ".join(f"{ms(samples, part) / ms(base, part):.2f}" for part in (0.5, 0.99))


@contextlib.asynccontextmanager
async def process(*command: str) -> AsyncIterator[None]:
    """Run a program until the block ends."""
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        running.terminate()
        await running.wait()


async def reachable(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until a server answers."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url):
                    return
            await asyncio.sleep(0.1)


def configuration(sandbox: str) -> str:
    """Return a configuration file of the four providers."""
    parts = [
        "[server]",
        "cache_ttl_s = 0",
    ]
    for kind, credentials in CREDENTIALS.items():
        given = {
            "key": kind,
            "kind": kind,
            "base_url": f"{sandbox}/{kind}",
            "timeout_s": TIMEOUT_S,
            "probe_interval_s": PROBE_S,
            **credentials,
        }
        lines = (f"{key} = {value!r}" for key, value in given.items())
        parts += ["[[providers]]", *lines]
    return "\n".join(parts)


class Measured(NamedTuple):
    """What happened while a fault was there, and after."""

    without: Sequence[Sample]
    at_first: Sequence[Sample]
    """Of all four, before the breaker opened."""
    later: Sequence[Sample]
    """Of all four, once it was open."""
    sent: int
    healed_s: float


async def measure(load: Load, sandbox: str, fault: Mapping[str, Any], seconds: float) -> Measured:
    """Put a fault in, wait, heal it, wait until the sick provider's part is back."""
    session = load.session
    await session.delete(f"{sandbox}/calls")
    since = time.perf_counter()
    await session.put(f"{sandbox}/faults", json=[{"provider": SICK, **fault}])
    await asyncio.sleep(seconds)
    async with session.get(f"{sandbox}/calls") as answer:
        sent = (await answer.json())[SICK]
    await session.delete(f"{sandbox}/faults")
    until = time.perf_counter()
    await asyncio.sleep(SETTLE_S)
    during = between(load.with_all, since, until)
    opened = min((e.at for e in during if e.sick == "PROVIDER_UNAVAILABLE"), default=until)
    after = between(load.with_all, until, math.inf)
    back = min((e.at + e.took_s for e in after if e.sick is None), default=math.inf)
    return Measured(
        between(load.without, since, until),
        [each for each in during if each.at < opened],
        [each for each in during if each.at >= opened],
        sent,
        back - until,
    )


async def main(seconds: float) -> None:
    """Start everything, take the baseline, go through the faults, print."""
    table = Table("fault", title="One sick provider (Emporix); milliseconds are p50 / p99")
    for heading in (
        "others well",
        "others ms",
        "to baseline",
        "all four, at first",
        "breaker open",
        "to baseline",
        "calls to it",
        "back after s",
        "what it said",
    ):
        table.add_column(heading, justify="right")
    ports = [9400 + os.getpid() % 400, 9900 + os.getpid() % 400]
    sandbox, gateway = (f"http://127.0.0.1:{port}" for port in ports)
    command = [sys.executable, "-m", "gateway"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "gateway.toml")
        await asyncio.to_thread(config.write_text, configuration(sandbox), "utf-8")
        serve = [*command, "serve", "--config", str(config), "--port", str(ports[1])]
        slow = ["--latency-ms", str(LATENCY_MS), "--port", str(ports[0])]
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            process(*command, "sandbox", *slow),
            process(*serve),
        ):
            await reachable(session, f"{sandbox}/calls")
            await reachable(session, f"{gateway}/livez")
            load = Load(session, f"{gateway}/graphql")
            running = asyncio.create_task(load.run())
            await asyncio.sleep(SETTLE_S)
            base = await measure(load, sandbox, {}, seconds * 2)
            rate = f"{base.sent} in {seconds * 2:.0f} s"
            healthy = (told(base.without), "1", told(base.at_first), "-", "-", rate, "-")
            table.add_row("none", share(base.without), *healthy, said(base.at_first))
            for name, fault in FAULTS.items():
                found = await measure(load, sandbox, fault, seconds)
                table.add_row(
                    name,
                    share(found.without),
                    told(found.without),
                    times(found.without, base.without),
                    told(found.at_first),
                    told(found.later),
                    times(found.later, base.at_first),
                    str(found.sent),
                    f"{found.healed_s:.1f}",
                    said([*found.at_first, *found.later]),
                )
                Console(stderr=True).print(name)
            running.cancel()
            await asyncio.wait([running])
    Console(width=200).print(table)


def share(samples: Sequence[Sample]) -> str:
    """Return the part of them that went well."""
    return f"{sum(each.is_well for each in samples) / len(samples):.1%}" if samples else "-"


def said(samples: Sequence[Sample]) -> str:
    """Return the sick provider's codes, the most frequent first."""
    codes = Counter((each.sick or "ok").removeprefix("PROVIDER_") for each in samples)
    return ", ".join(f"{code} {count}" for code, count in codes.most_common())


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
