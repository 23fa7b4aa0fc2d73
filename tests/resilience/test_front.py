"""Over HTTP: origins of values, how long responses may be cached, providers' health."""

import asyncio
import json
import socket
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.asgi import build
from gateway.sandbox.disturbances import buffered
from gateway.sandbox.faults import Fault
from gateway.settings.tables import Settings
from tests.e2e.known import HIRO_AT
from tests.e2e.serving import Front, Providers, customer_id, serving
from tests.four_kinds import four_settings

LIST = """{ segments(first: 3, filter: {providers: ["stuut"]}) {
  nodes { origin } sources { origin fetchedAt error { code retryable } }
} }"""


def settings_keeping(seconds: float) -> Settings:
    """Return the sandbox's settings with a cache, and no retries."""
    settings = four_settings()
    accounts = tuple(each.model_copy(update={"retries": 0}) for each in settings.providers)
    server = settings.server.model_copy(update={"cache_ttl_s": seconds})
    return settings.model_copy(update={"providers": accounts, "server": server})


async def ask(front: Front, query: str = LIST) -> httpx.Response:
    """Return the reply to a query."""
    return await front.client.post("/graphql", json={"query": query})


def shown(reply: httpx.Response) -> Any:
    """Return the origin of a row and of the source, and the error's code."""
    connection = reply.json()["data"]["segments"]
    source = connection["sources"][0]
    rows = {node["origin"] for node in connection["nodes"]}
    return rows, source["origin"], (source["error"] or {}).get("code")


async def test_live_then_cached_then_live_again() -> None:
    """The second of two queries costs no call, says so, and stays fresh for less long."""
    async with serving(Providers(), settings_keeping(60)) as front:
        first = await ask(front)
        assert shown(first) == ({"LIVE"}, "LIVE", None)
        assert first.headers["cache-control"] == "private, max-age=60"
        second = await ask(front)
        assert shown(second) == ({"CACHED"}, "CACHED", None)
        assert second.headers["cache-control"] == "private, max-age=59"
        times = [
            each.json()["data"]["segments"]["sources"][0]["fetchedAt"] for each in (first, second)
        ]
        assert times[1] <= times[0]
        assert front.counts == {"stuut": 1}


async def test_a_failure_is_not_to_be_kept() -> None:
    """`no-store`, and the provider's code in its source."""
    async with serving(Providers(), settings_keeping(60)) as front:
        front.providers.faults.replace([Fault("stuut", "error")])
        reply = await ask(front)
        assert shown(reply) == (set(), None, "PROVIDER_BROKEN")
        assert reply.headers["cache-control"] == "no-store"


async def test_health_is_not_to_be_kept() -> None:
    """However long the remaining response stays fresh."""
    both = '{ provider(key: "stuut") { health { circuit } segments(first: 1) { totalCount } } }'
    async with serving(Providers(), settings_keeping(60)) as front:
        assert (await ask(front, both)).headers["cache-control"] == "no-store"


async def test_a_list_that_is_read_as_a_whole_says_how_old_it_is() -> None:
    """A customer's cached assignments have the time of the provider's reply."""
    query = """query($id: ID!) { customer(id: $id) {
      assignments { nodes { origin } sources { origin fetchedAt } }
    } }"""
    mine = {"id": customer_id("emporix", HIRO_AT["emporix"])}
    async with serving(Providers(), settings_keeping(60)) as front:
        first, second = [
            (await front.data(query, mine))["customer"]["assignments"] for _ in range(2)
        ]
    times = [each["sources"][0].pop("fetchedAt") for each in (first, second)]
    assert [each["sources"] for each in (first, second)] == [
        [{"origin": "LIVE"}],
        [{"origin": "CACHED"}],
    ]
    assert {row["origin"] for row in second["nodes"]} == {"CACHED"}
    assert times[1] <= times[0]


async def test_rows_that_a_provider_repeats_are_shown_once() -> None:
    """Stuut lists half of its segments, each twice: they appear once, without an error."""

    async def doubled(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await buffered(front.providers.real("stuut"), scope, receive)
        rows = json.loads(answer.body)
        body = json.dumps([rows[place // 2] for place in range(len(rows))]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
        await send({"type": "http.response.body", "body": body})

    query = """{ segments(first: 8, filter: {providers: ["stuut"]}) {
      nodes { id } sources { error { code } }
    } }"""
    async with serving(Providers(), settings_keeping(0)) as front:
        meant = await front.data(query)
        front.providers.instead["stuut"] = doubled
        assert len(nodes := meant["segments"].pop("nodes")) == 8
        assert await front.data(query) == {"segments": {**meant["segments"], "nodes": nodes[:4]}}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("stuut", "error", status=503), "PROVIDER_BROKEN"),
        (Fault("stuut", "error", status=302), "PROVIDER_MALFORMED"),
        (Fault("stuut", "error", status=403), "PROVIDER_DENIED"),
        (Fault("stuut", "error", status=418), "PROVIDER_REFUSED"),
        (Fault("stuut", "limit"), "PROVIDER_RATE_LIMITED"),
        (Fault("stuut", "reset"), "PROVIDER_UNREACHABLE"),
        (Fault("stuut", "garbage"), "PROVIDER_MALFORMED"),
        (Fault("stuut", "html"), "PROVIDER_MALFORMED"),
        (Fault("stuut", "truncated"), "PROVIDER_MALFORMED"),
        (Fault("stuut", "deep"), "PROVIDER_MALFORMED"),
        (Fault("stuut", "bomb"), "PROVIDER_MALFORMED"),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else "",
)
async def test_each_fault_has_its_code_and_spoils_nothing_else(fault: Fault, code: str) -> None:
    """The other providers' parts are there."""
    async with serving(Providers(), settings_keeping(0)) as front:
        front.providers.faults.replace([fault])
        body = (
            await ask(
                front,
                """{ segments(first: 50, filter: {providers: ["stuut", "emporix", "voucherify"]}) {
                  nodes { provider { key } } sources { provider { key } error { code } }
                } }""",
            )
        ).json()
        assert "errors" not in body
        connection = body["data"]["segments"]
        sources = {each["provider"]["key"]: each["error"] for each in connection["sources"]}
        assert sources == {"stuut": {"code": code}, "emporix": None, "voucherify": None}
        keys = {node["provider"]["key"] for node in connection["nodes"]}
        assert keys == {"emporix", "voucherify"}


async def test_an_open_circuit_is_shown() -> None:
    """In the provider's health and in /readyz, which stays as ready as it was."""
    async with serving(Providers(), settings_keeping(0)) as front:
        before = await front.client.get("/readyz")
        front.providers.faults.replace([Fault("stuut", "error", status=500)])
        codes = [shown(await ask(front))[2] for _ in range(7)]
        assert codes == ["PROVIDER_BROKEN"] * 5 + ["PROVIDER_UNAVAILABLE"] * 2
        health = await front.data(
            '{ provider(key: "stuut") { health { status circuit lastError } } }'
        )
        assert health == {
            "provider": {
                "health": {"status": "DOWN", "circuit": "OPEN", "lastError": "PROVIDER_BROKEN"}
            }
        }
        after = await front.client.get("/readyz")
        assert after.status_code == before.status_code
        circuits = {each["key"]: each["circuit"] for each in after.json()["providers"]}
        assert circuits == {
            "stuut": "OPEN",
            "voucherify": "CLOSED",
            "instaleap": "CLOSED",
            "emporix": "CLOSED",
        }


async def test_a_client_that_hangs_up_ends_its_calls_over_real_sockets() -> None:
    """The server notices, and the call to the provider is cancelled though its time is not up."""
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    providers = Providers()
    providers.instead["stuut"] = silent
    settings = settings_keeping(0)
    accounts = tuple(each.model_copy(update={"timeout_s": 60}) for each in settings.providers)
    server_settings = settings.server.model_copy(update={"request_timeout_s": 60})
    app = build(
        settings.model_copy(update={"providers": accounts, "server": server_settings}), providers
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        serving_it = asyncio.create_task(server.serve([listening]))
        async with asyncio.timeout(20):
            _, writer = await connected(listening.getsockname()[1])
            body = json.dumps({"query": LIST}).encode()
            writer.write(
                b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
            await arrived.wait()
            assert not ended.is_set()
            writer.close()
            await ended.wait()
            server.should_exit = True
            await serving_it


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection, as soon as the server listens."""
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0)
