"""Clients that others wrote subscribe, are cut off, go on from their cursor, and miss nothing."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.cutting import relaying
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


@pytest.mark.parametrize("name", ["graphql_ws", "graphql_sse", "apollo", "urql", "relay"])
def test_a_subscription(name: str, gateway: Gateway) -> None:
    """The client prints each change once, in order, however often it is cut off."""
    authorization = f"Bearer {gateway.keys['client']}"

    def ask(query: str, variables: Any = None) -> Any:
        url = f"http://127.0.0.1:{gateway.port}/graphql"
        body = {"query": query, "variables": variables}
        headers = {"authorization": authorization}
        reply = httpx.post(url, json=body, headers=headers, trust_env=False, timeout=PATIENCE_S)
        return reply.json()["data"]

    def create(*keys: str) -> list[str]:
        segments = [{"externalId": key, "name": key, "siteCode": "main"} for key in keys]
        created = ask(CREATE, {"input": {"provider": "emporix", "segments": segments}})
        assert created == {"segmentBulkCreate": {"failed": 0, "userErrors": []}}
        return [segment_id("emporix", key) for key in keys]

    keys = [f"{name}-{number}".replace("_", "-") for number in range(7)]
    after = ask("{ changesCursor }")["changesCursor"]
    created = create(*keys[:3])
    body = json.dumps({"query": QUERY, "variables": {"after": after}})
    program, script = node(name)[0], HERE / "subscribe" / f"{name}.mjs"
    with (
        relaying(gateway.port) as relay,
        subprocess.Popen(
            [program, script, f"http://127.0.0.1:{relay.port}/graphql", authorization, body],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as client,
    ):
        assert client.stdout is not None
        assert client.stderr is not None
        giving_up = threading.Timer(4 * PATIENCE_S, client.kill)
        giving_up.start()
        try:
            shown = [client.stdout.readline().strip() for _ in range(3)]
            assert relay.cut() == 1
            created += create(*keys[3:5])  # one of them may come before it is back
            shown += [client.stdout.readline().strip() for _ in range(2)]
            created += create(keys[5])
            shown.append(client.stdout.readline().strip())
            assert relay.cut() == 1
            created += create(keys[6])
            shown.append(client.stdout.readline().strip())
        finally:
            giving_up.cancel()
            client.kill()
        assert shown == created
        assert (client.stdout.read(), client.stderr.read()) == ("", "")


SNIPPET = re.compile(r"^```js\n(.*?)^```", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"`((?:resuming|link: |subscriptionExchange|Network\.create).*?)`")


def test_the_documented_snippets() -> None:
    """What docs/clients/subscriptions.md shows is what these programs do, but for names."""
    page = (HERE.parents[1] / "docs" / "clients" / "subscriptions.md").read_text("utf-8")
    programs = " ".join(
        file.read_text("utf-8") for file in sorted((HERE / "subscribe").glob("*.mjs"))
    )
    tested = without_layout(programs).replace(",50)", ")")
    names = {
        '"./resuming.mjs"': '"../../../docs/clients/resuming.mjs"',
        '"wss://gateway.example/graphql",': 'url.replace("http", "ws"), webSocketImpl: WebSocket,',
        "fetchQuery": '() => Observable.from(Promise.reject(new Error("no query is sent here")))',
        "(socket)": "(resuming(socket, 50))",
    }
    statements = [
        part
        for block in SNIPPET.findall(page)
        for part in re.split(r"(?<=;)\n", block)
        if not part.startswith("socket.subscribe")
    ]
    cells = CELL.findall(page)
    assert (len(statements), len(cells)) == (4, 4)
    for each in (*statements, *cells):
        for shown, real in names.items():
            each = each.replace(shown, real)  # noqa: PLW2901  # a name after the other
        assert without_layout(each).replace(",50)", ")").strip() in tested, each


def without_layout(program: str) -> str:
    """Return a program without spaces, and without commas that only end a line."""
    return re.sub(r",(?=[)}\]])", "", re.sub(r"\s+", "", program))
