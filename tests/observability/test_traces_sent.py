"""Traces of `gateway serve` as a collector gets them: OTLP over HTTP, also from behind nginx."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx
import pytest

from gateway.observability.traces import EXECUTION
from tests.observability.collector import Collector, attributes, collecting
from tests.observability.running import Gateway, gateway_running
from tests.observability.test_traces import FOUR, IDS
from tests.proxies.processes import HOST, PATIENCE_S, proxy_running

SECRET = "a-key-of-the-collector"
TRACES = """
[traces]
endpoint = "{endpoint}"
sampler = 0
headers = {{ x-api-key = "{secret}" }}
"""
SPANS = 13
"""Of the first query: the operation, its four steps, two batches, and six calls."""


class Running(NamedTuple):
    """A gateway, its collector, and the headers that its providers get."""

    gateway: Gateway
    collector: Collector
    received: list[Mapping[str, str]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a gateway that records what its callers record."""
    received: list[Mapping[str, str]] = []
    server = f'cache_ttl_s = 0\ndrain_s = 0\nhosts = ["{HOST}", "127.0.0.1"]'
    server += '\ntrusted_proxies = ["127.0.0.1"]'
    with collecting() as collector:
        tables = TRACES.format(endpoint=collector.endpoint, secret=SECRET)
        with gateway_running(
            tmp_path_factory.mktemp("gateway"),
            is_process=True,
            received=received,
            server=server,
            tables=tables,
        ) as gateway:
            yield Running(gateway, collector, received)


def ask(running: Running, port: int, trace: str) -> None:
    """Send a query as part of a trace."""
    running.received.clear()
    headers = {
        **running.gateway.headers("client"),
        "host": HOST,
        "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        "tracestate": "vendor=7",
    }
    body = {"query": FOUR, "variables": IDS}
    answer = httpx.post(
        f"http://127.0.0.1:{port}/graphql",
        json=body,
        headers=headers,
        trust_env=False,
        timeout=PATIENCE_S,
    )
    assert answer.json()["data"]["emporix"]["name"] == "Golden customers", answer.text


def check(running: Running, trace: str, count: int) -> None:
    """Check that there is one tree, and that each call had its span in its headers."""
    spans = running.collector.trace(trace, count, PATIENCE_S)
    by_id = {span.span_id: span for span in spans}
    (root,) = [span for span in spans if span.parent_span_id not in by_id]
    (execution,) = [span for span in spans if span.name == EXECUTION]
    calls = [span for span in spans if span.kind == span.SPAN_KIND_CLIENT]

    assert len(spans) == len(by_id) == count
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert root.kind == root.SPAN_KIND_SERVER
    assert root.trace_state == "vendor=7"
    assert execution.parent_span_id == root.span_id
    for call in calls:
        batch = by_id[call.parent_span_id]
        parents = {batch.span_id} if batch is execution else {batch.span_id, batch.parent_span_id}
        assert execution.span_id in parents
    assert sorted(each["traceparent"] for each in running.received) == sorted(
        f"00-{trace}-{span.span_id.hex()}-01" for span in calls
    )
    assert {each["tracestate"] for each in running.received} == {"vendor=7"}
    providers = {attributes(span.attributes)["gateway.provider"] for span in calls}
    assert providers == {"stuut", "voucherify", "emporix"}


def test_a_collector_gets_one_trace(running: Running) -> None:
    """For a query over four providers, with the credentials and the name of the settings."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    ask(running, running.gateway.port, trace)
    check(running, trace, SPANS)

    assert set(running.collector.paths) == {"/v1/traces"}
    assert {each["x-api-key"] for each in running.collector.headers} == {SECRET}
    assert {each["service.name"] for each in running.collector.resources} == {"segment-gateway"}


@pytest.mark.proxies
def test_the_context_passes_nginx(
    running: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A client's trace goes on through nginx and the gateway to the providers."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    folder = tmp_path_factory.mktemp("nginx")
    with proxy_running("nginx", folder, running.gateway.port) as port:
        ask(running, port, trace)
    # The document and its plan are known by now, and Emporix's token is, too.
    check(running, trace, SPANS - 4)


@pytest.mark.parametrize("is_there", [True, False])
def test_check(running: Running, *, is_there: bool) -> None:
    """`gateway check` says whether a collector takes traces; never with which credentials."""
    file = running.gateway.folder / f"check-{is_there}.toml"
    text = (running.gateway.folder / "gateway.toml").read_text(encoding="utf-8")
    endpoint = running.collector.endpoint
    wrong = "http://127.0.0.1:9"
    file.write_text(text if is_there else text.replace(endpoint, wrong), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "check", "--config", str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    (row,) = [line.split() for line in run.stdout.splitlines() if " traces " in line]
    assert row[2] == ("ok" if is_there else "no")
    assert run.returncode == (0 if is_there else 1)
    assert SECRET not in run.stdout + run.stderr
