#!/usr/bin/env python
"""What metrics and traces cost: instructions per request, with them and without.

Run `python bench/observability.py`. It needs valgrind (Debian: `apt-get install valgrind`) and
takes some minutes. Each server runs under callgrind (see `callgrind.py`). Use an idle machine: on
a busy one the results of two runs differ by some percent.

Traces are measured with no operation recorded and with all of them, sending included: what they
cost at 1 % is between the two, and does not depend on which requests happen to be recorded.
"""

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.callgrind import check_installed, per_request, server_running, upstream_running
from bench.workloads import GATEWAY, WORKLOADS
from gateway.observability.otlp import EVERY_S

REQUESTS: Mapping[str, int] = {"Q1": 400, "Q5": 150, "Q3": 20}
"""How many are counted."""
SETTLE_S = EVERY_S + 1
"""The last records are counted, the last spans sent a moment after the requests."""

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


class Collector(BaseHTTPRequestHandler):
    """Takes spans, and does nothing with them."""

    protocol_version = "HTTP/1.1"  # which leaves the connection open

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


def main() -> None:
    """Measure all variants, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="*", choices=[*REQUESTS], default=[*REQUESTS])
    parser.add_argument("--variants", nargs="*", choices=[*VARIANTS], default=[*VARIANTS])
    options = parser.parse_args()
    check_installed()
    workloads = [each for each in WORKLOADS if each.name in options.workloads]
    results: dict[str, list[float]] = {}
    with upstream_running() as upstream, collector_running() as collector:
        for name in options.variants:
            tables = VARIANTS[name].replace("{collector}", collector)
            with server_running(upstream, tables) as server:
                results[name] = [
                    per_request(server, each.bodies(GATEWAY), REQUESTS[each.name], SETTLE_S)
                    for each in workloads
                ]
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
