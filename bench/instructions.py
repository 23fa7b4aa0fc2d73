#!/usr/bin/env python
"""Instructions per request of this gateway: a measure that other load hardly changes.

Run `python bench/instructions.py D2 D3 D5`, or without names for all workloads of requests that
differ. It needs valgrind (Debian: `apt-get install valgrind`) and takes a minute, and some seconds
per workload. Requests are sent one at a time, in the same order in every run, so that two versions
of the code can be compared on a busy machine. `--traced` gives every request a header of its own,
`--unseen` a document with a new name for its operation, `--unseen-keys` one with a new alias for
each field, `--inlined` one with the values of its variables as literals; no document is sent twice
while it counts.

The kernel's work (system calls) is not counted, and instructions are not time: a change that
matters should show in `make bench`, too.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.callgrind import (
    TRANSLATED,
    WARM,
    check_installed,
    per_request,
    server_running,
    upstream_running,
)
from bench.varied import VARIED
from bench.workloads import (
    GATEWAY,
    WORKLOADS,
    inlined_body,
    unseen_body,
    unseen_keys_body,
)

REQUESTS: Mapping[str, int] = {"D2": 41, "D3": 21, "D3b": 21, "D4b": 41, "D5": 500}
"""How many are counted: if possible, each variation equally often."""
OTHERS = 30


def main() -> None:
    """Measure, and print one line per workload."""
    known = {each.name: each for each in (*VARIED, *WORKLOADS)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*known, []], metavar="WORKLOAD")
    parser.add_argument("--traced", action="store_true", help="a traceparent for each request")
    parser.add_argument("--unseen", action="store_true", help="a new name each time")
    parser.add_argument("--unseen-keys", action="store_true", help="new aliases each time")
    parser.add_argument("--inlined", action="store_true", help="literals in place of variables")
    options = parser.parse_args()
    check_installed()
    with upstream_running() as upstream, server_running(upstream) as server:
        for name in options.workloads or REQUESTS:
            bodies, count = known[name].bodies(GATEWAY), REQUESTS.get(name, OTHERS)
            if options.unseen:
                bodies = [unseen_body(body) for body in bodies]
            if options.unseen_keys:
                bodies = [unseen_keys_body(body) for body in bodies]
            if options.inlined:
                bodies = [inlined_body(body) for body in bodies]
                count = len(bodies) - WARM - TRANSLATED
            instructions = per_request(server, bodies, count, traced=options.traced)
            print(f"{name:4} {instructions:12,.0f} instructions per request", flush=True)


if __name__ == "__main__":
    main()
