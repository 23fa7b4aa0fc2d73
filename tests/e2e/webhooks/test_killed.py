"""A process killed between storing a webhook and applying it: the next one applies it."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from gateway.settings.tables import Settings
from tests.e2e.serving import Providers
from tests.e2e.webhooks.sending import CHANGES, NEW, membership, send_voucherify
from tests.e2e.writes.serving import serving

pytestmark = pytest.mark.no_fast_paths

SERVER = """
import asyncio, sys, uvicorn
from gateway.changes.webhooks import WebhookWorker
async def never(_): await asyncio.Event().wait()
WebhookWorker._run = never
uvicorn.run("gateway.asgi:create", factory=True, fd=int(sys.argv[1]), log_level="critical")
"""
CONFIGURATION = """
[store]
url = "{url}"
[[providers]]
key = "voucherify"
kind = "voucherify"
base_url = "sandbox:"
app_id = "a"
app_token = "b"
webhook_secret = "{secret}"
"""


async def kept_by_a_killed_process(configuration: Path, body: bytes) -> None:
    """Have a process accept a webhook that it does not apply, and kill it."""
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        at.listen(10)
        fd = at.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVER, str(fd)),
            pass_fds=[fd],
            env={**os.environ, "GATEWAY_CONFIG": str(configuration)},
        )
        try:
            address = f"http://127.0.0.1:{at.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:
                assert (await send_voucherify(client, body)).status_code == 204
                query = {"query": "{ changes { nodes { kind } } }"}
                answer = await client.post("/graphql", json=query)
                assert answer.json()["data"] == {"changes": {"nodes": []}}
        finally:
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL


async def test_killed(tmp_path: Path, url: str, settings: Settings, providers: Providers) -> None:
    """What was acknowledged has had its effect before the next process is ready, once."""
    configuration = tmp_path / "gateway.toml"
    configuration.write_text(CONFIGURATION.format(url=url, secret=NEW))
    body = membership("evt_1", "entered", "seg_x", "c", 1)
    await kept_by_a_killed_process(configuration, body)
    async with serving(providers, url, settings) as front:
        nodes = (await front.data(CHANGES))["changes"]["nodes"]
        assert [node["kind"] for node in nodes] == ["ENTERED"]
        assert (await send_voucherify(front.client, body)).status_code == 204
    async with serving(providers, url, settings) as front:
        nodes = (await front.data(CHANGES))["changes"]["nodes"]
        assert [node["kind"] for node in nodes] == ["ENTERED"]
