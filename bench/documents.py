"""This gateway alone: what a document costs that it has never seen."""

import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import httpx

from bench.contestants import ROOT
from bench.load import Upstream, press
from bench.sizes import Started, started
from bench.tables import short, table
from bench.varied import VARIED
from bench.workloads import GATEWAY, NEW, is_query, unseen_body, unseen_keys, unseen_keys_body
from gateway.http.pages.examples import examples
from resolvers.execution.documents import Documents
from resolvers.schema import SCHEMA

ROUNDS = 5
NEW_DOCUMENTS = 100
LARGE_PAGE = "one page of 250 segments x 10 fields"
COMPARED = {"D2": 16, "D3b": 16, "D5": 16}
"""Requests in flight, by workload."""
ROW = "id externalId siteCode name description membership status version createdAt updatedAt"
PROVIDERS = ("emporix", "instaleap", "stuut", "voucherify")


async def measure(
    client: httpx.AsyncClient, upstream: Upstream, show: Callable[[str], None], seconds: float
) -> None:
    """Measure, and show one table after the other."""
    show("### Documents that were never seen\n")
    rows = []
    one = await started(client)
    try:
        for what, (bodies, in_flight) in _requests().items():
            seen, *new = await _cpu_ms(one, bodies, upstream, seconds, in_flight)
            ratios = [f"{each / seen:.2f}" for each in new]
            rows.append((what, f"{in_flight}", *map(short, (seen, *new)), *ratios))
    finally:
        one.server.stop()
    headings = ("", "in flight", "CPU ms/request, seen", "a new name", "new aliases")
    show(table((*headings, "ratio, a new name", "new aliases"), rows))
    names = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    readme = [(f"README, query {number}", query) for number, query in enumerate(names, 1)]
    others = [(f"GraphiQL's example: {each['name']}", each["query"]) for each in examples()]
    cold = [(name, short(cold_ms(query))) for name, query in (*readme, *others) if is_query(query)]
    show(table(("to parse, validate, cost and plan", "CPU ms"), cold))


def cold_ms(query: str) -> float:
    """Return the CPU time of all that is done once per document, in this process."""
    took = []
    for number in range(NEW_DOCUMENTS):
        text = unseen_keys(query).replace(NEW, f"New{number}")
        documents = Documents(SCHEMA._schema)  # noqa: SLF001  # as gateway.asgi; it shares nothing
        before = time.process_time()
        document = documents.read(text)
        cost = document.cost_analysis(None)
        if cost is None:
            raise ValueError(f"no operation in: {text}")
        cost.cost(None, PROVIDERS, None)
        document.requirements(None)
        document.plan(None, None)
        took.append(time.process_time() - before)
    return statistics.median(took) * 1000


def _requests() -> Mapping[str, tuple[Sequence[bytes], int]]:
    large = f'{{ provider(key: "many") {{ segments(first: 250) {{ nodes {{ {ROW} }} }} }} }}'
    requests: dict[str, tuple[Sequence[bytes], int]] = {
        LARGE_PAGE: ([json.dumps({"query": large}).encode()], 1)
    }
    for each in VARIED:
        if each.name in COMPARED:
            requests[f"{each.name}: {each.what}"] = each.bodies(GATEWAY), COMPARED[each.name]
    return requests


async def _cpu_ms(
    one: Started, bodies: Sequence[bytes], upstream: Upstream, seconds: float, in_flight: int
) -> Sequence[float]:
    """Return the CPU per request of documents that were seen before, and of two kinds of new ones.

    One has a new name for its operation, the other a new alias for each field.
    """
    variants = [bodies, [*map(unseen_body, bodies)], [*map(unseen_keys_body, bodies)]]
    cpu_ms: list[list[float]] = [[] for _ in variants]
    for _ in range(ROUNDS):
        for variant, values in zip(variants, cpu_ms, strict=True):
            point = await press(
                one.contestant,
                one.server,
                variant,
                upstream,
                seconds=seconds,
                connections=in_flight,
            )
            if point.errors:
                raise RuntimeError(f"{point.errors} errors")
            values.append(point.cpu_ms)
    return [statistics.median(each) for each in cpu_ms]
