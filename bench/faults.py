"""Show that one failing provider does not affect the rest of the response.

Run `python bench/faults.py [rounds]` (3, some seven minutes). The sandbox and the gateway run as
processes of their own, under a steady load from this one. Each round applies every fault to
Emporix for four seconds, and compares with the same time without a fault just before. Three in
four queries go to Stuut alone, the fourth to all providers. Prints one row per fault, with medians
over the rounds, so that a hiccup of the machine in one of them does not matter. The first row has
no fault: its distance from 1 is the machine's noise, and is tolerated in the other rows.

Every response of the sandbox takes 50 ms, the provider's timeout is 1 s, a probe is sent every
second, and nothing is cached. The exit status is 1 if a limit is exceeded.
"""

import asyncio
import contextlib
import itertools
import math
import os
import statistics
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

from gateway.providers.registry import sandboxes

CREDENTIALS = {kind: each.CREDENTIALS for kind, each in sandboxes().items()}
SICK = "emporix"
RATE_HZ = 12.0
"""Of queries to all four providers: Voucherify's sandbox allows 33 calls a second."""
OTHERS = 3
"""Queries to Stuut alone, for each of those: a p99 needs many."""
TIMEOUT_S = 1.0
PROBE_S = 1.0
LATENCY_MS = 50
ROUNDS = 3
STRETCH_S = 4.0
HEALS_S = 4.0
"""How long to wait for its first successful response."""

MAX_RATIO = 1.2
"""The largest ratio to the healthy time, for other providers or with an open circuit."""

MAX_FIRST_MS = (TIMEOUT_S + 0.1) * 1000
MAX_RECOVERY_S = 2 * PROBE_S
BROKEN = "(!)"
OPEN = "PROVIDER_UNAVAILABLE"

NONE = "none"
FAULTS: Mapping[str, Mapping[str, Any]] = {
    NONE: {"kind": "none"},
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

HEADINGS = (
    "others well",
    "others, times healthy",
    "all four at first, ms",
    "breaker open, times healthy",
    "calls to it",
    "back after, s",
    "what was said of it",
)

WELL = '["stuut"]'
QUERY = "{ segments(first: %d%s) { nodes { name } sources { provider { key } error { code } } } }"


class Sample(NamedTuple):
    """One query: when it was sent, how long it took, its outcome."""

    at: float
    took_s: float
    is_well: bool
    """Every part of the other providers arrived."""
    sick: str | None
    """The error code of the failing provider's part; None if it succeeded or was not queried."""


@dataclass
class Load:
    """Sends both kinds of query at a steady rate, and collects the outcomes."""

    session: aiohttp.ClientSession
    url: str
    without: list[Sample] = field(default_factory=list)
    with_all: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        """Send until cancelled; a slow query does not delay the next."""
        async with asyncio.TaskGroup() as group:
            started = time.perf_counter()
            for number in itertools.count():
                await asyncio.sleep(started + number / RATE_HZ / OTHERS - time.perf_counter())
                # Different pages: equal reads at the same time would be one call.
                first = 5 + number % 40
                part = f", filter: {{providers: {WELL}}}"
                group.create_task(self._ask(self.without, QUERY % (first, part)))
                if number % OTHERS == 0:
                    group.create_task(self._ask(self.with_all, QUERY % (first, "")))

    async def stretch(self, seconds: float) -> "Stretch":
        """Return the samples of the next `seconds`."""
        since = time.perf_counter()
        await asyncio.sleep(seconds + TIMEOUT_S / 2)  # the last ones have arrived
        until = since + seconds
        return Stretch(
            [each for each in self.without if since <= each.at < until],
            [each for each in self.with_all if since <= each.at < until],
        )

    async def back_s(self) -> float:
        """Wait until the failing provider's part is back; return how long that took."""
        since = time.perf_counter()
        while time.perf_counter() < since + HEALS_S:
            await asyncio.sleep(0.02)
            good = (e.at + e.took_s for e in self.with_all if e.at >= since and e.sick is None)
            if (back := min(good, default=None)) is not None:
                return back - since
        return math.inf

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


def ms(samples: Sequence[Sample], share: float) -> float:
    """Return this percentile in milliseconds; NaN without samples."""
    ordered = sorted(each.took_s for each in samples)
    place = min(math.ceil(len(ordered) * share), len(ordered)) - 1
    return ordered[place] * 1000 if ordered else math.nan


def times(samples: Sequence[Sample], healthy: Sequence[Sample]) -> tuple[float, float]:
    """Return p50 and p99 as multiples of the healthy ones."""
    return ms(samples, 0.5) / ms(healthy, 0.5), ms(samples, 0.99) / ms(healthy, 0.99)


def medians(rounds: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the medians of both over the rounds; None without rounds."""
    if not rounds:
        return None
    return statistics.median(p50 for p50, _ in rounds), statistics.median(p99 for _, p99 in rounds)


def shown(pair: tuple[float, float] | None) -> str:
    """Format p50 and p99."""
    return "-" if pair is None else f"{pair[0]:.2f} / {pair[1]:.2f}"


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
    """Wait until a server responds."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url):
                    return
            await asyncio.sleep(0.1)


def configuration(sandbox: str, folder: str) -> str:
    """Return a configuration file of the four providers; the store is in this folder."""
    parts = [
        "[server]",
        "cache_ttl_s = 0",
        "[limits]",
        "requests_per_minute = 1000000000",
        "cost_per_minute = 1000000000",
        "[store]",
        f"url = 'sqlite:///{folder}/gateway.db'",
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


class Stretch(NamedTuple):
    """The samples of some seconds."""

    without: Sequence[Sample]
    with_all: Sequence[Sample]


@dataclass
class Results:
    """The results of all rounds for one fault; ratios and times are one per round."""

    without: list[Sample] = field(default_factory=list)
    to_healthy: list[tuple[float, float]] = field(default_factory=list)
    at_first: list[Sample] = field(default_factory=list)
    """Of all four, when the failing provider was called."""
    opened: list[Sample] = field(default_factory=list)
    """Of all four, with the circuit open."""
    opened_to_healthy: list[tuple[float, float]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)

    def take_in(self, healthy: Stretch, sick: Stretch, sent: int, back_s: float) -> None:
        """Add a round."""
        self.without += sick.without
        self.to_healthy.append(times(sick.without, healthy.without))
        opened = [each for each in sick.with_all if each.sick == OPEN]
        self.opened += opened
        self.at_first += [each for each in sick.with_all if each.sick != OPEN]
        if opened:
            self.opened_to_healthy.append(times(opened, healthy.with_all))
        self.sent.append(sent)
        self.back_s.append(back_s)

    def row(self, noise: float) -> Sequence[str]:
        """Return the cells of its row; one that exceeds its limit ends with a mark.

        `noise` is the ratio by which the machine alone increases a p99.
        """
        ours, opened = medians(self.to_healthy), medians(self.opened_to_healthy)
        first = (ms(self.at_first, 0.5), ms(self.at_first, 0.99)) if self.at_first else None
        back_s = statistics.median(self.back_s)
        return (
            cell(share(self.without), all(each.is_well for each in self.without)),
            cell(shown(ours), ours is not None and max(ours) <= MAX_RATIO * noise),
            cell(
                f"{first[0]:.0f} / {first[1]:.0f}" if first else "-",
                first is None or first[1] <= MAX_FIRST_MS,
            ),
            cell(shown(opened), opened is None or max(opened) <= MAX_RATIO * noise),
            f"{statistics.median(self.sent):.0f}",
            cell(f"{back_s:.1f}", back_s <= MAX_RECOVERY_S),
            said([*self.at_first, *self.opened]),
        )


def cell(text: str, holds: bool) -> str:  # noqa: FBT001  # what it says and whether it may
    """Return a cell of the table, marked if it exceeds its limit."""
    return text if holds else f"{text} {BROKEN}"


async def measure(load: Load, sandbox: str, fault: Mapping[str, Any], results: Results) -> None:
    """Measure without the fault, then with it; remove it and wait for recovery."""
    session = load.session
    healthy = await load.stretch(STRETCH_S)
    await session.delete(f"{sandbox}/calls")
    await session.put(f"{sandbox}/faults", json=[{"provider": SICK, **fault}])
    sick = await load.stretch(STRETCH_S)
    async with session.get(f"{sandbox}/calls") as answer:
        sent = (await answer.json())[SICK]
    await session.delete(f"{sandbox}/faults")
    results.take_in(healthy, sick, sent, await load.back_s())


async def main(rounds: int) -> int:
    """Start everything, measure each fault, print; return 1 if a limit is exceeded."""
    results = {name: Results() for name in FAULTS}
    ports = [9400 + os.getpid() % 400, 9900 + os.getpid() % 400]
    sandbox, gateway = (f"http://127.0.0.1:{port}" for port in ports)
    command = [sys.executable, "-m", "gateway"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "gateway.toml")
        await asyncio.to_thread(config.write_text, configuration(sandbox, folder), "utf-8")
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
            await load.stretch(STRETCH_S)
            for number, (name, fault) in itertools.product(range(rounds), FAULTS.items()):
                await measure(load, sandbox, fault, results[name])
                Console(stderr=True).print(f"round {number + 1}: {name}")
            running.cancel()
            await asyncio.wait([running])
    noise = max(1, *(medians(results[NONE].to_healthy) or ()))
    rows = {name: each.row(noise) for name, each in results.items()}
    table = Table(
        "fault",
        *HEADINGS,
        title=f"One sick provider (Emporix), {rounds} rounds; pairs are p50 / p99",
    )
    for name, row in rows.items():
        table.add_row(name, *row)
    Console(width=180).print(table)
    return int(any(BROKEN in text for row in rows.values() for text in row))


def share(samples: Sequence[Sample]) -> str:
    """Return the fraction that succeeded."""
    return f"{sum(each.is_well for each in samples) / len(samples):.1%}" if samples else "-"


def said(samples: Sequence[Sample]) -> str:
    """Return the failing provider's error codes, the most frequent first."""
    codes = Counter((each.sick or "ok").removeprefix("PROVIDER_") for each in samples)
    return ", ".join(f"{code} {count}" for code, count in codes.most_common())


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))
