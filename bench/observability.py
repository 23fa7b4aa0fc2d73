#!/usr/bin/env python
"""What metrics and traces cost: instructions per request, with them and without.

Run `python bench/observability.py`. It needs valgrind (Debian: `apt-get install valgrind`) and
takes some minutes. Each server runs under callgrind, which counts the instructions in user mode.
Start-up and warm-up are not counted. What the server does every second or more often is put off:
under valgrind everything but the clock is slow, so that it would count far too much. Use an idle
machine: on a busy one the results of two runs differ by some percent.

Traces are measured with no operation recorded and with all of them, sending included: what they
cost at 1 % is between the two, and does not depend on which requests happen to be recorded.
"""

import argparse
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.contestants import GATEWAY_TOML, INSTALLED, UPSTREAM
from bench.load import HEADERS
from bench.workloads import GATEWAY, WORKLOADS, Workload

QUIET = """
import asyncio
import gateway.changes.feed, gateway.changes.health, gateway.changes.webhooks
import gateway.store.health, gateway.store.owners
import uvicorn.server
from gateway.__main__ import main
gateway.changes.feed.POLL_S = gateway.changes.webhooks.POLL_S = 3600
gateway.changes.health.LOOK_S = gateway.store.health.EVERY_S = gateway.store.owners.EVERY_S = 3600
async def tick_once(self):
    await self.on_tick(0)
    await asyncio.Event().wait()
uvicorn.server.Server.main_loop = tick_once
main()
"""
START_S = 600
"""How long a server may take to start under valgrind."""

REQUESTS: Mapping[str, int] = {"Q1": 400, "Q5": 150, "Q3": 20}
"""How many are counted."""
WARM = 20
TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)

TRACES = """metrics = false
[traces]
endpoint = "{collector}"
sampler = {share}
"""
NONE, ALL = "traces: none", "traces: all"
VARIANTS: Mapping[str, str] = {
    "off": "metrics = false",
    "metrics": "metrics = true",
    NONE: TRACES.replace("{share}", "0"),
    ALL: TRACES.replace("{share}", "1"),
}
"""The end of the table `[server]`, and tables after it."""
SHARE = 0.01
"""The share of operations that are recorded, for the last row."""


class Server(NamedTuple):
    """A gateway under callgrind."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path

    def control(self, *arguments: str) -> None:
        """Control callgrind."""
        command = ["callgrind_control", *arguments, str(self.process.pid)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # our own

    def counted(self) -> int:
        """Return the instructions since the last time this was called."""
        before = set(self.folder.glob("callgrind.*"))
        self.control("-d")
        (dump,) = set(self.folder.glob("callgrind.*")) - before
        return sum(map(int, TOTALS.findall(dump.read_text())))


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def upstream_running() -> Iterator[str]:
    """Run the providers; return their address."""
    port = free_port()
    script = Path(__file__).with_name("providers.py")
    with subprocess.Popen([sys.executable, script, str(port)]) as process:  # noqa: S603  # our own
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


class Collector(BaseHTTPRequestHandler):
    """Takes spans, and does nothing with them."""

    def do_POST(self) -> None:  # the interface
        """Read a request and accept it."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def collector_running() -> Iterator[str]:
    """Run a collector of traces in a thread; return its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def server_running(upstream: str, tables: str) -> Iterator[Server]:
    """Run a gateway under callgrind, which does not count yet."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        text = GATEWAY_TOML.replace(UPSTREAM, upstream).replace(str(INSTALLED), name)
        text = text.replace("\nmax_concurrency", "\ntimeout_s = 120\nmax_concurrency")
        file = folder / "gateway.toml"
        head, rest = text.split("[server]\n")
        server, mark, rest = rest.partition("\n[")
        tables = f"[server]\nrequest_timeout_s = 600\n{server}\n{tables}{mark}{rest}"
        file.write_text(head + tables)
        command = [
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet"),
            f"--callgrind-out-file={folder / 'callgrind'}",
            *(sys.executable, "-c", QUIET, "serve"),
            *("--config", str(file), "--port", str(port)),
        ]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process,  # noqa: S603  # our own
        ):
            server = Server(process, port, folder)
            try:
                _wait(server)
                yield server
            finally:
                process.kill()


def _wait(server: Server) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{server.port}/livez", trust_env=False, timeout=60)
            return
        time.sleep(0.5)  # the server is starting; asked again until it listens
    raise SystemExit((server.folder / "log").read_text())


def measure(server: Server, workloads: Sequence[Workload]) -> Iterator[float]:
    """Yield the instructions per request of each workload."""
    url = f"http://127.0.0.1:{server.port}/graphql"
    with httpx.Client(headers=HEADERS, trust_env=False, timeout=300) as client:

        def send(body: bytes, count: int) -> None:
            for _ in range(count):
                reply = client.post(url, content=body)
                if "errors" in reply.json():
                    raise SystemExit(reply.text)

        for workload in workloads:
            body, count = workload.body(GATEWAY), REQUESTS[workload.name]
            send(body, WARM)
            server.control("-i", "on")
            send(body, 2)  # compiles, for callgrind, what is executed
            server.counted()
            send(body, count)
            time.sleep(3)  # the last records are counted, the last spans sent a moment later
            instructions = server.counted()
            server.control("-i", "off")
            yield instructions / count


def main() -> None:
    """Measure all variants, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="*", choices=[*REQUESTS], default=[*REQUESTS])
    parser.add_argument("--variants", nargs="*", choices=[*VARIANTS], default=[*VARIANTS])
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is needed (Debian: apt-get install valgrind)")
    workloads = [each for each in WORKLOADS if each.name in options.workloads]
    results: dict[str, list[float]] = {}
    with upstream_running() as upstream, collector_running() as collector:
        for name in options.variants:
            tables = VARIANTS[name].replace("{collector}", collector)
            with server_running(upstream, tables) as server:
                results[name] = list(measure(server, workloads))
                print(name, results[name], file=sys.stderr, flush=True)
    if NONE in results and ALL in results:
        pairs = zip(results[NONE], results[ALL], strict=True)
        results["traces: 1 %"] = [none + (each - none) * SHARE for none, each in pairs]
    print(f"| instructions per request | {' | '.join(each.name for each in workloads)} |")
    print(f"|---|{'---|' * len(workloads)}")
    base = results[options.variants[0]]
    for name, numbers in results.items():
        cells = [
            f"{number:,.0f} ({(number / of - 1) * 100:+.2f} %)"
            for number, of in zip(numbers, base, strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
