"""Metrics against what happened: counted by the client, by the sandbox, and by the gateway."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.sandbox.faults import Fault
from tests.e2e.serving import segment_id
from tests.observability.running import Gateway, Values, gateway_running, of
from tests.sizes import size

REQUESTS = size("METRICS_REQUESTS", 240, 10_000)
CONCURRENT = 8
SETTLED_S = 10.0

FAULTS = [
    # One that does not depend on chance.
    Fault("emporix", "error", path="/customer-segment/sandbox/segments/no-such-5", status=500),
    Fault("stuut", "error", share=0.1, status=503),
    Fault("stuut", "garbage", share=0.05),
    Fault("emporix", "error", path="/customer-segment", share=0.1, status=500),
    Fault("voucherify", "limit", path="/v1/customers", share=0.05, retry_after_s=0),
    Fault("voucherify", "hang", path="/v1/segments", share=0.03),
]
PROVIDER = "retries = 1\ntimeout_s = 3\nprobe_interval_s = 0.1"

SEGMENTS = "query List { segments(first: 20) { nodes { id name } sources { error { code } } } }"
SEGMENT = "query One($id: ID!) { segment(id: $id) { name items { totalCount } } }"
CREATE = """mutation($name: String!) {
  segmentCreate(input: {provider: "stuut", name: $name}) {
    userErrors { code }
  }
}"""


class Truth:
    """What the client counts."""

    def __init__(self) -> None:
        """Start at zero."""
        self.requests: Counter[tuple[str, ...]] = Counter()
        """By method, route and status."""
        self.operations: Counter[tuple[str, ...]] = Counter()
        """By type, and whether there were errors."""
        self.codes: Counter[tuple[str, ...]] = Counter()
        self.sources: Counter[tuple[str, ...]] = Counter()
        """Reads that needed no call of their own, by provider and source."""
        self.retries: Counter[tuple[str, ...]] = Counter()

    def take(self, reply: httpx.Response, kind: str | None) -> None:
        """Count a response; `kind` is the type of the operation, None if there was none."""
        path = reply.request.url.path
        route = path if path == "/graphql" else ""
        self.requests[reply.request.method, route, str(reply.status_code)] += 1
        if kind is None:
            return
        body = reply.json()
        errors = body.get("errors", ())
        self.operations[kind, str(bool(errors)).lower()] += 1
        self.codes.update((each["extensions"]["code"],) for each in errors)
        for call in body.get("extensions", {}).get("upstreamCalls", ()):
            if call["source"] != "NETWORK":
                self.sources[call["provider"], call["source"].lower()] += 1
            elif call["attempt"] > 1:
                self.retries[call["provider"],] += 1


Request = tuple[dict[str, Any] | bytes, str | None]


def requests(chance: random.Random) -> Iterator[Request]:
    """Yield bodies of POSTs with the type of their operation: None if there is none."""
    golden = segment_id("emporix", "golden")
    choices: list[Request] = [
        ({"query": "{ providers { key } }"}, "query"),
        ({"query": SEGMENTS}, "query"),
        ({"query": SEGMENT, "variables": {"id": golden}}, "query"),
        ({"query": SEGMENT}, "query"),  # the variable is missing
        ({"query": "{ customers(first: 5) { nodes { id } } }"}, "query"),
        ({"query": "{ nonsense }"}, ""),
        ({"query": "query A { __typename } query B { __typename }", "operationName": "C"}, ""),
        (b"{", None),
    ]
    for number in range(REQUESTS):
        if number % 20 == 0:
            yield {"query": CREATE, "variables": {"name": f"made-{number}"}}, "mutation"
        elif number % 5 == 0:  # each is new, so that no stale reply replaces an error
            missing = segment_id("emporix", f"no-such-{number}")
            yield {"query": SEGMENT, "variables": {"id": missing}}, "query"
        else:
            yield chance.choice(choices)


async def send_all(gateway: Gateway) -> Truth:
    """Send all requests, some at a time, and count the responses."""
    truth, waiting = Truth(), requests(random.Random(1))  # noqa: S311  # no secret
    headers = {**gateway.headers("client"), "content-type": "application/json"}
    async with httpx.AsyncClient(
        base_url=gateway.url, headers=headers, trust_env=False, timeout=30
    ) as client:

        async def send() -> None:
            for body, kind in waiting:
                content = body if isinstance(body, bytes) else None
                json = None if isinstance(body, bytes) else body
                shows = {"x-show-calls": "1"}
                reply = await client.post("/graphql", content=content, json=json, headers=shows)
                truth.take(reply, kind)

        await asyncio.gather(*(send() for _ in range(CONCURRENT)))
        truth.take(await client.get("/graphql", params={"query": "{ __typename }"}), "query")
        mutation = 'mutation { segmentDelete(input: {id: "x"}) { deletedSegmentId } }'
        truth.take(await client.get("/graphql", params={"query": mutation}), "")
        truth.take(await client.get("/elsewhere"), None)
        truth.take(await client.post("/graphql", json={}, headers={"authorization": "x"}), None)
    return truth


def calls_of(gateway: Gateway) -> Counter[tuple[str, ...]]:
    """Return the calls that the sandbox has counted, by provider and status."""
    return Counter((each.kind, str(each.status or "")) for each in gateway.sandbox.calls)


def differing(values: Values, truth: Truth, gateway: Gateway) -> Mapping[str, Any]:
    """Return what the gateway counted beside what happened, where they differ."""
    calls = "http_client_request_duration_seconds_count"
    requests = "http_server_request_duration_seconds_count"
    labels = ("http_request_method", "http_route", "http_response_status_code")
    counted = of(values, requests, *labels, http_route="/graphql")
    counted |= of(values, requests, *labels, http_route="")
    operations = "graphql_server_request_duration_seconds_count"
    reads = of(values, "gateway_provider_reads_total", "provider", "source")
    needless = {key: reads[key] for key in reads if key[1] in {"cached", "shared", "stale"}}
    sign_ins = sum(each.path == "/oauth/token" for each in gateway.sandbox.calls)
    signed_in = of(values, "gateway_provider_sign_ins_total", "provider")
    codes = of(values, "graphql_server_response_error_count_total", "code")
    pairs = {
        "requests": (counted, truth.requests),
        "operations": (
            of(values, operations, "graphql_operation_type", "error"),
            truth.operations,
        ),
        "codes": (codes, truth.codes),
        "calls": (of(values, calls, "provider", "status"), calls_of(gateway)),
        "reads": (needless, truth.sources),
        "retries": (of(values, "gateway_provider_retries_total", "provider"), truth.retries),
        "sign-ins": (signed_in, {("emporix",): sign_ins}),
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Run a gateway whose providers fail now and then."""
    folder = tmp_path_factory.mktemp("gateway")
    server = "cache_ttl_s = 0.05"
    with gateway_running(
        folder, workers=request.param, provider=PROVIDER, server=server
    ) as running:
        running.sandbox.faults.replace(FAULTS)
        yield running


async def test_every_counter_equals_the_truth(gateway: Gateway) -> None:
    """Requests, operations, errors, calls, shared reads and sign-ins, in any process."""
    truth = await send_all(gateway)

    values = await asyncio.to_thread(_settled, gateway, truth)

    assert differing(values, truth, gateway) == {}
    assert {code for (code,) in truth.codes} >= {"BAD_USER_INPUT", "PROVIDER_BROKEN"}
    assert sum(truth.sources.values()) > 0


def _settled(gateway: Gateway, truth: Truth) -> Values:
    """Scrape until the other workers have published what they counted."""
    until = time.monotonic() + SETTLED_S
    values = gateway.metrics()
    while differing(values, truth, gateway) and time.monotonic() < until:
        time.sleep(0.05)
        values = gateway.metrics()
    return values
