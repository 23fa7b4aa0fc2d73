"""The gateway as a subgraph: composed by Apollo's composition, queried through Apollo's gateway.

The second subgraph, of orders, shares customers and `PageInfo`: `federation/orders.graphql`.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.test_query import node
from tests.e2e.known import HIRO, HIRO_AT
from tests.e2e.serving import customer_id
from tests.proxies.processes import PATIENCE_S, gateway_running

pytestmark = pytest.mark.clients

QUERY = """query($ids: [ID!]!, $id: ID!) {
  orders(customerIds: $ids) { number customer { id name } }
  customer(id: $id) { name orders { nodes { number } pageInfo { hasNextPage } } }
  segments(first: 1, filter: {providers: ["emporix"]}) { pageInfo { hasNextPage } }
}"""


def test_a_composed_graph(tmp_path: Path) -> None:
    """Each subgraph adds its fields to the other's customers, which are read with one call."""
    hiro, nobody, invalid = (
        customer_id("emporix", HIRO_AT["emporix"]),
        customer_id("emporix", "none"),
        "42",
    )
    request = {"query": QUERY, "variables": {"ids": [hiro, nobody, invalid], "id": hiro}}
    scopes = ("segments:read", "customers:read", "federation:read")
    enabled = "[federation]\nenabled = true\n"
    with gateway_running(tmp_path, ["router"], tables=enabled, scopes=scopes) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/graphql"
        done = subprocess.run(
            [*node("compose.mjs", "federation"), url, f"Bearer {gateway.keys['router']}"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            timeout=4 * PATIENCE_S,
        )
        calls = [f"{call.path}?{call.query}" for call in gateway.sandbox.calls]
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    [error] = shown["response"].pop("errors")
    assert shown == {
        "errors": [],
        "hints": [],
        "ofASecondNode": ["INVALID_FIELD_SHARING"],
        "response": {
            "data": {
                "orders": [
                    {"number": f"of {hiro}", "customer": {"id": hiro, "name": HIRO.name}},
                    {"number": f"of {nobody}", "customer": {"id": nobody, "name": None}},
                    {"number": f"of {invalid}", "customer": {"id": invalid, "name": None}},
                ],
                "customer": {
                    "name": HIRO.name,
                    "orders": {
                        "nodes": [{"number": f"of {hiro}"}],
                        "pageInfo": {"hasNextPage": False},
                    },
                },
                "segments": {"pageInfo": {"hasNextPage": True}},
            }
        },
    }
    assert error["message"] == "The id of a representation is not an id of this gateway."
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    customers, by_id = "/customer/sandbox/customers", f"{HIRO_AT['emporix']},none"
    assert sorted(calls) == [
        "/customer-segment/sandbox/segments?pageNumber=1&pageSize=2",
        f"{customers}/{HIRO_AT['emporix']}?expand=mixin:*",
        f"{customers}?q=id:({by_id})&expand=mixin:*&pageNumber=1&pageSize=2",
        "/oauth/token?",
    ]
