"""`[[watch]]` through the front door: events, sizes, webhooks, restarts, replicas."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from gateway.limits.settings import LimitSettings
from gateway.providers.base.watch_settings import WatchSettings
from gateway.settings.tables import Settings
from tests.e2e.known import SILVER_MEMBERS
from tests.e2e.serving import Front, Providers, customer_id, segment_id, settings_with
from tests.e2e.test_comparison import COMPARE
from tests.e2e.test_customer_sets import BETA, SILVER
from tests.e2e.watching.emporix import TENANT, Tenant
from tests.e2e.webhooks.sending import CHANGES, NEW, changes, send_emporix, webhooks
from tests.e2e.writes.asking import do, shoppers
from tests.e2e.writes.serving import serving
from tests.e2e.writes.test_kills import listening
from tests.security.served import PATIENCE_S, really_serving
from tests.security.sockets import ACK, INIT, opened

pytestmark = pytest.mark.no_fast_paths

GOLD = segment_id("emporix", "gold")
EVENTS = """subscription { changed {
  kind source occurredAt
  ... on AssignmentChange { segmentId customerId legalEntity { id } }
  ... on SegmentChange { segmentId } } }"""
HISTORY = "query($id: ID!) { segment(id: $id) { sizeHistory { count precision entered left } } }"
SERVER = """
import sys, uvicorn
uvicorn.run("gateway.asgi:create", factory=True, fd=int(sys.argv[1]), log_level="critical")
"""
CONFIGURATION = """
[store]
url = "{url}"
[[providers]]
key = "emporix"
kind = "emporix"
base_url = "http://127.0.0.1:{port}"
tenant = "{tenant}"
client_id = "{client}"
client_secret = "secret"
calls_per_minute = 100000
[[watch]]
provider = "emporix"
segments = ["gold"]
every_s = 1
"""


def watching(*segments: str, every_s: float = 0.05) -> Settings:
    """Return settings that watch segments of Emporix, more often than a file may say."""
    watch = WatchSettings.model_construct(provider="emporix", segments=segments, every_s=every_s)
    return settings_with(calls_per_minute=1_000_000).model_copy(update={"watch": (watch,)})


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # of a provider without notifications
            await asyncio.sleep(0.01)


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """Wait until a look at the gateway shows something."""
    async with asyncio.timeout(PATIENCE_S):
        while not (result := await look()):  # noqa: ASYNC110  # of a server without notifications
            await asyncio.sleep(0.02)
    return result


async def compared(tenant: Tenant) -> None:
    """Wait until the members were read and their number was the same after that."""
    tenant.calls.clear()

    def is_compared() -> bool:
        calls = [call for call in tenant.calls if call.endswith("gold")]
        return calls[-3:] == ["count gold"] * 3

    await until(is_compared)


async def history(front: Front) -> Any:
    """Return the history of the segment's size."""
    return (await front.data(HISTORY, {"id": GOLD}))["segment"]["sizeHistory"]


async def test_events(tmp_path: Path, providers: Providers, tenant: Tenant) -> None:
    """Who enters, leaves, and which segments come, change and go, reaches a subscriber."""
    tenant.set("gold", "ada")
    settings = watching("*")
    store = settings.store.model_copy(update={"url": f"sqlite:///{tmp_path}/gateway.db"})
    settings = settings.model_copy(update={"store": store})
    async with really_serving(settings, providers) as server, opened(server) as socket:
        await socket.say(INIT)
        assert await socket.heard() == ACK
        await socket.say({"id": "1", "type": "subscribe", "payload": {"query": EVENTS}})
        await compared(tenant)

        async def event() -> Any:
            message = await socket.heard()
            assert message["type"] == "next", message
            return message["payload"]["data"]["changed"]

        common = {"source": "DIFF", "occurredAt": None, "segmentId": GOLD}
        tenant.set("gold", "bea")
        await until(lambda: "count gold" in tenant.calls)
        tenant.set("gold", "bea", "cid")
        member = {**common, "legalEntity": None}
        kinds = [await event() for _ in range(3)]
        assert kinds == [
            {**member, "kind": kind, "customerId": customer_id("emporix", key)}
            for kind, key in (("ENTERED", "bea"), ("ENTERED", "cid"), ("LEFT", "ada"))
        ]
        tenant.versions["gold"] = 2
        assert await event() == {**common, "kind": "UPDATED"}
        tenant.set("new", "dan")
        new = {**common, "segmentId": segment_id("emporix", "new")}
        assert await event() == {**new, "kind": "CREATED"}
        await until(lambda: tenant.calls[-1] == "page 1 of new")
        del tenant.members["new"]
        assert await event() == {**new, "kind": "DELETED"}
        del tenant.members["gold"]
        assert await event() == {**common, "kind": "DELETED"}


async def test_sizes_and_restart(sqlite_url: str, providers: Providers, tenant: Tenant) -> None:
    """A restart compares with the snapshot of before; the history adds up who moved."""
    tenant.set("gold", "ada", "bea")
    settings = watching("gold")
    async with serving(providers, sqlite_url, settings) as front:
        await compared(tenant)
        point = {"precision": "EXACT", "count": 2, "entered": 0, "left": 0}
        assert (await history(front))[-1] == point
    tenant.set("gold", "bea", "cid", "dan")
    tenant.calls.clear()
    async with serving(providers, sqlite_url, settings) as front:
        await until(lambda: "page 1 of gold" in tenant.calls)
        await compared(tenant)
        assert (await history(front))[-1] == {
            "precision": "EXACT",
            "count": 3,
            "entered": 2,
            "left": 1,
        }
        nodes = (await front.data(CHANGES))["changes"]["nodes"]
        assert [(node["kind"], node["customerId"]) for node in nodes] == [
            (kind, customer_id("emporix", key))
            for kind, key in (("ENTERED", "cid"), ("ENTERED", "dan"), ("LEFT", "ada"))
        ]


async def test_restart_before_it_is_due(
    sqlite_url: str, providers: Providers, tenant: Tenant
) -> None:
    """A segment that was compared before a restart waits for the rest of its interval."""
    tenant.set("gold", "ada")
    tenant.set("new", "ada")
    async with serving(providers, sqlite_url, watching("gold", every_s=900)) as front:
        await until(lambda: "page 1 of gold" in tenant.calls)
        await eventually(lambda: history(front))
    tenant.calls.clear()
    async with serving(providers, sqlite_url, watching("gold", "new", every_s=900)):
        await until(lambda: "page 1 of new" in tenant.calls)
    assert [call for call in tenant.calls if "gold" in call] == []


async def test_quiet_webhooks(
    sqlite_url: str, providers: Providers, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QUIET from a change that only a comparison detected until the next webhook is accepted."""
    monkeypatch.setattr("gateway.store.webhooks.QUIET_AFTER", timedelta(0))
    settings = watching("gold")
    secret = {"webhook_secret": SecretStr(NEW)}
    accounts = tuple(
        each.model_copy(update=secret if each.key == "emporix" else {})
        for each in settings.providers
    )
    settings = settings.model_copy(update={"providers": accounts})
    tenant.set("gold", "ada")
    async with serving(providers, sqlite_url, settings) as front:
        await compared(tenant)
        assert (await webhooks(front, "emporix"))["state"] == "HEALTHY"
        tenant.set("gold", "ada", "bea")

        async def is_changed() -> bool:
            return bool((await webhooks(front, "emporix"))["state"] != "HEALTHY")

        await eventually(is_changed)
        assert (await webhooks(front, "emporix"))["state"] == "QUIET"
        assigned = {"segmentId": "gold", "customer": {"id": "bea"}, "metadata": {"version": 1}}
        reply = await send_emporix(front.client, "customer-assignment-created", assigned)
        assert reply.status_code == 204, reply.text
        assert (await webhooks(front, "emporix"))["state"] == "HEALTHY"


async def test_provider_that_fails(sqlite_url: str, providers: Providers, tenant: Tenant) -> None:
    """After a failure it is compared as before."""
    tenant.set("gold", "ada")
    async with serving(providers, sqlite_url, watching("gold")) as front:
        await compared(tenant)
        tenant.failures = [500]
        tenant.set("gold", "ada", "bea")
        assert [node["kind"] for node in await changes(front, 1)] == ["ENTERED"]


async def test_comparison_beyond_the_limit(sqlite_url: str) -> None:
    """Segments of any size compare by their snapshots, if they are watched."""
    providers = Providers()
    ids = [SILVER, BETA]
    async with serving(providers, sqlite_url, settings_with()) as front:
        live = (await front.data(COMPARE, {"ids": ids}))["segmentsCompare"]
    watch = WatchSettings.model_construct(
        provider="voucherify", segments=(SILVER_MEMBERS,), every_s=0.05
    )
    limits = LimitSettings(compare_members=3)
    settings = settings_with().model_copy(update={"watch": (watch,), "limits": limits})
    async with serving(providers, sqlite_url, settings) as front:
        await until(lambda: "GET /v1/customers" in str(front.calls[-3:]))
        answer = await front.ask(COMPARE, {"ids": ids})  # BETA is not watched
        assert [each["extensions"]["code"] for each in answer["errors"]] == ["LIMIT_EXCEEDED"]
    both = watch.model_copy(update={"segments": ("*",)})
    settings = settings.model_copy(update={"watch": (both,)})
    async with serving(providers, sqlite_url, settings) as front:

        async def compare() -> Any:
            return (await front.ask(COMPARE, {"ids": ids}))["data"]["segmentsCompare"]

        started = datetime.now(UTC)
        by_snapshot = await eventually(compare)
        moments = [by_snapshot["asOf"], *(each["asOf"] for each in by_snapshot["sets"])]
        assert all(datetime.fromisoformat(each) < datetime.now(UTC) for each in moments)
        assert datetime.fromisoformat(max(moments)) > started - timedelta(minutes=1)
        for each in (live, by_snapshot):
            del each["asOf"], each["sets"][0]["asOf"], each["sets"][1]["asOf"]
        assert by_snapshot == live
        query = "query($ids: [ID!]) { customers(filter: {inAll: $ids}) { totalCount } }"
        answer = await front.ask(query, {"ids": [SILVER]})
        assert [each["extensions"]["code"] for each in answer["errors"]] == ["LIMIT_EXCEEDED"]


async def test_stored_provider(sqlite_url: str) -> None:
    """A provider that is read from the store has sizes, and no other changes than its writes."""
    watch = WatchSettings.model_construct(provider="instaleap", segments=("*",), every_s=0.05)
    settings = settings_with().model_copy(update={"watch": (watch,)})
    customers = shoppers(3)

    async def write(customer: str, *tags: str) -> None:
        entry = {
            "externalId": customer,
            "segments": [{"type": "tier", "value": value} for value in tags],
        }
        given = {"provider": "instaleap", "customers": [entry]}
        payload = await do(front, "customerSegmentsReplace", given)
        assert payload["userErrors"] == []

    async with serving(Providers(), sqlite_url, settings) as front:

        async def reaches(tag: str, count: int, entered: int, left: int) -> None:
            segment = segment_id("instaleap", f"tier:{tag}")
            point = {"count": count, "precision": "EXACT", "entered": entered, "left": left}

            async def is_there() -> bool:
                data = await front.data(HISTORY, {"id": segment})
                return bool(data["segment"]["sizeHistory"][-1:] == [point])

            await eventually(is_there)

        await write(customers[0], "gold")
        await reaches("gold", 1, 0, 0)
        await write(customers[1], "gold", "new")
        await reaches("new", 1, 0, 0)
        await write(customers[2], "gold")
        await reaches("gold", 3, 2, 0)
        await write(customers[0], "new")
        await reaches("gold", 2, 2, 1)
        await reaches("new", 2, 1, 0)
        await write(customers[1], "new")
        await write(customers[2], "new")  # nobody has the other tag any more
        await reaches("new", 3, 2, 0)
        await write(customers[0])
        await reaches("new", 2, 2, 1)  # all were compared since the last write but one
        nodes = (await front.data(CHANGES))["changes"]["nodes"]
        assert [(node["source"], node["kind"]) for node in nodes] == [
            ("WRITE", kind)
            for kind in (
                *["ENTERED"] * 4,
                *["LEFT", "ENTERED", "LEFT"],
                *["LEFT", "ENTERED", "LEFT"],
            )
        ]


@contextlib.asynccontextmanager
async def replica(folder: Path, url: str, port: int, client: str) -> AsyncIterator[Process]:
    """Run a process, from when it serves."""
    configuration = folder / f"{client}.toml"
    configuration.write_text(
        CONFIGURATION.format(url=url, port=port, tenant=TENANT, client=client)
    )
    with listening() as at:
        fd = at.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVER, str(fd)),
            pass_fds=[fd],
            env={**os.environ, "GATEWAY_CONFIG": str(configuration)},
        )
        try:
            address = f"http://127.0.0.1:{at.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as probe:
                assert (await probe.get("/livez")).status_code == 200
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()


async def served_by(tenant: Tenant, clients: Sequence[str], count: int) -> str:
    """Return who makes the next calls, which must be one of these alone."""
    tenant.clients.clear()
    await until(lambda: len(tenant.clients) >= count)
    (client,) = {*tenant.clients}
    assert client in clients
    return client


async def test_one_replica_at_a_time(url: str, tmp_path: Path, tenant: Tenant) -> None:
    """One of two replicas compares; when it is killed, the other goes on from its snapshot."""
    tenant.set("gold", "ada", "bea")
    config = uvicorn.Config(tenant, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    with listening() as at:
        running = asyncio.create_task(server.serve([at.dup()]))
        port = at.getsockname()[1]
        async with (
            replica(tmp_path, url, port, "one") as one,
            replica(tmp_path, url, port, "two") as two,
        ):
            leader = await served_by(tenant, ["one", "two"], 3)
            killed, other = (one, "two") if leader == "one" else (two, "one")
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            tenant.set("gold", "ada", "cid")
            tenant.calls.clear()
            assert await served_by(tenant, [other], 2) == other
            assert tenant.calls[:2] == ["count gold", "count gold"]
        server.should_exit = True
        await running
