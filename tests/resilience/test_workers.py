"""`gateway serve --workers`: workers that start slowly, that die, that lose their supervisor."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.auth.api_keys import make
from tests.sizes import size

PATIENCE_S = 60.0
"""What a test waits for at most; nothing should take that long."""

SLOW_S = size("WORKER_SLOW_S", 6, 20)
"""Longer than uvicorn gives a worker."""

ONE_S = size("RELOAD_S", 5, 1)
"""How soon a revoked key is refused: within a second, if the machine is not busy otherwise."""

SLOW_START = """
import os, sys, time
if "--multiprocessing-fork" in sys.argv:
    until = time.monotonic() + 100
    open(os.environ["GO"] + ".waits", "w").close()
    while not os.path.exists(os.environ["GO"]) and time.monotonic() < until:
        time.sleep(0.02)
"""
"""Python runs this (`sitecustomize`) before anything else of a worker: it waits for a file."""

SANDBOX = '\n[[providers]]\nkey = "shop"\nkind = "stuut"\nbase_url = "sandbox:"\n'


class Served:
    """A gateway of some workers, with what it writes into its log."""

    def __init__(self, folder: Path, configuration: str, workers: int) -> None:
        """Start it; its workers start when the file `go` is there."""
        self.go = folder / "go"
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(SLOW_START, encoding="utf-8")
        (folder / "gateway.toml").write_text(configuration + SANDBOX, encoding="utf-8")
        self._log = folder / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        arguments = ["--port", str(self.port), "--workers", str(workers)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gateway", "serve"),
                    *("--config", str(folder / "gateway.toml"), *arguments),
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(folder / "site"), "GO": str(self.go)},
            )

    @property
    def text(self) -> str:
        """All that it wrote."""
        return self._log.read_text(encoding="utf-8")

    @property
    def log(self) -> list[dict[str, Any]]:
        """What the log says, without the time."""
        lines = self.text.splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line[0] == "{" and line.endswith("\n")]
        return [{k: v for k, v in line.items() if k != "timestamp"} for line in whole]

    def started(self) -> list[int]:
        """Return the processes that have started to serve."""
        return [line["pid"] for line in self.log if line["event"] == "worker_started"]

    def is_up(self) -> bool:
        """Return whether a server responds."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/livez", trust_env=False).is_success
        return False

    def stop(self) -> int:
        """Stop it as a service manager does; return the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


Serves = Callable[..., Served]


@pytest.fixture
def serves(tmp_path: Path) -> Iterator[Serves]:
    """Serve gateways, and leave none behind."""
    made: list[Served] = []

    def serve(server: str = "", workers: int = 2) -> Served:
        made.append(Served(tmp_path, f"[server]\ndrain_s = 0\n{server}", workers))
        return made[-1]

    yield serve
    for each in made:
        each.go.touch()
        for pid in (each.process.pid, *each.started()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        each.process.wait(PATIENCE_S)


def wait_until(condition: Callable[[], bool], served: Served) -> None:
    """Wait for something to come true."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert served.process.poll() in {None, -signal.SIGKILL}, served.text
        assert time.monotonic() < until, served.text
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Return whether a process is running."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        # One that has ended stays until it is waited for, which an orphan's new parent does.
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_workers_that_start_slowly_are_waited_for(serves: Serves) -> None:
    """For longer than uvicorn waits; then they serve, and stop on a signal."""
    served = serves()
    until = time.monotonic() + SLOW_S
    while time.monotonic() < until:
        assert served.process.poll() is None
        time.sleep(0.1)
    assert served.log == []
    served.go.touch()
    wait_until(lambda: len(served.started()) == 2, served)
    assert served.is_up()
    assert served.stop() == 0
    workers = {line["pid"] for line in served.log if line["event"] == "started"}
    assert workers == set(served.started())
    lines = [line["event"] for line in served.log]
    # Whether the workers still notice each other depends on how fast they stop.
    assert sorted(each for each in lines if each != "budgets are shared") == sorted(
        [*["started", "worker_started", "stopped"] * 2, "stopping"]
    )


def test_a_worker_that_does_not_start_is_replaced(serves: Serves) -> None:
    """After `server.worker_start_s`, with lines in the log; the next one may do better."""
    served = serves("worker_start_s = 1\n")
    wait_until(lambda: len(served.log) >= 4, served)
    pid = served.log[0]["pid"]
    killed, died = [line for line in served.log if line["pid"] == pid]
    assert killed == {
        "event": "worker_killed",
        "level": "error",
        "pid": pid,
        "why": "has not started within 1 s (server.worker_start_s)",
    }
    assert died == {
        "event": "worker_died",
        "level": "error",
        "pid": pid,
        "signal": "SIGKILL",
        "served": False,
    }


def test_deaths_and_orphans(serves: Serves) -> None:
    """A worker that dies is named and replaced; all end soon after their supervisor."""
    served = serves()
    served.go.touch()
    wait_until(lambda: len(served.started()) == 2, served)
    first, second = served.started()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(served.started()) == 3, served)
    died = [line for line in served.log if line["event"] == "worker_died"]
    assert died == [
        {
            "event": "worker_died",
            "level": "error",
            "pid": first,
            "signal": "SIGKILL",
            "served": True,
        }
    ]
    third = served.started()[2]
    assert served.is_up()
    body = b'{"query": "{ __typename }"}'
    head = f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), PATIENCE_S) as client:
        client.sendall(head.encode() + body[:5])
        served.process.kill()
        served.process.wait(PATIENCE_S)
        wait_until(lambda: len(events(served, "supervisor_died")) == 2, served)
        # A service manager then stops what is left; that is not a second signal to hurry.
        for worker in (second, third):
            os.kill(worker, signal.SIGTERM)
        wait_until(lambda: len(events(served, "stopping")) == 2, served)
        client.sendall(body[5:])
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    wait_until(lambda: not lives(second) and not lives(third), served)
    assert {line["pid"] for line in events(served, "stopped")} == {second, third}
    assert not served.is_up()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(
    serves: Serves, workers: int, number: signal.Signals
) -> None:
    """Also while a request is read, and without a traceback."""
    served = serves(workers=workers)
    served.go.touch()
    wait_until(lambda: len(events(served, "started")) == workers, served)
    wait_until(served.is_up, served)
    head = f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Length: 9\r\n"
    head += "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), PATIENCE_S) as client:
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n")
        served.process.send_signal(number)
        wait_until(lambda: bool(events(served, "stopping")), served)
        assert served.process.poll() is None
        served.process.send_signal(number)
        assert served.process.wait(PATIENCE_S) == 0
    usual = {"started", "worker_started", "budgets are shared", "stopping", "stopped"}
    assert {line["event"] for line in served.log} <= usual
    assert len(served.log) == len(served.text.splitlines())


def test_reloading(serves: Serves, tmp_path: Path) -> None:
    """All workers follow the file within a second of the signal, also on open connections."""
    pid_file = tmp_path / "pid"
    credential, digest = make()
    (tmp_path / "hash").write_text(f"{digest}\n", encoding="utf-8")
    key = """
[[auth.keys]]
name = "one"
hash = "${file:%s/hash}"
scopes = ["admin"]
"""
    served = serves(f'pid_file = "{pid_file}"\n' + key % tmp_path)
    served.go.touch()
    wait_until(lambda: len(served.started()) == 2, served)
    assert int(pid_file.read_text()) == served.process.pid
    file = tmp_path / "gateway.toml"
    text = file.read_text(encoding="utf-8")
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                httpx.Client(
                    base_url=f"http://127.0.0.1:{served.port}",
                    headers={"authorization": f"Bearer {credential}"},
                    trust_env=False,
                )
            )
            for _ in range(8)
        ]

        def statuses() -> set[int]:
            body = {"query": "{ providers { key } }"}
            return {each.post("/graphql", json=body).status_code for each in clients}

        assert statuses() == {200}
        file.write_text(text.replace("[[auth.keys]]", "[[auth.key]]"), encoding="utf-8")
        assert CliRunner().invoke(cli, ("reload", "--config", str(file))).exit_code == 0
        wait_until(lambda: len(events(served, "reload_failed")) == 2, served)
        for line in events(served, "reload_failed"):
            assert line["problems"][0].startswith("auth.key: is not a known setting")
        assert statuses() == {200}
        assert clients[0].get("/readyz").json()["configuration"].startswith("not reloaded")

        # As a deployment replaces a secret: the file of the settings stays as it is.
        file.write_text(text, encoding="utf-8")
        (tmp_path / "hash").write_text(make()[1], encoding="utf-8")
        by_id = ("reload", "--pid", str(served.process.pid))
        assert CliRunner().invoke(cli, by_id).exit_code == 0
        begun = time.monotonic()
        wait_until(lambda: statuses() == {401}, served)
        assert time.monotonic() - begun < ONE_S
        wait_until(lambda: len(events(served, "reloaded")) == 2, served)
        assert [line["changed"] for line in events(served, "reloaded")] == [["auth.keys"]] * 2
    assert served.stop() == 0
    assert not pid_file.exists()


def events(served: Served, name: str) -> list[dict[str, Any]]:
    """Return the lines of the log about one event."""
    return [line for line in served.log if line["event"] == name]


def test_workers_that_cannot_start_stop_the_gateway(serves: Serves, tmp_path: Path) -> None:
    """If no process has ever served, restarting forever would hide the fault."""
    served = serves()
    wait_until((tmp_path / "go.waits").exists, served)
    (tmp_path / "gateway.toml").write_text("broken", encoding="utf-8")
    served.go.touch()
    assert served.process.wait(PATIENCE_S) == 1
    last = served.log[-1]
    assert last == {"event": "workers_cannot_start", "level": "error", "exit_code": 1}
