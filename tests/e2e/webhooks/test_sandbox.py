"""The sandbox's webhooks: what is changed at a provider directly reaches a subscriber."""

import asyncio
import contextlib
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest

from gateway.asgi import build
from gateway.cli.sandbox import send_webhooks
from gateway.sandbox.app import Sandbox, SandboxOptions
from gateway.sandbox.people import person
from gateway.settings.loading import load
from gateway.settings.tables import Settings, StoreSettings
from tests.e2e.serving import customer_id, segment_id
from tests.e2e.subscribing import Shop
from tests.four_kinds import CREDENTIALS, SANDBOXES, four_settings
from tests.security.served import application_served
from tests.security.sockets import ACK, INIT, Socket, opened, subscribe

pytestmark = pytest.mark.no_fast_paths

WITHIN_S = 1.0
"""How long a change may take from the provider to a subscriber."""
PATIENCE_S = 20
MEMBER = "90000111"
CHANGED = """subscription { changed {
  source kind ... on AssignmentChange { segmentId customerId } ... on SegmentChange { segmentId }
} }"""
ASSIGN = """mutation($input: AssignmentCreateInput!) {
  assignmentCreate(input: $input) { userErrors { message } } }"""
UNASSIGN = """mutation($input: AssignmentDeleteInput!) {
  assignmentDelete(input: $input) { userErrors { message } } }"""
CREATE = """mutation($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { userErrors { message } } }"""
DELETE = """mutation($input: SegmentDeleteInput!) {
  segmentDelete(input: $input) { userErrors { message } } }"""
CHANGES = "{ changes { nodes { kind source } } }"
RECEIVED = '{ provider(key: "emporix") { webhooks { state receivedLast24h } } }'
HERE = {"segmentId": segment_id("emporix", "golden"), "customerId": customer_id("emporix", MEMBER)}
WRITTEN = {
    "segmentId": HERE["segmentId"],
    "identity": {"provider": "emporix", "externalId": MEMBER},
}


def change(source: str, kind: str, **where: str) -> Mapping[str, str]:
    """Return a change as `CHANGED` shows it."""
    return {"source": source, "kind": kind, **(where or HERE)}


@contextlib.asynccontextmanager
async def at_emporix(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """Call Emporix's own API, signed in."""
    transport = httpx.ASGITransport(sandbox.provider("emporix"))
    async with httpx.AsyncClient(transport=transport, base_url="http://emporix") as client:
        ours = CREDENTIALS["emporix"]
        form = {"grant_type": "client_credentials", **ours}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        client.base_url = httpx.URL(f"http://emporix/customer-segment/{ours['tenant']}/")
        yield client


@contextlib.asynccontextmanager
async def following(shop: Shop) -> AsyncIterator[Socket]:
    """Subscribe to all changes."""
    async with opened(shop.server) as socket:
        await socket.say(INIT)
        assert await socket.heard() == ACK
        await socket.say(subscribe("1", CHANGED), subscribe("2", "{ __typename }"))
        assert [(await socket.heard())["id"] for _ in range(2)] == ["2", "2"]
        yield socket


async def heard(socket: Socket) -> Any:
    """Return the next change."""
    return (await socket.heard())["payload"]["data"]["changed"]


async def received(shop: Shop, count: int) -> None:
    """Wait until Emporix has sent so many webhooks."""
    async with asyncio.timeout(PATIENCE_S):
        while (reply := await shop.ask(RECEIVED))["provider"]["webhooks"] != {
            "state": "HEALTHY",
            "receivedLast24h": count,
        }:
            await asyncio.sleep(0.02)
            assert reply["provider"]["webhooks"]["receivedLast24h"] <= count


async def delivered(sandbox: Sandbox) -> None:
    """Wait until every webhook was accepted."""
    async with asyncio.timeout(PATIENCE_S):
        while sandbox.pending_webhooks:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.01)


async def kinds(shop: Shop) -> list[str]:
    """Return the kinds of all changes."""
    return [kind for kind, _ in await sources(shop)]


async def sources(shop: Shop) -> list[tuple[str, str]]:
    """Return the kinds of all changes, each with its source."""
    nodes = (await shop.ask(CHANGES))["changes"]["nodes"]
    return [(each["kind"], each["source"]) for each in nodes]


@contextlib.asynccontextmanager
async def shop_of(settings: Settings, folder: Path, port: int = 0) -> AsyncIterator[Shop]:
    """Serve a gateway as `gateway serve` does."""
    store = StoreSettings(url=f"sqlite:///{folder / 'gateway.db'}")
    app = build(settings.model_copy(update={"store": store}))
    async with application_served(app, port) as server:
        address = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client:
            yield Shop(server, client)


@pytest.fixture
def sandbox() -> Sandbox:
    """Return a sandbox whose clock goes."""
    return Sandbox(SANDBOXES, SandboxOptions(customers=60))


@pytest.fixture
async def embedded(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    """Return a gateway without a configuration, over its embedded sandbox."""
    monkeypatch.setattr("gateway.asgi.embedded_sandbox", lambda _: sandbox)
    async with shop_of(four_settings(), tmp_path) as shop:
        yield shop


async def test_changed_at_the_provider(embedded: Shop, sandbox: Sandbox) -> None:
    """Who enters or leaves at Emporix or Voucherify is seen within a second, once each.

    That is the median: other tests run meanwhile.
    """
    took = []

    async def seen(socket: Socket) -> Any:
        started = time.monotonic()
        change = await heard(socket)
        took.append(time.monotonic() - started)
        return change

    async with following(embedded) as socket, at_emporix(sandbox) as emporix:
        assert (
            await emporix.put(f"segments/golden/customers/{MEMBER}", json={})
        ).status_code == 201
        assert await seen(socket) == change("WEBHOOK", "ENTERED")
        assert (await emporix.delete(f"segments/golden/customers/{MEMBER}")).status_code == 204
        assert await seen(socket) == change("WEBHOOK", "LEFT")
        segment = {"id": "fresh", "name": {"en": "Fresh"}, "siteCode": "main"}
        fresh = {"segmentId": segment_id("emporix", "fresh")}
        assert (await emporix.post("segments", json=segment)).status_code == 201
        assert await seen(socket) == change("WEBHOOK", "CREATED", **fresh)
        assert (await emporix.put("segments/fresh", json=segment)).status_code == 204
        assert await seen(socket) == change("WEBHOOK", "UPDATED", **fresh)
        assert (
            await emporix.put("segments/fresh/items/PRODUCT/p1001", json={})
        ).status_code == 201
        assert await seen(socket) == change("WEBHOOK", "UPDATED", **fresh)
        assert (await emporix.delete("segments/fresh?forceDelete=true")).status_code == 204
        assert await seen(socket) == change("WEBHOOK", "DELETED", **fresh)

        transport = httpx.ASGITransport(sandbox.provider("voucherify"))
        ours = CREDENTIALS["voucherify"]
        keys = {"x-app-id": ours["app_id"], "x-app-token": ours["app_token"]}
        who = person(1)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://voucherify/v1", headers=keys
        ) as voucherify:
            segments = (await voucherify.get("segments?limit=100")).json()["data"]
            (news,) = [each for each in segments if each["name"] == "Newsletter readers"]
            path = f"customers/{who.voucherify_id}"
            for reads, kind in ((True, "ENTERED"), (False, "LEFT")):
                body = {"metadata": {"newsletter": reads}}
                assert (await voucherify.put(path, json=body)).status_code == 200
                assert await seen(socket) == change(
                    "WEBHOOK",
                    kind,
                    segmentId=segment_id("voucherify", news["id"]),
                    customerId=customer_id("voucherify", str(who.voucherify_id)),
                )
    assert len(await kinds(embedded)) == 8
    assert median(took) < WITHIN_S


async def test_own_writes(embedded: Shop) -> None:
    """A write through the gateway and its own webhook are one change."""
    async with following(embedded) as socket:
        for count, (query, kind) in enumerate(((ASSIGN, "ENTERED"), (UNASSIGN, "LEFT")), 1):
            (field,) = (await embedded.ask(query, {"input": WRITTEN})).values()
            assert field == {"userErrors": []}
            seen = await heard(socket)
            assert seen == change(seen["source"], kind)
            await received(embedded, count)
    assert await kinds(embedded) == ["ENTERED", "LEFT"]


class Holding(Sandbox):
    """Holds each webhook back until the test releases it."""

    def deliver(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Deliver over this transport."""
        self.held: list[asyncio.Event] = []

        async def hold(_delay_s: float) -> None:
            self.held.append(asyncio.Event())
            await self.held[-1].wait()

        super().deliver(transport, hold)

    async def release(self, number: int) -> None:
        """Deliver the webhook with this number."""
        async with asyncio.timeout(PATIENCE_S):
            while number >= len(self.held):  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0.01)
        self.held[number].set()


async def test_late_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late reports of writes append nothing; what is changed afterwards is not missed."""
    sandbox = Holding(SANDBOXES, SandboxOptions(customers=60))
    monkeypatch.setattr("gateway.asgi.embedded_sandbox", lambda _: sandbox)
    given = {"provider": "emporix", "externalId": "fresh", "name": "Fresh", "siteCode": "main"}
    fresh = {"id": segment_id("emporix", "fresh")}
    assigned, made = [(ASSIGN, WRITTEN), (UNASSIGN, WRITTEN)], [(CREATE, given), (DELETE, fresh)]
    async with shop_of(four_settings(), tmp_path) as shop, at_emporix(sandbox) as emporix:
        for query, value in [*assigned, *made]:
            (field,) = (await shop.ask(query, {"input": value})).values()
            assert field == {"userErrors": []}
        for count, late in enumerate((0, 2), 1):  # of the creations
            await sandbox.release(late)
            await received(shop, count)
        for query, value in (assigned[0], made[0]):
            (field,) = (await shop.ask(query, {"input": value})).values()
            assert field == {"userErrors": []}
        for count, late in enumerate((1, 3), 3):  # of the deletions
            await sandbox.release(late)
            await received(shop, count)
        path = f"segments/golden/customers/{MEMBER}"
        assert (await emporix.delete(path)).status_code == 204
        await sandbox.release(6)
        async with asyncio.timeout(PATIENCE_S):
            while len(await sources(shop)) < 7:  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0.01)
        assert await sources(shop) == [
            ("ENTERED", "WRITE"),
            ("LEFT", "WRITE"),
            ("CREATED", "WRITE"),
            ("DELETED", "WRITE"),
            ("ENTERED", "WRITE"),
            ("CREATED", "WRITE"),
            ("LEFT", "WEBHOOK"),
        ]
        await sandbox.close()


class Lossy(httpx.AsyncHTTPTransport):
    """Loses the first responses: the request has arrived."""

    lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and lose what comes back."""
        response = await super().handle_async_request(request)
        if self.lost < 3:
            self.lost += 1
            await response.aclose()
            raise httpx.ReadError("lost")
        return response


class Waits:
    """The waits before the attempts, which end when the test wants it."""

    def __init__(self) -> None:
        """Nothing waits."""
        self.delays: list[float] = []
        self.over = asyncio.Event()

    async def __call__(self, delay_s: float) -> None:
        """Wait until it is over; first attempts do not wait."""
        self.delays.append(delay_s)
        if delay_s >= 1:
            await self.over.wait()

    async def reached(self, delay_s: float) -> None:
        """Wait until an attempt has failed that is repeated after this long."""
        async with asyncio.timeout(PATIENCE_S):
            while delay_s not in self.delays:  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0.01)


async def configuration(sandbox: Sandbox, folder: Path, address: str) -> Settings:
    """Return what the sandbox's own configuration file configures."""
    transport = httpx.ASGITransport(sandbox.asgi)
    async with httpx.AsyncClient(transport=transport, base_url=address) as client:
        text = (await client.get("/gateway.toml")).text
    secrets = [each.get("webhook_secret") for each in tomllib.loads(text)["providers"]]
    assert [each is not None for each in secrets] == [False, True, False, True]
    file = folder / "gateway.toml"
    file.write_text(text)
    return load(file, {})


async def test_gateway_away(sandbox: Sandbox, tmp_path: Path) -> None:
    """`gateway sandbox --webhooks`: a gateway that was down for a while misses nothing.

    A webhook whose response was lost is sent again, and is one change.
    """
    waits = Waits()
    async with application_served(sandbox.asgi) as provider, at_emporix(sandbox) as emporix:
        async with application_served(sandbox.asgi) as place:
            port = place.port  # free again in a moment
        sandbox.deliver(Lossy(), waits)
        send_webhooks(sandbox, f"http://127.0.0.1:{port}")
        settings = await configuration(sandbox, tmp_path, f"http://127.0.0.1:{provider.port}")
        assert (
            await emporix.put(f"segments/golden/customers/{MEMBER}", json={})
        ).status_code == 201
        await waits.reached(5)
        async with shop_of(settings, tmp_path, port) as shop, following(shop) as socket:
            waits.over.set()
            assert await heard(socket) == change("WEBHOOK", "ENTERED")
            await waits.reached(7200)  # three responses were lost
            await delivered(sandbox)
            await received(shop, 1)
            assert await kinds(shop) == ["ENTERED"]
            await sandbox.close()
