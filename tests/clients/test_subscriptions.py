"""Clients that others wrote subscribe, are cut off, go on from their cursor, and miss nothing."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.test_query import HERE, node
from tests.e2e.serving import segment_id
from tests.proxies.processes import PATIENCE_S, Gateway, gateway_running

pytestmark = pytest.mark.clients

QUERY = """subscription($after: String) {
  changed(after: $after) { cursor ... on SegmentChange { segmentId } }
}"""
CREATE = """mutation($input: SegmentBulkCreateInput!) {
  segmentBulkCreate(input: $input) { failed userErrors { message } }
}"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run a gateway for these clients."""
    with gateway_running(tmp_path_factory.mktemp("gateway"), ["client"]) as running:
        yield running


@pytest.mark.parametrize("name", ["graphql_ws", "graphql_sse"])
def test_a_subscription(name: str, gateway: Gateway) -> None:
    """The client prints each change once, in order: those of the log, and those while it runs."""
    url = f"http://127.0.0.1:{gateway.port}/graphql"
    authorization = f"Bearer {gateway.keys['client']}"

    def ask(query: str, variables: Any = None) -> Any:
        body = {"query": query, "variables": variables}
        headers = {"authorization": authorization}
        reply = httpx.post(url, json=body, headers=headers, trust_env=False, timeout=PATIENCE_S)
        return reply.json()["data"]

    def create(*keys: str) -> list[str]:
        segments = [{"externalId": key, "name": key, "siteCode": "main"} for key in keys]
        created = ask(CREATE, {"input": {"provider": "emporix", "segments": segments}})
        assert created == {"segmentBulkCreate": {"failed": 0, "userErrors": []}}
        return [segment_id("emporix", key) for key in keys]

    after = ask("{ changesCursor }")["changesCursor"]
    created = create(*(f"{name}-{number}".replace("_", "-") for number in range(3)))
    body = json.dumps({"query": QUERY, "variables": {"after": after}, "count": 5})
    program, script = node(name)[0], HERE / "subscribe" / f"{name}.mjs"
    with subprocess.Popen(
        [program, str(script), url, authorization, body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        try:
            created += create(f"{name}-live-1".replace("_", "-"))
            created += create(f"{name}-live-2".replace("_", "-"))
            shown, complaints = client.communicate(timeout=4 * PATIENCE_S)
        finally:
            client.kill()
    assert (client.returncode, complaints) == (0, "")
    assert json.loads(shown) == created
