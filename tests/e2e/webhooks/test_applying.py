"""`gateway webhooks apply`: what it sends to Emporix, and what it leaves alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.asgi import build
from gateway.providers.emporix.webhooks import EVENT_TYPES, secret_for
from gateway.sandbox.app import Sandbox, SandboxOptions
from gateway.sandbox.emporix.webhooks import CATALOGUE
from gateway.settings.loading import load
from gateway.settings.tables import StoreSettings
from tests.four_kinds import CREDENTIALS, SANDBOXES
from tests.security.served import application_served

SECRET = "the-secret"  # one of the test
HERE = "customer-segment.segment-created"
OFFERED = [each for each in EVENT_TYPES if each in CATALOGUE]
READS = [
    "POST /oauth/token",
    "GET /webhook/sandbox/config",
    "GET /webhook/sandbox/config/http",
    "GET /webhook/sandbox/event-subscriptions",
]


class Emporix:
    """The sandbox of Emporix, served for the command, and the operator's own client of it."""

    def __init__(
        self, sandbox: Sandbox, client: httpx.AsyncClient, folder: Path, port: int
    ) -> None:
        """Configure a gateway for it in this folder."""
        self.client = client
        self._sandbox = sandbox
        self.configuration = folder / "gateway.toml"
        ours = CREDENTIALS["emporix"]
        lines = [f'{name} = "{value}"' for name, value in ours.items()]
        self.configuration.write_text(
            f'[[providers]]\nkey = "emporix"\nkind = "emporix"\n'
            f'base_url = "http://127.0.0.1:{port}/emporix"\nwebhook_secret = "{SECRET}"\n'
            + "\n".join(lines)
        )
        self.folder = folder

    @property
    def calls(self) -> Sequence[str]:
        """The calls since the last look."""
        calls = [f"{call.method} {call.path}" for call in self._sandbox.calls]
        self._sandbox.reset_calls()
        return calls

    async def config(self) -> Mapping[str, Any]:
        """Return the HTTP strategy's configuration."""
        config: Mapping[str, Any] = (await self.client.get("config/http")).json()
        return config

    async def create(self, code: str = "http", *, active: bool = True, **settings: Any) -> None:
        """Have a configuration already."""
        body = {
            "code": code,
            "provider": code.upper(),
            "active": active,
            "configuration": settings,
        }
        assert (await self.client.post("config", json=body)).status_code == 201

    async def apply(self, url: str, *options: str, answer: str | None = None) -> Result:
        """Run the command in a thread: it has a loop of its own."""
        self._sandbox.reset_calls()
        arguments = ["--provider", "emporix", "--public-url", url]
        arguments += ["--config", str(self.configuration), *options]
        return await asyncio.to_thread(
            CliRunner().invoke, cli, ["webhooks", "apply", *arguments], answer
        )


@pytest.fixture
async def emporix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emporix]:
    """Return Emporix, with nothing set up."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("structlog.configure", lambda **_: None)
    sandbox = Sandbox({"emporix": SANDBOXES["emporix"]}, SandboxOptions(customers=30))
    transport = httpx.ASGITransport(sandbox.provider("emporix"))
    async with (
        application_served(sandbox.asgi) as server,
        httpx.AsyncClient(transport=transport, base_url="http://e/webhook/sandbox") as client,
    ):
        form = {"grant_type": "client_credentials", **CREDENTIALS["emporix"]}
        token = (await client.post("http://e/oauth/token", data=form)).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield Emporix(sandbox, client, tmp_path, server.port)
        await sandbox.close()


@pytest.fixture
async def gateway(emporix: Emporix) -> AsyncIterator[str]:
    """Return the address of the gateway that is to receive."""
    store = StoreSettings(url=f"sqlite:///{emporix.folder / 'gateway.db'}")
    settings = load(emporix.configuration, {}).model_copy(update={"store": store})
    async with application_served(build(settings), wanted=[settings]) as server:
        yield f"http://127.0.0.1:{server.port}"


async def test_applied(emporix: Emporix, gateway: str) -> None:
    """Everything offered is subscribed to and has its target; then it works; then all is done."""
    refused = await emporix.apply(gateway, answer="n\n")
    assert (refused.exit_code, emporix.calls) == (2, READS)
    assert "Nothing was sent." in refused.stderr
    shown = await emporix.apply(gateway, answer="y\n")
    assert shown.exit_code == 0, shown.output
    assert SECRET not in shown.output
    writes = ["POST /webhook/sandbox/config", "PATCH /webhook/sandbox/event-subscriptions"]
    assert emporix.calls == READS + writes
    for each in OFFERED:
        assert f"add target      {each}  {gateway}/webhooks/emporix/{each}\n" in shown.output
        assert f"subscribe to    {each}\n" in shown.output
    unknown = "customer-segment.segment-group-assignment-created"
    assert f"This tenant does not offer: {unknown}" in shown.output
    assert "Done.\n" in shown.output
    config = await emporix.config()
    assert config["active"] is True
    entries = config["configuration"]["eventsConfiguration"]
    assert [{**each, "id": 0} for each in entries] == [
        {
            "id": 0,
            "name": "Segment gateway",
            "eventType": each,
            "destinationUrl": f"{gateway}/webhooks/emporix/{each}",
            "secretKeyExists": True,
            "excludedFields": [],
            "active": True,
        }
        for each in OFFERED
    ]

    segment = {"id": "s", "name": {"en": "S"}, "siteCode": "main"}
    path = "http://e/customer-segment/sandbox/segments"
    assert (await emporix.client.post(path, json=segment)).status_code == 201
    async with httpx.AsyncClient(base_url=gateway, trust_env=False) as client:
        query = {"query": "{ changes { nodes { kind } } }"}
        async with asyncio.timeout(20):
            while True:
                data = (await client.post("/graphql", json=query)).json()["data"]
                if data == {"changes": {"nodes": [{"kind": "CREATED"}]}}:
                    break
                await asyncio.sleep(0.05)

    again = await emporix.apply(gateway, "--yes")
    assert (again.exit_code, emporix.calls) == (0, READS)
    assert again.output.startswith("Everything is set up already.\n")
    assert await emporix.config() == config


async def test_adds_to_what_is_there(emporix: Emporix, gateway: str) -> None:
    """Another's entries and subscriptions stay as they are; what is inactive is not activated."""
    other = {"eventType": HERE, "destinationUrl": f"{gateway}/webhooks/other", "name": "ERP"}
    await emporix.create(active=False, eventsConfiguration=[other])
    subscription = {"eventType": HERE, "action": "SUBSCRIBE"}
    await emporix.client.patch("event-subscriptions", json=[subscription])
    left = {"eventType": OFFERED[1], "action": "SUBSCRIBE"}
    await emporix.client.patch("event-subscriptions", json=[left])
    ended = {**left, "action": "UNSUBSCRIBE", "metadata": {"version": 1}}
    await emporix.client.patch("event-subscriptions", json=[ended])
    before = await emporix.config()
    shown = await emporix.apply(gateway, "--yes")
    assert shown.exit_code == 0, shown.output
    writes = [
        "PATCH /webhook/sandbox/config/http",
        "PATCH /webhook/sandbox/event-subscriptions",
    ]
    assert emporix.calls == READS + writes
    assert f"subscribe to    {HERE}\n" not in shown.output
    assert f"subscribe to    {OFFERED[1]}\n" in shown.output
    assert "The HTTP strategy is not active" in shown.output
    after = await emporix.config()
    (first, *added) = after["configuration"]["eventsConfiguration"]
    assert [first] == before["configuration"]["eventsConfiguration"]
    assert [each["eventType"] for each in added] == OFFERED
    assert after["active"] is False
    listed = (await emporix.client.get("event-subscriptions")).json()
    assert {each["subscription"] for each in listed} == {"SUBSCRIBED"}


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"code": "svix"}, "The strategy 'svix' is active at Emporix"),
        ({"destinationUrl": "/webhooks/general"}, f"Emporix sends {HERE} to the general"),
    ],
    ids=["svix", "general destination"],
)
async def test_disturbs_nobody(
    emporix: Emporix, gateway: str, setup: dict[str, str], message: str
) -> None:
    """Where others would get nothing any more, nothing is sent."""
    if "destinationUrl" in setup:
        setup = {"destinationUrl": gateway + setup["destinationUrl"]}
    await emporix.create(**setup)  # type: ignore[arg-type]  # `active` stays as it is
    subscription = {"eventType": HERE, "action": "SUBSCRIBE"}
    await emporix.client.patch("event-subscriptions", json=[subscription])
    shown = await emporix.apply(gateway, "--yes")
    assert (shown.exit_code, emporix.calls) == (2, READS)
    assert message in shown.stderr
    assert "Nothing was sent." in shown.stderr


async def test_out_of_reach(emporix: Emporix) -> None:
    """A gateway that Emporix cannot reach is refused there: the message says what to look at."""
    shown = await emporix.apply("http://127.0.0.1:9", "--yes")
    assert (shown.exit_code, emporix.calls) == (2, [*READS, "POST /webhook/sandbox/config"])
    assert "(webhooks.add_targets, HTTP 400)" in shown.stderr
    assert "HEAD or OPTIONS" in shown.stderr
    assert (await emporix.client.get("config")).json() == []


async def test_without_the_scopes(emporix: Emporix) -> None:
    """For a client without the scopes, the message names those that it needs."""
    text = emporix.configuration.read_text()
    emporix.configuration.write_text(f'{text}\nscope = "customersegment.segment_read"\n')
    shown = await emporix.apply("https://gateway.example", "--yes")
    assert (shown.exit_code, emporix.calls) == (2, READS[:2])
    assert "webhook.subscription_manage" in shown.stderr


async def test_not_for_others(emporix: Emporix) -> None:
    """Kinds without such an API, an unencrypted address, and Svix secrets are refused at once."""
    shown = await emporix.apply("http://gateway.example", "--yes")
    assert (shown.exit_code, emporix.calls) == (2, [])
    text = emporix.configuration.read_text()
    emporix.configuration.write_text(text.replace(SECRET, "whsec_c2VjcmV0"))
    shown = await emporix.apply("https://gateway.example", "--yes")
    assert (shown.exit_code, emporix.calls) == (2, READS)
    assert "webhook_secret is one of Svix" in shown.stderr
    emporix.configuration.write_text(text.replace('"emporix"', '"emporix2"', 1))
    shown = await emporix.apply("https://gateway.example", "--yes")
    assert (shown.exit_code, emporix.calls) == (2, [])
    assert json.dumps(SECRET) not in shown.stderr
    assert secret_for(SECRET, HERE) not in shown.output
