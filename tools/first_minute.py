"""What somebody new does: `make serve`, then one query. Twice, since the second time is quick.

All set-up, also that of the tests, happens beside an index with a newer version of every package,
each of them broken: exactly what the locks name is installed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from planted_index import VERSION, planted, strangers, taken

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
LONGEST_S = 300
QUERY = (
    "{ segments(first: 100) { totalCount nodes { name membership provider { key } } "
    "sources { provider { key } error { code } } } }"
)


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answer(address: str) -> dict[str, object] | None:
    """Return the answer to the query; None while the server is not up."""
    body = json.dumps({"query": QUERY}).encode()
    request = urllib.request.Request(
        f"{address}/graphql", body, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            found: dict[str, object] = json.load(response)
            return found
    except (urllib.error.URLError, ConnectionError):
        return None


def minute(environment: Mapping[str, str]) -> float:
    """Serve, ask, stop; return the seconds from the command to the answer."""
    port = free_port()
    started = time.monotonic()
    with subprocess.Popen(
        ["make", "serve", f"PORT={port}"], cwd=ROOT, env=environment, start_new_session=True
    ) as server:
        try:
            while (found := answer(f"http://127.0.0.1:{port}")) is None:
                if server.poll() is not None or time.monotonic() - started > LONGEST_S:
                    sys.exit("make serve did not come up")
                time.sleep(0.05)
            took = time.monotonic() - started
        finally:
            os.killpg(server.pid, signal.SIGTERM)
    segments = found["data"]["segments"]  # type: ignore[index]  # asserted by its use
    keys = {node["provider"]["key"] for node in segments["nodes"]}
    asked = {source["provider"]["key"] for source in segments["sources"]}
    if not {"stuut", "voucherify", "emporix"} <= keys or "instaleap" not in asked:
        sys.exit(f"the first query answered {json.dumps(found)[:500]}")
    return took


def main() -> None:
    """Set everything up beside the planted index, and look at what was installed."""
    with planted() as variables:
        environment = {**os.environ, **variables}
        print(f"make serve to first answer: {minute(environment):.1f} s", flush=True)
        print(f"again: {minute(environment):.1f} s", flush=True)
        subprocess.run(["make", ".venv/dev"], cwd=ROOT, env=environment, check=True)
        # The trap is set: what is resolved now is the newer version.
        resolved = taken(PYTHON, ("coverage[toml]", "hatchling", "uvicorn"), variables)
        if resolved != {VERSION}:
            sys.exit(f"pip does not see the planted index: it would take {resolved}")
    if found := strangers(PYTHON):
        sys.exit(f"installed, but not in the locks: {', '.join(found)}")
    print("Installed is what the locks name, beside newer versions of everything")


if __name__ == "__main__":
    main()
