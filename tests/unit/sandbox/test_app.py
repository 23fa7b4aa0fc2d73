"""The sandbox: all providers at one address, each provider alone, and their calls."""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from gateway.sandbox import app as sandbox_app
from gateway.sandbox.app import Call, Sandbox, SandboxOptions
from gateway.sandbox.identity_rules import RULES
from gateway.sandbox.people import person
from tests.four_kinds import CREDENTIALS, SANDBOXES

KINDS = ["stuut", "voucherify", "instaleap", "emporix"]
NO_CALLS = dict.fromkeys(KINDS, 0)
STUUT = {"Authorization": f"Bearer {CREDENTIALS['stuut']['token']}"}
VOUCHERIFY = {
    "X-App-Id": CREDENTIALS["voucherify"]["app_id"],
    "X-App-Token": CREDENTIALS["voucherify"]["app_token"],
}


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """Return a client of a server."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://sandbox:81")


@pytest.fixture
def sandbox(clock: Any) -> Sandbox:
    """Return a sandbox with 60 people and the clock of the test."""
    return Sandbox(SANDBOXES, SandboxOptions(customers=60), clock)


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of all four providers."""
    async with client_of(sandbox.asgi) as caller:
        yield caller


async def test_front_page_lists_the_providers(client: httpx.AsyncClient) -> None:
    """`/` lists each provider's credentials and base URL, at the address of the request."""
    reply = await client.get("/")

    assert reply.status_code == 200
    assert reply.json() == {
        "about": "Simulated providers of customer segments; GET and DELETE /calls,"
        " GET, PUT and DELETE /faults",
        "customers": 60,
        "providers": {
            kind: {"base_url": f"http://sandbox:81/{kind}", "credentials": dict(CREDENTIALS[kind])}
            for kind in KINDS
        },
    }


async def test_configuration_has_all_providers(client: httpx.AsyncClient) -> None:
    """`/gateway.toml` configures all four, at the address of the request, and links persons."""
    reply = await client.get("/gateway.toml")
    assert tomllib.loads(reply.text) == {
        "providers": [
            {"key": kind, "kind": kind, "base_url": f"http://sandbox:81/{kind}", **credentials}
            for kind, credentials in CREDENTIALS.items()
        ],
        "identity": {"rules": list(RULES)},
    }


async def test_providers_are_separate(client: httpx.AsyncClient) -> None:
    """Each provider serves its own paths, and only below its name."""
    replies = [
        await client.get("/stuut/v2/customer-segments?limit=1", headers=STUUT),
        await client.get("/voucherify/v1/segments?limit=1", headers=VOUCHERIFY),
        await client.get("/v1/segments", headers=VOUCHERIFY),
        await client.get("/stuut", headers=STUUT),
        await client.get("/voucherif", headers=VOUCHERIFY),
        await client.post("/instaleap/api/v3/customers/segments", json={"customers": []}),
        await client.get("/emporix/customer-segment/sandbox/segments"),
    ]

    assert [reply.status_code for reply in replies] == [200, 200, 404, 404, 404, 401, 401]
    assert replies[3].json() == {"detail": "Not Found"}


async def test_ids_may_contain_anything(sandbox: Sandbox, client: httpx.AsyncClient) -> None:
    """An encoded slash, colon, percent or letter stays inside its segment of the path."""
    source_id = "a/b:c d%2Fü?#"
    quoted = "a%2Fb%3Ac%20d%252F%C3%BC%3F%23"
    created = await client.post(
        "/voucherify/v1/customers", json={"source_id": source_id}, headers=VOUCHERIFY
    )
    below = await client.get(f"/voucherify/v1/customers/{quoted}", headers=VOUCHERIFY)
    async with client_of(sandbox.provider("voucherify")) as alone:
        direct = await alone.get(f"/v1/customers/{quoted}/segments", headers=VOUCHERIFY)

    assert below.json() == created.json()
    assert [row["name"] for row in direct.json()["data"]] == ["Never bought"]
    assert [call.path for call in sandbox.calls] == [
        "/v1/customers",
        f"/v1/customers/{source_id}",
        f"/v1/customers/{source_id}/segments",
    ]


async def test_calls_are_remembered_in_order(sandbox: Sandbox, client: httpx.AsyncClient) -> None:
    """Each call has its decoded path and query and its status, including refusals."""
    query = {"filters[name][conditions][$is]": "Gold members", "limit": "1"}
    await client.get("/voucherify/v1/segments", params=query, headers=VOUCHERIFY)
    await client.post("/stuut/v2/customer-segments", json={}, headers=STUUT)
    async with client_of(sandbox.provider("stuut")) as alone:
        await alone.get("/v1/partners")

    assert list(sandbox.calls) == [
        Call(
            kind="voucherify",
            method="GET",
            path="/v1/segments",
            query="filters[name][conditions][$is]=Gold members&limit=1",
            status=200,
        ),
        Call("stuut", "POST", "/v2/customer-segments", "", 422),
        Call("stuut", "GET", "/v1/partners", "", 401),
    ]
    assert sandbox.counts == NO_CALLS | {"stuut": 2, "voucherify": 1}


async def test_counts_are_shown_and_reset(sandbox: Sandbox, client: httpx.AsyncClient) -> None:
    """`/calls` shows the counts and is not counted itself; DELETE resets them."""
    await client.get("/stuut/v1/partners", headers=STUUT)
    await client.get("/")
    counted = await client.get("/calls")
    reset = await client.delete("/calls")
    after = await client.get("/calls")

    assert counted.json() == NO_CALLS | {"stuut": 1}
    assert (reset.status_code, reset.content) == (204, b"")
    assert after.json() == NO_CALLS
    assert list(sandbox.calls) == []


async def test_old_calls_are_forgotten_but_counted(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    """Only the latest calls are stored; the counts include all."""
    monkeypatch.setattr(sandbox_app, "MAX_CALLS", 2)
    sandbox = Sandbox(SANDBOXES, SandboxOptions(customers=1), clock)
    async with client_of(sandbox.provider("stuut")) as client:
        for page in range(3):
            await client.get(f"/v1/partners?page={page}", headers=STUUT)

    assert [call.query for call in sandbox.calls] == ["page=1", "page=2"]
    assert sandbox.counts == NO_CALLS | {"stuut": 3}


def replace_sleep(
    monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Replace it for the sandbox alone: servers of other tests sleep in other threads."""
    monkeypatch.setattr(sandbox_app, "asyncio", SimpleNamespace(sleep=sleep))


async def test_latency_is_added_once_a_call(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    """Every call to a provider is delayed, but not the sandbox's own pages."""
    waits = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    replace_sleep(monkeypatch, sleep)
    sandbox = Sandbox(SANDBOXES, SandboxOptions(customers=1, latency_ms=20), clock)
    async with client_of(sandbox.asgi) as client:
        await client.get("/")
        await client.get("/stuut/v1/partners", headers=STUUT)
        await client.get("/voucherify/v1/segments", headers=VOUCHERIFY)

    assert waits == [0.02, 0.02]


async def test_no_latency_is_no_wait(
    monkeypatch: pytest.MonkeyPatch, client: httpx.AsyncClient
) -> None:
    """Without latency `sleep` is not called at all."""
    waits = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    replace_sleep(monkeypatch, sleep)
    await client.get("/stuut/v1/partners", headers=STUUT)

    assert waits == []


async def test_abandoned_call_is_counted(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    """A call is counted on arrival; one that its caller abandons has status 0."""
    waiting = asyncio.Event()

    async def sleep(_delay_s: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    replace_sleep(monkeypatch, sleep)
    sandbox = Sandbox(SANDBOXES, SandboxOptions(customers=1, latency_ms=1), clock)
    async with client_of(sandbox.provider("stuut")) as client:
        pending = asyncio.ensure_future(client.get("/v1/partners", headers=STUUT))
        await waiting.wait()
        before = (sandbox.counts["stuut"], list(sandbox.calls))
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending

    assert before == (1, [])
    assert list(sandbox.calls) == [Call("stuut", "GET", "/v1/partners", "", 0)]


async def test_sandboxes_share_nothing(clock: Any) -> None:
    """A change in one sandbox does not affect another."""
    one, other = (
        Sandbox(SANDBOXES, SandboxOptions(), clock),
        Sandbox(SANDBOXES, SandboxOptions(), clock),
    )
    path = f"/voucherify/v1/customers/{person(1).voucherify_id}"
    async with client_of(one.asgi) as client:
        deleted = await client.delete(path, headers=VOUCHERIFY)
    async with client_of(other.asgi) as client:
        read = await client.get(path, headers=VOUCHERIFY)

    assert (deleted.status_code, read.status_code) == (204, 200)
    assert (one.counts["voucherify"], other.counts["voucherify"]) == (1, 1)


def test_unknown_kind_is_a_key_error(sandbox: Sandbox) -> None:
    """Only the four kinds are known."""
    with pytest.raises(KeyError):
        sandbox.provider("elsewhere")

    assert list(sandbox.counts) == KINDS


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_server_runs_all_or_one(kind: str | None, sandbox: Sandbox) -> None:
    """Uvicorn recognises the whole sandbox, and each provider, as ASGI 3."""
    config = uvicorn.Config(sandbox.provider(kind) if kind else sandbox.asgi)
    config.load()

    assert config.interface == "asgi3"
