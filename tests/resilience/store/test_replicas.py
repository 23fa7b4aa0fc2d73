"""Two replicas, one of them killed again and again, beside a database that freezes and thaws.

`KILLS=200 pytest tests/resilience/store/test_replicas.py` kills that often on each database.
"""

import asyncio
import contextlib
import random
import socket
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.writes.asking import document
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_kills import (
    CONFIGURATION,
    KEYS,
    REPLACE,
    UNKNOWN,
    World,
    listening,
    replacement,
    shop_served,
)
from tests.four_kinds import CREDENTIALS
from tests.resilience.store.cluster import Cluster
from tests.sizes import size
from tests.switches import table

KILLS = size("KILLS", 2, 60)
"""Two: each replica once, one of them beside a database that is frozen."""
WRITES = 4
"""At once, in each round."""
TIMEOUT_S = 5


class Freezer:
    """A database that can be frozen."""

    def __init__(self, url: str, freeze: Callable[[], object], thaw: Callable[[], object]) -> None:
        """Take its URL and what to do."""
        self.url = url
        self.freeze = freeze
        self.thaw = thaw


@pytest.fixture
def sqlite_freezer(tmp_path: Path) -> Iterator[Freezer]:
    """Return an SQLite file that another program may lock."""
    path = tmp_path / "record.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as foreign:
        yield Freezer(
            f"sqlite:///{path}",
            lambda: foreign.execute("BEGIN IMMEDIATE"),
            lambda: foreign.execute("ROLLBACK"),
        )


@pytest.fixture
def postgres_freezer(cluster: Cluster) -> Freezer:
    """Return a PostgreSQL server all of whose processes may be stopped."""
    return Freezer(cluster.url(), cluster.freeze, cluster.thaw)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Freezer:
    """Return a database of either kind."""
    freezer = request.getfixturevalue(f"{request.param}_freezer")
    assert isinstance(freezer, Freezer)
    return freezer


class Replica:
    """One place of a gateway: a process after the other."""

    def __init__(self, world: World, at: socket.socket) -> None:
        """Start none yet; `at` is the world's socket."""
        self.world = world
        self._at = at
        at.settimeout(0)
        self._stack = AsyncExitStack()

    async def start(self) -> Process:
        """Start a process; requests wait until it serves."""
        return await self._stack.enter_async_context(self.world.gateway("nowhere", 1))

    async def kill(self) -> None:
        """Kill it (SIGKILL), and hang up on who was still waiting to be accepted."""
        await self._stack.aclose()
        with contextlib.suppress(BlockingIOError):
            while True:
                self._at.accept()[0].close()

    async def write(self, given: Mapping[str, Any]) -> Any:
        """Return the payload of a replacement; None: nothing was acknowledged."""
        body = {"query": document(REPLACE), "variables": {"m0": given}}
        async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
            try:
                answer = (await client.post(self.world.url, json=body)).json()
            except httpx.HTTPError:
                return None
        payload = (answer.get("data") or {}).get("m0")
        return payload if payload and payload["updatedCustomerIds"] else None


@asynccontextmanager
async def replicas(
    database: Freezer, folder: Path, shop: Shop, shop_port: int
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two gateways with one store."""
    configuration = folder / "gateway.toml"
    text = CONFIGURATION.format(
        url=database.url, port=shop_port, token=CREDENTIALS["instaleap"]["token"]
    )
    server = f"[server]\nrequest_timeout_s = {TIMEOUT_S}\n"
    configuration.write_text(server + text + table(), encoding="utf-8")
    with listening() as first, listening() as second:
        both = (
            Replica(World(shop, first, configuration, waits=False), first),
            Replica(World(shop, second, configuration, waits=False), second),
        )
        for each in both:
            await each.start()
        try:
            yield both
        finally:
            for each in both:
                await each.kill()


async def test_killed_beside_a_frozen_database(database: Freezer, tmp_path: Path) -> None:
    """Nothing is lost or invented, and every acknowledged key returns its first result."""
    dice = random.Random(KILLS)  # noqa: S311  # a test's
    acknowledged: list[tuple[Mapping[str, Any], Any]] = []
    unacknowledged: list[Mapping[str, Any]] = []
    with listening() as shop_at:
        async with (
            shop_served(shop_at) as shop,
            replicas(database, tmp_path, shop, shop_at.getsockname()[1]) as both,
        ):
            for number in range(KILLS):
                victim, survivor = both if number % 2 else both[::-1]
                await survivor.world.verified([*KEYS, UNKNOWN])
                sent = [replacement(dice, number * WRITES + n) for n in range(WRITES)]
                shop.hold, shop.arrived = asyncio.Event(), asyncio.Event()
                writing = [
                    asyncio.create_task(both[n % 2].write(given)) for n, given in enumerate(sent)
                ]
                await shop.arrived.wait()
                is_frozen = number % 3 == 1
                if is_frozen:
                    database.freeze()
                await victim.kill()
                shop.hold.set()
                # The survivor answers by its deadline, whatever its database does.
                answers = await asyncio.gather(*writing)
                if is_frozen:
                    database.thaw()
                await shop.idle()
                shop.hold = None
                await victim.start()
                for given, answer in zip(sent, answers, strict=True):
                    if answer is None:
                        unacknowledged.append(given)
                    else:
                        acknowledged.append((given, answer))
                await victim.world.verified([*KEYS, UNKNOWN])
            one, other = both
            count = len(shop.batches)
            for written, first in acknowledged:
                assert await one.write(written) == first
            assert len(shop.batches) == count
            for unknown in unacknowledged:
                settled = await other.write(unknown)
                assert await one.write(unknown) == settled
            await one.world.verified([*KEYS, UNKNOWN])
            longest_s = max(each.world.longest_s for each in both)
            print(  # noqa: T201  # -s
                f"{KILLS} kills, {len(acknowledged)} acknowledged writes, "
                f"all settled within {longest_s:.2f} s of each restart"
            )
