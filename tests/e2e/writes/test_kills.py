"""A server process killed (SIGKILL) at every step of a replacement: nothing lost or invented.

`KILLS=200 pytest tests/e2e/writes/test_kills.py` kills that often on each database.
"""

import asyncio
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.e2e.serving import Providers, customer_id
from tests.e2e.writes.asking import document, shoppers
from tests.e2e.writes.killable import INTENT_WRITTEN, STEPS
from tests.e2e.writes.shop import Shop
from tests.four_kinds import CREDENTIALS
from tests.sizes import size
from tests.switches import table
from tests.unit.store.conftest import postgres_url, sqlite_url

__all__ = ["postgres_url", "sqlite_url"]

KILLS = size("KILLS", 7, 60)
UNKNOWN = "nobody knows"
ARRIVED = "call arrived"
DONE = "call done"
EVERY_STEP = (*STEPS, ARRIVED, DONE)
LEASE_S = 100
"""How much later each process starts, by the store's clock: longer than any lease."""
CONFIGURATION = """
[store]
url = "{url}"

[[providers]]
key = "instaleap"
kind = "instaleap"
base_url = "http://127.0.0.1:{port}"
token = "{token}"
batch_size = 4
retries = 0
timeout_s = 60
"""
CUSTOMERS = """query($ids: [ID!]!) { nodes(ids: $ids) { ... on Customer {
  assignments(first: 20) { nodes { state segment { externalId } } } } } }"""


def listening() -> socket.socket:
    """Return a socket that listens on a free port: who connects waits until it is served."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(100)
    return made


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the sockets of the gateway and of the shop; they outlive every process."""
    with listening() as gateway, listening() as shop:
        yield gateway, shop


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, of either kind."""
    url = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(url, str)
    return url


@asynccontextmanager
async def shop_served(at: socket.socket) -> AsyncIterator[Shop]:
    """Serve an Instaleap over HTTP that survives every gateway."""
    shop = Shop(Providers())
    shop.clear()
    server = uvicorn.Server(uvicorn.Config(shop, lifespan="off", log_level="critical"))
    serving = asyncio.create_task(server.serve([at.dup()]))
    try:
        yield shop
    finally:
        server.should_exit = True
        await serving


class World:
    """The shop, the store, and one gateway after the other between them."""

    def __init__(self, shop: Shop, at: socket.socket, configuration: Path, *, waits: bool) -> None:
        """Start with nothing told; `waits`: each process starts later, see `LEASE_S`."""
        self._waits = waits
        self.shop = shop
        self._at = at
        self._configuration = configuration
        self._started = 0
        self.longest_s = 0.0
        """How long recovery took after a process served its first request."""
        port = at.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/graphql"

    @asynccontextmanager
    async def gateway(self, step: str, number: int) -> AsyncIterator[Process]:
        """Run a gateway that stops at a step, later than all before it; kill it in the end."""
        self._started += 1
        later_s = str(self._started * LEASE_S if self._waits else 0)
        fd = self._at.fileno()
        command = ["-m", "tests.e2e.writes.killable", step, str(number), later_s, str(fd)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdout=PIPE,
            pass_fds=[fd],
            env={**os.environ, "GATEWAY_CONFIG": str(self._configuration)},
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL

    async def data(self, query: str, variables: Mapping[str, Any]) -> Any:
        """Ask the gateway; the first who asks a new one waits until it serves."""
        async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
            body = {"query": query, "variables": variables}
            answer = (await client.post(self.url, json=body)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def shown(self, keys: Sequence[str]) -> dict[str, tuple[set[str], set[str]]]:
        """Return states and tags of each customer; the unrecorded have none."""
        ids = [customer_id("instaleap", key) for key in keys]
        data = await self.data(CUSTOMERS, {"ids": ids})
        result = {}
        for key, node in zip(keys, data["nodes"], strict=True):
            rows = node["assignments"]["nodes"] if node else []
            states = {row["state"] for row in rows}
            result[key] = (states, {row["segment"]["externalId"] for row in rows})
        return result

    async def verified(self, keys: Sequence[str]) -> int:
        """Assert that the store is the provider's state or says that it is in doubt.

        Waits until recovery has settled what was left open; returns how many are in doubt.
        """
        async with asyncio.timeout(60):
            shown = await self.shown(keys)
            loop = asyncio.get_running_loop()
            started = loop.time()
            while any("PENDING" in states for states, _ in shown.values()):
                await asyncio.sleep(0.02)  # what a caller may cost in a minute is limited
                shown = await self.shown(keys)
            self.longest_s = max(self.longest_s, loop.time() - started)
        doubtful = 0
        for key, (states, tags) in shown.items():
            held = set() if key == UNKNOWN else set(self.shop.has(key))
            if states == {"UNCONFIRMED"}:
                assert held <= tags, key
                doubtful += 1
            else:
                assert (states, tags) == ({"CONFIRMED"} if held else set(), held), key
        return doubtful

    async def killed(self, step: str, dice: random.Random, given: Mapping[str, Any]) -> None:
        """Send a replacement to a gateway and kill it at the step; then the shop may act late."""
        shop, number = self.shop, dice.randint(1, 3)
        async with self.gateway(step, number) as process:
            await self.verified([*KEYS, UNKNOWN])
            shop.hold, shop.arrived = asyncio.Event(), asyncio.Event()
            if step not in {ARRIVED, DONE}:
                shop.hold.set()
            shop.acts_first = step == DONE
            asking = asyncio.ensure_future(self.data(document(REPLACE), {"m0": given}))
            if step in {ARRIVED, DONE}:
                await shop.arrived.wait()
            else:
                assert process.stdout
                assert await process.stdout.readline() == b"paused\n"
        with pytest.raises(httpx.HTTPError):
            await asking
        shop.forgets = dice.random() < 0.5
        shop.hold.set()
        await shop.idle()
        shop.forgets, shop.hold = False, None


KEYS = shoppers(20)
REPLACE = "customerSegmentsReplace"


def replacement(dice: random.Random, number: int) -> dict[str, Any]:
    """Return what some customers are to have; one of them may be unknown to the provider."""
    chosen = dice.sample([*KEYS, UNKNOWN], 12)
    customers = [
        {
            "externalId": key,
            "segments": [
                {"type": "t", "value": dice.choice([f"w{number}", "x", "y", "z"])}
                for _ in range(dice.randint(0, 3))
            ],
        }
        for key in chosen
    ]
    return {"provider": "instaleap", "customers": customers, "idempotencyKey": f"k{number}"}


async def test_killed(
    store: str, sockets: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    """After each kill and restart the store equals the provider, and every key has its result.

    On SQLite the clock is right: the next process takes over what the killed one left. On
    PostgreSQL others may be at it, so that the next one starts when the leases are over.
    """
    at, shop_at = sockets
    configuration = tmp_path / "gateway.toml"
    text = CONFIGURATION.format(
        url=store, port=shop_at.getsockname()[1], token=CREDENTIALS["instaleap"]["token"]
    )
    configuration.write_text(text + table(), encoding="utf-8")
    dice = random.Random(KILLS)  # noqa: S311  # a test's
    async with shop_served(shop_at) as shop:
        world = World(shop, at, configuration, waits=not store.startswith("sqlite"))
        sent = [replacement(dice, number) for number in range(KILLS)]
        for number, given in enumerate(sent):
            await world.killed(EVERY_STEP[number % len(EVERY_STEP)], dice, given)
        async with world.gateway("nowhere", 1):
            doubtful = await world.verified([*KEYS, UNKNOWN])
            assert doubtful <= 1  # of whom the provider never says that it did what was asked
            for number, given in enumerate(sent):
                count = len(shop.batches)
                first = await world.data(document(REPLACE), {"m0": given})
                assert first["m0"]["userErrors"] == []
                assert len(first["m0"]["results"]) == len(given["customers"])
                # Nothing was begun, so that it is carried out now: the intent was not committed.
                if len(shop.batches) > count:
                    assert EVERY_STEP[number % len(EVERY_STEP)] == INTENT_WRITTEN
                count = len(shop.batches)
                assert await world.data(document(REPLACE), {"m0": given}) == first
                assert len(shop.batches) == count
            assert await world.verified([*KEYS, UNKNOWN]) <= 1
        print(f"settled within {world.longest_s:.2f} s of each of {KILLS} kills")  # noqa: T201  # -s
