"""Compare this gateway with others over one upstream: CPU, throughput, latency, memory, calls.

`make bench`, or `make bench ARGS="--quick"`. The servers share one core and are measured one
after the other; wrk and the upstream have another. All of it stays on loopback.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from bench import sizes
from bench.contestants import (
    HIVE_PACKAGES,
    INSTALLED,
    NODE_PACKAGES,
    PEERS_BY_NAME,
    TAILCALL_PACKAGE,
    UPSTREAM,
    UPSTREAM_PORT,
    CannotRunError,
    Contestant,
    bare,
    gateway,
)
from bench.load import LOAD_CORE, CannotAnswerError, Point, Upstream, ask, leaves, press, ready
from bench.processes import Server
from bench.tables import measured, summary
from bench.workloads import GATEWAY, WORKLOADS, Workload

SERVER_CORE = "0"
IN_FLIGHT = 16
MIN_REQUESTS = 100
"""Requests that a measurement should have; it takes up to three times as long for them."""
LATENCY_MS = 20
QUICK = {"Q1", "Q2", "Q3b", "Q4b"}
"""The workloads of `--quick`, which has no warm-up."""

Rounds = dict[str, dict[str, list[Point]]]


class Field:
    """Everything that runs: the servers, their workloads, the responses."""

    def __init__(self, client: httpx.AsyncClient, stack: AsyncExitStack) -> None:
        """Start without servers."""
        self.upstream = Upstream(client)
        self.running: dict[str, tuple[Contestant, Server]] = {}
        self.answers: dict[tuple[str, str], bytes] = {}
        self.at_rest: dict[str, dict[str, float]] = {}
        self._client = client
        self._stack = stack

    async def enter(self, contestant: Contestant, workloads: Sequence[Workload]) -> None:
        """Start a server; a workload whose response differs is reported and skipped."""
        log = INSTALLED / f"{contestant.name.replace(' ', '-')}.log"
        server = Server.start(
            contestant.name,
            contestant.command,
            {"UPSTREAM": UPSTREAM, **contestant.environment},
            cores=SERVER_CORE,
            log=log,
            cwd=contestant.cwd,
        )
        self._stack.callback(server.stop)
        first = workloads[0].body(contestant.schema)
        await ready(self._client, server, contestant.url, first)
        self.running[contestant.name] = contestant, server
        for workload in workloads:
            if workload.name not in contestant.cannot:
                await self._compare(contestant, workload)

    async def _compare(self, contestant: Contestant, workload: Workload) -> None:
        body = workload.body(contestant.schema)
        try:
            answer = await ask(self._client, contestant.url, body)
            await self.upstream.reset()
            await ask(self._client, contestant.url, body)
        except (CannotAnswerError, httpx.HTTPError) as error:
            print(f"{contestant.name}, {workload.name}: not measured, {error}")
            return
        self.at_rest.setdefault(workload.name, {})[contestant.name] = await self.upstream.calls()
        ours = self.answers.get((gateway().name, workload.name), answer)
        if leaves(answer) != leaves(ours):
            more, less = leaves(answer) - leaves(ours), leaves(ours) - leaves(answer)
            responses = f"has {list(more)[:3]}, lacks {list(less)[:3]}"
            print(f"{contestant.name}, {workload.name}: not measured, its answer {responses}")
            return
        self.answers[contestant.name, workload.name] = answer

    async def rounds(
        self, workloads: Sequence[Workload], count: int, seconds: float, *, warm: bool
    ) -> Rounds:
        """Measure all servers with one workload, then with the next; then all of it again."""
        results: Rounds = {workload.name: {} for workload in workloads}
        for number in range(-warm, count):
            print(f"{_clock()} round {number + 1} of {count}", file=sys.stderr)
            for workload in workloads:
                for name, (contestant, server) in self.running.items():
                    if (name, workload.name) not in self.answers:
                        continue
                    points = results[workload.name].setdefault(name, [])
                    body = workload.body(contestant.schema)
                    # Warming up takes a second; then whoever is slow gets longer.
                    length = seconds if number >= 0 else 1
                    if points and number >= 0 and points[-1].per_s * seconds < MIN_REQUESTS:
                        length = min(MIN_REQUESTS / max(points[-1].per_s, 1), 3 * seconds)
                    point = await press(
                        contestant,
                        server,
                        [body],
                        self.upstream,
                        seconds=length,
                        connections=IN_FLIGHT,
                    )
                    if number == 0:
                        points.clear()  # the point that only warmed up
                    points.append(point)
        return results


def _clock() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")


def installed(names: Sequence[str]) -> list[Contestant]:
    """Install the peers; skip one that cannot be installed, with a message."""
    available = []
    for name in names:
        try:
            available.append(PEERS_BY_NAME[name]())
        except (CannotRunError, OSError) as error:
            print(f"{name}: skipped, {error}")
    return available


async def compare(options: argparse.Namespace, show: Callable[[str], None]) -> None:
    """Run everything, and show one table after the other."""
    peers = installed(options.peers)
    workloads = [each for each in WORKLOADS if each.name in options.workloads]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        upstream = Server.start(
            "upstream",
            (sys.executable, Path(__file__).with_name("providers.py"), str(UPSTREAM_PORT)),
            {},
            cores=LOAD_CORE,
            log=INSTALLED / "upstream.log",
        )
        stack.callback(upstream.stop)
        await _listening(client, upstream)
        field = Field(client, stack)
        await field.enter(gateway(), workloads)
        for peer in peers:
            try:
                await field.enter(peer, workloads)
            except CannotAnswerError as error:
                print(f"{peer.name}: skipped, {error}")
        await field.enter(bare(_told(field, workloads)), workloads)
        for name, responses in _equal(field, workloads).items():
            print(f"same leaf values: {name}: {responses}")
        warm = not options.quick
        results = await field.rounds(workloads, options.rounds, options.seconds, warm=warm)
        show(f"## {IN_FLIGHT} requests in flight\n\n{summary(workloads, results)}")
        for each in workloads:
            show(measured(each, results[each.name], field.at_rest.get(each.name, {})))
        if options.latency:
            slow = [each for each in workloads if each.name != "Q1"]
            await field.upstream.latency(LATENCY_MS)
            results = await field.rounds(slow, 1, options.seconds, warm=False)
            await field.upstream.latency(0)
            show(f"## The same with {LATENCY_MS} ms of upstream latency\n")
            for each in slow:
                show(measured(each, results[each.name], field.at_rest.get(each.name, {})))
        if options.sizes:
            await sizes.measure(client, field.upstream, show, options.seconds)


def _told(field: Field, workloads: Sequence[Workload]) -> Path:
    """Write the gateway's responses to a file, for bare uvicorn to send."""
    responses = {
        each.body(GATEWAY).decode(): field.answers[gateway().name, each.name].decode()
        for each in workloads
        if (gateway().name, each.name) in field.answers
    }
    path = INSTALLED / "answers.json"
    path.write_text(json.dumps(responses))
    return path


def _equal(field: Field, workloads: Sequence[Workload]) -> Mapping[str, str]:
    shown = {}
    for name in field.running:
        good = [each.name for each in workloads if (name, each.name) in field.answers]
        shown[name] = " ".join(good)
    return shown


async def _listening(client: httpx.AsyncClient, upstream: Server) -> None:
    for _ in range(250):
        if not upstream.is_running:
            break
        try:
            await client.get(f"{UPSTREAM}/__calls")
        except httpx.TransportError:
            await asyncio.sleep(0.02)
        else:
            return
    raise SystemExit(f"the upstream does not start: is port {UPSTREAM_PORT} taken?")


def _circumstances() -> str:
    """Return the versions, and the load of the machine before the start."""
    ours = [f"{name} {version(name)}" for name in ("strawberry-graphql", "httpx", "uvicorn")]
    peers = [*NODE_PACKAGES, *HIVE_PACKAGES, TAILCALL_PACKAGE]
    load = f"load average {os.getloadavg()[0]:.1f} before it began"
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {load}.\n"
        f"{', '.join(ours)}; {', '.join(dict.fromkeys(peers))}."
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one minute: an impression, not a result"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of one point")
    parser.add_argument("--peers", nargs="*", choices=PEERS_BY_NAME, default=[*PEERS_BY_NAME])
    names = [each.name for each in WORKLOADS]
    parser.add_argument("--workloads", nargs="*", choices=names, default=names)
    parser.add_argument("--latency", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--sizes", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="write the tables there, too")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
        options.latency = options.sizes = False
        options.workloads = [name for name in options.workloads if name in QUICK]
    if not shutil.which("wrk") or not shutil.which("taskset"):
        raise SystemExit("wrk and taskset are needed (Debian: apt-get install wrk util-linux)")
    if (os.cpu_count() or 1) < 2:  # noqa: PLR2004  # one for the servers, one for the load
        raise SystemExit("two cores are needed: one for the servers, one for the load")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else its servers would outlive it
    tables: list[str] = []

    def show(text: str) -> None:
        print(text, flush=True)
        tables.append(text)

    command = " ".join(["make bench", f'ARGS="{" ".join(sys.argv[1:])}"' * (len(sys.argv) > 1)])
    today = datetime.now(UTC).date()
    show(f"# Results\n\n{today}, `{command.strip()}`, {_circumstances()}\n")
    asyncio.run(compare(options, show))
    if options.out:
        options.out.write_text("\n".join(tables))


if __name__ == "__main__":
    main()
