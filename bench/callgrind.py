"""Count the instructions that a gateway executes for a request, with valgrind's callgrind.

Only instructions in user mode are counted: what the kernel does for the same request is not.
Start-up and warm-up are not counted. What the server does every second or more often is put off:
under valgrind everything but the clock is slow, so that it would count far too much. Garbage is
not collected: whether a collection of the whole heap falls into the count is chance.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import httpx

from bench.contestants import GATEWAY_TOML, INSTALLED, UPSTREAM
from bench.load import HEADERS
from bench.workloads import NEW

QUIET = """
import asyncio, gc
import gateway.changes.feed, gateway.changes.health, gateway.changes.webhooks
import gateway.http.budget_sharing, gateway.http.health_sharing, gateway.observability.metrics
import gateway.store.health, gateway.store.owners
import uvicorn.server
from gateway.__main__ import main
gateway.changes.feed.POLL_S = gateway.changes.webhooks.POLL_S = 3600
gateway.changes.health.LOOK_S = gateway.store.health.EVERY_S = gateway.store.owners.EVERY_S = 3600
gateway.http.budget_sharing.EVERY_S = gateway.observability.metrics.EVERY_S = 3600
gateway.http.health_sharing.EVERY_S = 3600
async def tick_once(self):
    await self.on_tick(0)
    gc.disable()
    await asyncio.Event().wait()
uvicorn.server.Server.main_loop = tick_once
main()
"""
START_S = 600
"""How long a server may take to start under valgrind."""

WARM = 20
TRANSLATED = 2
"""Requests with callgrind on that are not counted: it translates what they execute."""
TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


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


def check_installed() -> None:
    """Raise `SystemExit` if valgrind is missing."""
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is needed (Debian: apt-get install valgrind)")


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
    with subprocess.Popen(  # noqa: S603  # our own
        [sys.executable, script, str(port)], stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextlib.contextmanager
def server_running(upstream: str, tables: str = "") -> Iterator[Server]:
    """Run a gateway under callgrind, which does not count yet.

    `tables` are the end of the table `[server]`, and tables after it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        text = GATEWAY_TOML.replace(UPSTREAM, upstream).replace(str(INSTALLED), name)
        text = text.replace("\nmax_concurrency", "\ntimeout_s = 120\nmax_concurrency")
        file = folder / "gateway.toml"
        head, rest = text.split("[server]\n")
        own, mark, rest = rest.partition("\n[")
        tables = f"[server]\nrequest_timeout_s = 600\n{own}\n{tables}{mark}{rest}"
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


def per_request(
    server: Server,
    bodies: Sequence[bytes],
    count: int,
    settle_s: float = 0,
    *,
    traced: bool = False,
) -> float:
    """Return the instructions per request over `count` requests, which take the bodies in turn.

    `NEW` in a body becomes a name that was never sent before. The counter is read `settle_s` after
    the last request. With `traced`, each request has a `traceparent` of its own.
    """
    sequence = itertools.cycle(bodies)
    numbers = itertools.count(1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=300) as connection:
        replies = connection.makefile("rb")

        def send(times: int) -> None:
            for body, number in zip(itertools.islice(sequence, times), numbers, strict=False):
                headers = dict(HEADERS)
                if traced:
                    headers["traceparent"] = f"00-{number:032x}-{number:016x}-00"
                content = body.replace(NEW.encode(), b"New%d" % number)
                reply = _post(connection, replies, headers, content)
                if "errors" in json.loads(reply):
                    raise SystemExit(reply.decode())

        send(WARM)
        server.control("-i", "on")
        send(TRANSLATED)
        server.counted()
        send(count)
        time.sleep(settle_s)  # records and spans are sent a moment later
        instructions = server.counted()
        server.control("-i", "off")
    return instructions / count


def _post(
    connection: socket.socket, replies: IO[bytes], headers: Mapping[str, str], body: bytes
) -> bytes:
    """Send a request in one piece, as wrk and most clients do, and return the body of its reply.

    httpx sends head and body separately, which is more work for the server.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"POST /graphql HTTP/1.1\r\nhost: localhost\r\n{''.join(lines)}"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    size = 0
    for line in iter(replies.readline, b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return replies.read(size)
