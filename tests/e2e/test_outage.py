"""The providers over real HTTP, configured by a file; killed in mid-flight, and back again."""

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.asgi import build
from gateway.settings.loading import load
from gateway.settings.tables import Settings
from tests.e2e.known import EVERY_NAME
from tests.e2e.serving import names, without_cost
from tests.four_kinds import CREDENTIALS

POLL_S = 0.02
PATIENCE_S = 30
ENVIRONMENT = {
    "STUUT_TOKEN": CREDENTIALS["stuut"]["token"],
    "VOUCHERIFY_APP_ID": CREDENTIALS["voucherify"]["app_id"],
    "VOUCHERIFY_APP_TOKEN": CREDENTIALS["voucherify"]["app_token"],
    "INSTALEAP_TOKEN": CREDENTIALS["instaleap"]["token"],
    "EMPORIX_CLIENT_ID": CREDENTIALS["emporix"]["client_id"],
    "EMPORIX_CLIENT_SECRET": CREDENTIALS["emporix"]["client_secret"],
}
CONFIGURATION = """
[server]
cache_ttl_s = 0

[store]
url = "sqlite:///{folder}/gateway.db"

[[providers]]
key = "receivables"
kind = "stuut"
base_url = "{base}/stuut"
token = "${{STUUT_TOKEN}}"
retries = 0

[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "{base}/voucherify/"
app_id = "${{VOUCHERIFY_APP_ID}}"
app_token = "${{VOUCHERIFY_APP_TOKEN}}"
retries = 0

[[providers]]
key = "shop"
kind = "instaleap"
base_url = "{base}/instaleap"
token = "${{INSTALEAP_TOKEN}}"
retries = 0

[[providers]]
key = "acme-emporix"
kind = "emporix"
base_url = "{base}/emporix"
tenant = "sandbox"
client_id = "${{EMPORIX_CLIENT_ID}}"
client_secret = "${{EMPORIX_CLIENT_SECRET}}"
retries = 0
"""
LIST = """{ segments(first: 100) {
  nodes { name }
  sources { provider { key } totalCount error { code message upstreamStatus } }
} }"""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def port() -> int:
    """Return the sandbox's port."""
    return free_port()


@pytest.fixture
def settings(tmp_path: Path, port: int) -> Settings:
    """Return what a configuration file says, with its credentials from the environment."""
    path = tmp_path / "gateway.toml"
    text = CONFIGURATION.format(base=f"http://127.0.0.1:{port}", folder=tmp_path)
    path.write_text(text, encoding="utf-8")
    return load(path, ENVIRONMENT)


@asynccontextmanager
async def sandbox(port: int, *options: str) -> AsyncIterator[Process]:
    """Run `gateway sandbox` as a process of its own until it is killed or left."""
    command = [sys.executable, "-m", "gateway", "sandbox", "--port", str(port), *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def counts(port: int) -> Mapping[str, int]:
    """Return the calls that the sandbox has got so far; none while it is not there."""
    async with httpx.AsyncClient() as client:
        try:
            reply = await client.get(f"http://127.0.0.1:{port}/calls")
        except httpx.TransportError:
            return {}
    calls_by_path: Mapping[str, int] = reply.json()
    return calls_by_path


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until this holds, of a process that tells of no event; fail after a while."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110  # see above
            await asyncio.sleep(POLL_S)


async def until_called(port: int, *kinds: str) -> None:
    """Wait until the sandbox is there and each of these providers has got a call."""

    async def holds() -> bool:
        calls_by_path = await counts(port)
        return bool(calls_by_path) and all(calls_by_path[kind] for kind in kinds)

    await until(holds)


async def list_segments(client: httpx.AsyncClient) -> Any:
    """Return the list, which never comes with an error."""
    reply = await client.post("/graphql", json={"query": LIST})
    assert reply.status_code == 200
    body = without_cost(reply.json())
    assert body.keys() == {"data"}
    return body["data"]["segments"]


def source(key: str, total: int | None, code: str | None = None, reason: str = "") -> Any:
    """Return the row of a provider."""
    message = f"Provider {key!r} {reason}."
    error = {"code": code, "message": message, "upstreamStatus": None} if code else None
    return {"provider": {"key": key}, "totalCount": total, "error": error}


# Of Instaleap the gateway shows its own record: nothing was written yet.
SHOP = source("shop", 0)
WHOLE = [source("receivables", 8), source("loyalty", 16), SHOP, source("acme-emporix", 16)]


def unreachable(key: str) -> Any:
    """Return the row of a provider that is gone."""
    return source(key, None, "PROVIDER_UNREACHABLE", "cannot be reached")


GONE = [unreachable("receivables"), unreachable("loyalty"), SHOP, unreachable("acme-emporix")]


async def test_providers_die_in_mid_flight_and_come_back(settings: Settings, port: int) -> None:
    """Killed providers cost their parts, as typed errors; the gateway stays and recovers."""
    app = build(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=PATIENCE_S
        ) as client,
    ):
        # In this sandbox every answer takes longer than the test waits for it.
        async with sandbox(port, "--latency-ms", "4000") as process:
            await until_called(port)
            asking = asyncio.create_task(list_segments(client))
            await until_called(port, "stuut", "voucherify", "emporix")
            process.kill()
            in_flight = await asking
        after = await list_segments(client)
        alive = await client.get("/livez")

        async with sandbox(port):
            await until_called(port)

            async def is_whole() -> bool:
                return bool((await list_segments(client))["sources"] == WHOLE)

            await until(is_whole)
            back = await list_segments(client)

    assert in_flight == {"nodes": [], "sources": GONE}
    assert after == {"nodes": [], "sources": GONE}
    assert alive.status_code == 200
    assert names(back) == list(EVERY_NAME)
