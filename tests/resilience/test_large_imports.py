"""`gateway import` of many rows, over a sandbox of its own, killed and repeated."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from gateway.sandbox.app import Sandbox, SandboxOptions
from gateway.sandbox.people import people
from tests.four_kinds import CREDENTIALS
from tests.proxies.processes import sandbox_running
from tests.resilience.gateways import serving
from tests.sizes import size

pytestmark = pytest.mark.no_fast_paths

CUSTOMERS = size("IMPORT_CUSTOMERS", 200, 1_500)
"""The cast of the sandbox; somewhat fewer are known at Emporix."""
ROWS = size("IMPORT_ROWS", 2_000, 1_000_000)
KILLS = size("IMPORT_KILLS", 1, 3)
PATIENCE_S = 3_600.0
SETTINGS = """
[server]
request_timeout_s = 60
[limits]
requests_per_minute = 1000000
cost_per_minute = 1000000000
"""
PROVIDER = "retries = 0\ntimeout_s = 50"
"""On a busy machine a call may take longer than by default; none may be repeated."""
MEMORY_BYTES = 150 * 2**20
"""More than the imported modules need, and less than a million rows would."""
CREATE = """mutation ($i: SegmentCreateInput!) { segmentCreate(input: $i)
  { segment { externalId } userErrors { message } } }"""


class Ended(NamedTuple):
    """How a run of the command ended."""

    status: int
    memory_bytes: int
    seconds: float


@pytest.fixture
def sandbox() -> Iterator[tuple[Sandbox, int]]:
    """Serve a sandbox with this many customers."""
    with sandbox_running(SandboxOptions(customers=CUSTOMERS)) as found:
        yield found


def written(file: Path, url: str) -> Sequence[str]:
    """Write the file, with every customer in as many new segments as it takes; return those."""
    numbers = [each.emporix_id for each in people(CUSTOMERS) if each.emporix_id]
    segments: list[str] = []
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["segment", "customer"])
        for row in range(ROWS):
            if row % len(numbers) == 0:
                segments.append(created(url, f"imported {len(segments)}"))
            writer.writerow([segments[-1], numbers[row % len(numbers)]])
    return segments


def created(url: str, name: str) -> str:
    """Create a segment at Emporix, and return its id there."""
    inputs = {"provider": "emporix", "name": name, "siteCode": "main", "status": "ACTIVE"}
    body = {"query": CREATE, "variables": {"i": inputs}}
    reply = httpx.post(f"{url}/graphql", json=body).json()
    segment: str = reply["data"]["segmentCreate"]["segment"]["externalId"]
    return segment


def ended(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Ended:
    """Run a command to its end."""
    started = time.monotonic()
    memory = 0
    with log.open("wb") as output:
        run = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        while run.poll() is None:
            memory = max(memory, peak_bytes(run.pid))
            time.sleep(0.02)  # until it ends
    return Ended(run.returncode, memory, time.monotonic() - started)


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has used; 0 if it has ended.

    Not `ru_maxrss`: that has the memory of the process that started it.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(peak[1]) * 1024 if peak else 0


def killed(
    command: Sequence[str], environment: Mapping[str, str], sandbox: Sandbox, after: int
) -> None:
    """Run a command until the sandbox has received this many calls, and kill it."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as run:
        end = time.monotonic() + PATIENCE_S
        while sandbox.counts["emporix"] < after:
            assert run.poll() is None
            assert time.monotonic() < end
            time.sleep(0.005)  # until it has got so far
        run.send_signal(signal.SIGKILL)


def versions(port: int, segments: Sequence[str]) -> Mapping[int, int]:
    """Count the segments' members at the sandbox itself, by how often each was written."""
    counted: dict[int, int] = {}
    account = CREDENTIALS["emporix"]
    base = f"http://127.0.0.1:{port}/emporix"
    form = {"grant_type": "client_credentials"}
    form |= {name: account[name] for name in ("client_id", "client_secret")}
    with httpx.Client() as client:
        token = client.post(f"{base}/oauth/token", data=form).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        for segment in segments:
            path = f"/customer-segment/{account['tenant']}/segments/{segment}/customers"
            rows: Sequence[Any] = client.get(
                f"{base}{path}", params={"pageSize": CUSTOMERS}
            ).json()
            for row in rows:
                version = row["metadata"]["version"]
                counted[version] = counted.get(version, 0) + 1
    return counted


def test_many_rows(sandbox: tuple[Sandbox, int], tmp_path: Path) -> None:
    """Killed and repeated by the same command: every row once, in bounded memory, and reported."""
    server, port = sandbox
    store = f"sqlite:///{tmp_path}/gateway.db"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with serving(tmp_path, store, port, SETTINGS, provider=PROVIDER) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        file, report = tmp_path / "rows.csv", tmp_path / "report.csv"
        segments = written(file, url)
        command = [sys.executable, "-m", "gateway", "import", str(file), "--url", url]
        command += ["--provider", "emporix", "--report", str(report)]
        calls = server.counts["emporix"]
        expected = ROWS // 200  # it takes 200 rows a call
        started = time.monotonic()
        for kill in range(KILLS):
            killed(command, environment, server, calls + expected * (kill + 1) // (KILLS + 3))
        last = ended(command, environment, tmp_path / "log")
        seconds = time.monotonic() - started

    log = (tmp_path / "log").read_text().splitlines()
    with report.open() as lines:
        rows = csv.reader(lines)
        assert next(rows) == ["line", "outcome", "reason"]
        numbers = iter(range(2, ROWS + 2))
        odd = [row for row in rows if row != [str(next(numbers)), "CREATED", ""]]
    assert (odd[:10], list(numbers)) == ([], [])
    assert (last.status, log[-1]) == (0, f"{ROWS:,} of {ROWS:,} rows done, 0 failed.")
    assert versions(port, segments) == {1: ROWS}
    assert last.memory_bytes < MEMORY_BYTES
    print(  # noqa: T201  # shown by `pytest -rP`
        f"{ROWS:,} rows in {seconds:.0f} s with {KILLS} kills: {ROWS / seconds:,.0f} rows/s;"
        f" the last run {last.seconds:.0f} s, {last.memory_bytes / 2**20:.0f} MB"
    )
