"""Without a configuration the store is a temporary file of the server's own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.asgi import build
from gateway.settings.loading import sandbox_settings
from tests.e2e.writes.asking import document

pytestmark = pytest.mark.no_fast_paths

TAGS = {
    "provider": "instaleap",
    "customers": [{"externalId": "4711", "segments": [{"type": "membership", "value": "GOLD"}]}],
    "idempotencyKey": "once",
}
SEGMENTS = '{ segments(filter: {providers: "instaleap"}) { totalCount } }'
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr("tempfile.tempdir", None)
    return made


def is_empty(folder: Path) -> bool:
    """Tell whether nothing is left in a folder."""
    return not list(folder.iterdir())


async def written() -> Any:
    """Serve without a configuration, write, and return what came of it and what is recorded."""
    app = build(sandbox_settings())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        before = await client.post("/graphql", json={"query": SEGMENTS})
        body = {"query": document("customerSegmentsReplace"), "variables": {"m0": TAGS}}
        reply = await client.post("/graphql", json=body)
        after = await client.post("/graphql", json={"query": SEGMENTS})
    return [
        before.json()["data"]["segments"]["totalCount"],
        reply.json()["data"]["m0"]["results"][0]["outcome"],
        after.json()["data"]["segments"]["totalCount"],
    ]


async def test_nothing_of_one_sandbox_is_in_the_next(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither rows nor idempotency keys; nor is anything in the user's state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    first = await written()
    assert is_empty(folder)
    again = await written()

    assert again == first
    assert first[0] == 5  # those of the example customers
    assert is_empty(folder)
    assert not (tmp_path / "state").exists()


@pytest.fixture
def port() -> int:
    """Return a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(params=["1", "2"], ids=["one process", "two workers"])
def server(request: pytest.FixtureRequest, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server without a configuration."""
    environment = {k: v for k, v in os.environ.items() if k != "GATEWAY_CONFIG"}
    options = ["--port", str(port), "--workers", request.param]
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_ends_with_the_server(
    server: subprocess.Popen[bytes], port: int, folder: Path, ends: signal.Signals
) -> None:
    """All its processes share one file, which is gone when they have ended."""
    body = {"query": document("customerSegmentsReplace"), "variables": {"m0": TAGS}}
    url = f"http://127.0.0.1:{port}/graphql"
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            reply = httpx.post(url, json=body, timeout=PATIENCE_S)
            break
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)
    outcomes = [reply.json()["data"]["m0"]["results"][0]["outcome"]]
    # Whichever worker answers, the key is answered by the first result.
    for _ in range(6):
        repeated = httpx.post(url, json=body, timeout=PATIENCE_S)
        outcomes.append(repeated.json()["data"]["m0"]["results"][0]["outcome"])
    assert len(set(outcomes)) == 1
    (record,) = (each.parent for each in folder.glob("*/gateway.db"))

    server.send_signal(ends)
    shown = server.communicate(timeout=PATIENCE_S)[0].decode()

    assert f"Store    {record}/gateway.db (deleted when this server stops)" in shown
    assert is_empty(folder)
