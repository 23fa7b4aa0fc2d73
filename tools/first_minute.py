"""Do what a new user does: `make serve`, then one query; twice, because the second run is quick.

All set-up, including that of the tests, uses an index with a newer, broken version of every
package, to show that exactly the locked versions are installed.
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

from planted_index import VERSION, planted, resolved_versions, unlocked

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
LONGEST_S = 300
QUERY = (
    "{ segments(first: 100) { totalCount nodes { name membership provider { key } } "
    "sources { provider { key } error { code } } } }"
)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def response(address: str) -> dict[str, object] | None:
    """Return the response to the query; None while the server is not up."""
    body = json.dumps({"query": QUERY}).encode()
    request = urllib.request.Request(
        f"{address}/graphql", body, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            document: dict[str, object] = json.load(reply)
            return document
    except (urllib.error.URLError, ConnectionError):
        return None


def minute(environment: Mapping[str, str]) -> float:
    """Start the server, send the query, stop; return the seconds until the response."""
    port = free_port()
    started = time.monotonic()
    with subprocess.Popen(
        ["make", "serve", f"PORT={port}"], cwd=ROOT, env=environment, start_new_session=True
    ) as server:
        try:
            while (document := response(f"http://127.0.0.1:{port}")) is None:
                if server.poll() is not None or time.monotonic() - started > LONGEST_S:
                    sys.exit("make serve did not come up")
                time.sleep(0.05)
            took = time.monotonic() - started
        finally:
            os.killpg(server.pid, signal.SIGTERM)
    segments = document["data"]["segments"]  # type: ignore[index]  # asserted by its use
    keys = {node["provider"]["key"] for node in segments["nodes"]}
    sources = {source["provider"]["key"] for source in segments["sources"]}
    if not {"stuut", "voucherify", "emporix"} <= keys or "instaleap" not in sources:
        sys.exit(f"unexpected response to the first query: {json.dumps(document)[:500]}")
    return took


def main() -> None:
    """Set everything up with the planted index, and check what was installed."""
    with planted() as variables:
        environment = {**os.environ, **variables}
        print(f"make serve to first response: {minute(environment):.1f} s", flush=True)
        print(f"again: {minute(environment):.1f} s", flush=True)
        subprocess.run(["make", ".venv/dev"], cwd=ROOT, env=environment, check=True)
        # Make sure that the index works: resolving must choose the newer version.
        resolved = resolved_versions(PYTHON, ("coverage[toml]", "hatchling", "uvicorn"), variables)
        if resolved != {VERSION}:
            sys.exit(f"pip does not use the planted index: it would install {resolved}")
    if packages := unlocked(PYTHON):
        sys.exit(f"installed, but not in the locks: {', '.join(packages)}")
    print("Exactly the locked versions are installed, although newer ones were available")


if __name__ == "__main__":
    main()
