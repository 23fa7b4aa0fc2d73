"""The shipped dashboard and alerts: every expression returns data of a real gateway.

A real Prometheus scrapes it. Whatever a panel or a rule reads must have happened before.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sandbox.faults import Fault
from tests.e2e.serving import segment_id
from tests.e2e.webhooks.sending import NEW, membership, send_voucherify
from tests.observability.running import Gateway, gateway_running, wait_until
from tests.proxies.processes import PATIENCE_S, free_port, need

SHIPPED = Path(__file__).parents[2] / "deploy" / "grafana"
RATE_INTERVAL = "$__rate_interval"
"""Grafana's variable."""

CONFIGURATION = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: segment-gateway
    authorization: {{ credentials_file: {key} }}
    static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
"""
THRESHOLD = re.compile(r" > [\d.]+$")
OPERATIONS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("{ segments(first: 5) { nodes { name } } }", {}),
    ("query($id: ID!) { segment(id: $id) { name } }", {"id": segment_id("emporix", "golden")}),
    ("{ nonsense }", {}),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run a gateway that takes webhooks, and whose calls fail, once and for good."""
    settings = f'retries = 1\nwebhook_secret = "{NEW}"'
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_running(folder, providers={"voucherify": settings}) as running:
        yield running


async def use(gateway: Gateway) -> None:
    """Have everything happen that is measured."""
    headers = gateway.headers("client")
    async with httpx.AsyncClient(
        base_url=gateway.url, headers=headers, trust_env=False, timeout=30
    ) as client:
        gateway.sandbox.faults.replace([Fault("voucherify", "error", status=503)])
        for query, variables in OPERATIONS:
            body = {"query": query, "variables": variables}
            assert (await client.post("/graphql", json=body)).status_code == 200
        gateway.sandbox.faults.replace([])
        for query, variables in OPERATIONS:
            body = {"query": query, "variables": variables}
            assert (await client.post("/graphql", json=body)).status_code == 200
        sent = await send_voucherify(client, membership("evt_1", "entered", "seg_1", "cust_1"))
        assert sent.status_code == 204


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        """Ask it at this port of this machine."""
        self._url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> Any:
        """Return the series that an expression selects now."""
        return self._get("query", query=expression)["result"]

    def rules(self) -> Mapping[str, str]:
        """Return the expressions of the alert rules that it has loaded, by name."""
        groups = self._get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert {rule["labels"]["severity"] for rule in rules} == {"warning", "critical"}
        return {f"alert {rule['name']}": rule["query"] for rule in rules}

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self._url}/api/v1/{path}"
        reply = httpx.get(url, params=parameters, trust_env=False, timeout=30)
        assert reply.status_code == 200, f"{parameters}: {reply.text}"
        return reply.json()["data"]

    def has_scraped(self, times: int) -> bool:
        """Return whether it has scraped the gateway so often."""
        try:
            is_ready = httpx.get(f"{self._url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False
        if not is_ready:
            return False
        found = self.query('sum_over_time(up{job="segment-gateway"}[1m])')
        return bool(found) and float(found[0]["value"][1]) >= times


@pytest.fixture
def prometheus(gateway: Gateway, tmp_path: Path) -> Iterator[Prometheus]:
    """Run Prometheus in front of the gateway."""
    program = need("prometheus", "prometheus")
    key = tmp_path / "key"
    key.write_text(gateway.keys["prometheus"], encoding="utf-8")
    file = tmp_path / "prometheus.yml"
    rules = SHIPPED / "alerts.yaml"
    text = CONFIGURATION.format(key=key, port=gateway.port, rules=rules)
    file.write_text(text, encoding="utf-8")
    port = free_port()
    command = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield Prometheus(port)
        finally:
            process.terminate()


def expressions() -> Iterator[tuple[str, str]]:
    """Yield the expressions of the dashboard's panels."""
    board = json.loads((SHIPPED / "dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
            yield f"panel {panel['title']}", target["expr"].replace(RATE_INTERVAL, "1m")


async def test_every_expression_returns_data(gateway: Gateway, prometheus: Prometheus) -> None:
    """Those of alerts without their threshold; with it, none fires but what was provoked."""
    wait_until(lambda: prometheus.has_scraped(1))
    await use(gateway)
    wait_until(lambda: prometheus.has_scraped(3))

    rules = prometheus.rules()
    missing = {**dict(expressions()), **rules}
    for name, expression in missing.items():
        assert bool(THRESHOLD.search(expression)) is name.startswith("alert")
    assert len(missing) > 40
    until = time.monotonic() + PATIENCE_S
    while missing and time.monotonic() < until:  # a scrape of a busy machine may fail
        missing = {
            name: expression
            for name, expression in missing.items()
            if not prometheus.query(THRESHOLD.sub("", expression))
        }
    assert missing == {}
    firing = {name for name, expression in rules.items() if prometheus.query(expression)}
    assert firing <= {"alert GatewayErrors", "alert GatewaySlow"}
