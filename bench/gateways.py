"""Compare this gateway with others over one upstream: CPU, throughput, latency, memory, calls.

`make bench`, or `make bench ARGS="--quick"`. The servers share one core and are measured one
after the other; wrk and the upstream have another. All of it stays on loopback.
"""

import argparse
import asyncio
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from bench import documents, sizes
from bench.comparison import Field, Mode
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
    calling,
    gateway,
)
from bench.load import LOAD_CORE, CannotAnswerError
from bench.processes import Server
from bench.tables import calls, measured, summary
from bench.varied import VARIED
from bench.workloads import WORKLOADS, Workload

LATENCY_MS = 20
MODES = (Mode(16), Mode(1), Mode(16, traced=True), Mode(1, traced=True))
"""How the requests that differ are sent; the equal ones are sent by 16 clients."""
QUICK = {"D2", "D3", "D3b", "D5"}
"""The workloads of `--quick`, which has no warm-up, and equal heads only."""


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
    varied = [each for each in VARIED if each.name in options.workloads]
    equal = [each for each in WORKLOADS if each.name in options.workloads]
    workloads = [*varied, *equal]
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
        prepared = await field.prepare(workloads)
        await field.enter(calling(prepared), workloads)
        await field.enter(bare(prepared), workloads)
        for name, responses in field.comparable(workloads).items():
            print(f"same leaf values: {name}: {responses}")
        await _differing(field, varied, options, show)
        await _equal(field, equal, options, show)
        if options.sizes:
            await sizes.measure(client, field.upstream, show, options.seconds)
            await documents.measure(client, field.upstream, show, options.seconds)


async def _differing(
    field: Field,
    workloads: Sequence[Workload],
    options: argparse.Namespace,
    show: Callable[[str], None],
) -> None:
    """Measure requests that differ: the main tables."""
    if not workloads:
        return
    modes = MODES[:2] if options.quick else MODES
    warm = not options.quick
    results = await field.rounds(workloads, modes, options.rounds, options.seconds, warm=warm)
    show("## Requests that differ\n")
    show("".join(f"- {each.name}: {each.what}\n" for each in workloads))
    for mode in modes:
        show(f"### {mode}\n\n{summary(workloads, results[mode])}")
    show(f"### Upstream calls\n\n{calls(workloads, results[modes[0]], field.at_rest)}")
    for mode in modes[:2]:
        show(f"## Requests that differ, {mode}\n")
        for each in workloads:
            show(measured(each, results[mode][each.name], field.at_rest.get(each.name, {})))
    if options.latency:
        show(f"## Requests that differ, {modes[0]}, {LATENCY_MS} ms of upstream latency\n")
        await field.upstream.latency(LATENCY_MS)
        slow = await field.rounds(workloads, modes[:1], 1, options.seconds, warm=False)
        await field.upstream.latency(0)
        for each in workloads:
            show(measured(each, slow[modes[0]][each.name], field.at_rest.get(each.name, {})))


async def _equal(
    field: Field,
    workloads: Sequence[Workload],
    options: argparse.Namespace,
    show: Callable[[str], None],
) -> None:
    """Measure clients that all send the same request."""
    if not workloads:
        return
    mode = MODES[0]
    warm = not options.quick
    results = (await field.rounds(workloads, [mode], options.rounds, options.seconds, warm=warm))[
        mode
    ]
    show("## Equal requests\n")
    show(
        f"{mode.in_flight} clients send the same request at the same time: calls in flight are "
        "shared by this gateway and Tailcall, which is not what other traffic is like.\n"
    )
    show(summary(workloads, results))
    for each in workloads:
        show(measured(each, results[each.name], field.at_rest.get(each.name, {})))


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


def _node() -> str:
    """Return what runs the peers for Node.js."""
    node = shutil.which("node")
    if node is None:
        return "no Node.js"
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)  # noqa: S603  # found on the path
    return f"Node.js {shown.stdout.strip().removeprefix('v')}"


def _circumstances() -> str:
    """Return the versions, and the load of the machine before the start (Linux)."""
    ours = [f"{name} {version(name)}" for name in ("strawberry-graphql", "httpx", "uvicorn")]
    peers = [*NODE_PACKAGES, *HIVE_PACKAGES, TAILCALL_PACKAGE]
    load = f"load average {os.getloadavg()[0]:.1f} before it began"
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    python = f"Python {platform.python_version()}"
    return (
        f"{system}, {python}, {_node()}, {os.cpu_count()} cores, {load}.\n"
        f"{', '.join(ours)}; {', '.join(dict.fromkeys(peers))}."
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two minutes: an impression, not a result"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of one point")
    parser.add_argument("--peers", nargs="*", choices=PEERS_BY_NAME, default=[*PEERS_BY_NAME])
    names = [each.name for each in (*VARIED, *WORKLOADS)]
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
