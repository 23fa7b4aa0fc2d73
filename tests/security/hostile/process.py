"""The gateway as a process of its own, an honest client beside the hostile ones, its memory."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.security.served import FOUND, QUERY, Answer

PATIENCE_S = 30.0
START_S = 120.0
"""On an idle machine it takes 3."""
MAX_GROWTH = 50 * 2**20
"""Bytes that all hostile requests together may cost."""

TICKS = os.sysconf("SC_CLK_TCK")

CONFIGURATION = """
[server]
drain_s = 0

[limits]
# What is read is little, and the times are long, for a machine that is busy with other tests.
body_bytes = 1048576
header_timeout_s = 2
body_timeout_s = 4

[[providers]]
key = "stuut"
kind = "stuut"
base_url = "sandbox:"
"""


@dataclass
class Process:
    """The gateway's process."""

    pid: int
    port: int

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        (line,) = (line for line in lines if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that it has used."""
        text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / TICKS

    def ask(self, data: bytes) -> Answer:
        """Send bytes over a connection of their own; return the answer to them."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as line:
            # It may be refused before all of it is sent.
            with contextlib.suppress(OSError):
                line.sendall(data)
            reply = http.client.HTTPResponse(line)
            reply.begin()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, headers, reply.read())


@dataclass
class Honest:
    """Asks all the time, each time over a new connection, and keeps what went wrong."""

    process: Process
    answered: int = 0
    slowest_s: float = 0
    wrong: list[Any] = field(default_factory=list)
    _gone: threading.Event = field(default_factory=threading.Event)
    _told: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        """Ask until `leave`."""
        while not self._gone.wait(0.02):
            started = time.monotonic()
            try:
                answer = self._asked()
            except OSError as error:
                self.wrong.append(error)
                continue
            if answer != FOUND:
                self.wrong.append(answer)
            with self._told:
                self.answered += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                self._told.notify_all()

    def is_answered(self) -> bool:
        """Wait for two more answers: one of them was asked after this began."""
        goal = self.answered + 2
        with self._told:
            return self._told.wait_for(lambda: self.answered >= goal, PATIENCE_S)

    def leave(self) -> None:
        """Stop."""
        self._gone.set()

    def _asked(self) -> Any:
        line = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=PATIENCE_S)
        with contextlib.closing(line):
            line.request("POST", "/graphql", QUERY, {"content-type": "application/json"})
            return json.loads(line.getresponse().read()).get("data")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def process(folder: Path) -> Iterator[Process]:
    """Start the gateway as its users do, and wait until it answers."""
    configuration = folder / "gateway.toml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    command = ["-m", "gateway", "serve", "--port", str(port), "--config", str(configuration)]
    output = folder / "output"
    with (
        output.open("wb") as written,
        subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=written, stderr=written
        ) as running,
    ):
        try:
            until = time.monotonic() + START_S
            while not _listens(port):
                assert running.poll() is None, output.read_text()
                assert time.monotonic() < until, output.read_text()
                time.sleep(0.05)
            yield Process(running.pid, port)
        finally:
            running.terminate()


@contextlib.contextmanager
def beside_an_honest_client(process: Process) -> Iterator[Honest]:
    """Let an honest client ask all the while; nothing may go wrong, and no memory be lost."""
    honest = Honest(process)
    asking = threading.Thread(target=honest.run)
    asking.start()
    assert honest.is_answered()
    before = process.memory
    try:
        yield honest
        assert honest.is_answered()
        assert not honest.wrong, honest.wrong
        assert process.memory - before < MAX_GROWTH
    finally:
        honest.leave()
        asking.join()
