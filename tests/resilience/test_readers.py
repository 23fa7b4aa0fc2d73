"""Readers that connect, lag, vanish and resume while two processes write: nothing missed or twice.

`LONG=1`: 200 readers and 20,000 changes.
"""

import asyncio
import random
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from gateway.auth import api_keys
from gateway.domain.change_log import Change
from gateway.domain.entities import Ref
from gateway.store.database_url import database_url
from gateway.store.store import Store
from tests.e2e.serving import segment_id
from tests.proxies.processes import KEY, sandbox_running
from tests.resilience.gateways import Process as Gateway
from tests.resilience.gateways import serving
from tests.security.sockets import ACK, INIT, PROTOCOL, Socket, subscribe
from tests.sizes import size
from tests.unit.store.conftest import postgres_url, sqlite_url

__all__ = ["postgres_url", "sqlite_url"]

READERS = size("READERS", 6, 200)
CHANGES = size("READ_CHANGES", 100, 20_000)
WHOLE = 10
"""One reader of so many follows everything; the others follow one segment each."""
SEGMENTS = 20
LIMITS = """
[limits]
cost_per_minute = 1000000000
requests_per_minute = 10000000
"""
QUERY = """subscription($after: String, $segments: [ID!]) {
  changed(after: $after, filter: {segmentIds: $segments}) { cursor }
}"""
WRITE = """
import asyncio, sys
from gateway.domain.change_log import (
    AssignmentObservation, ChangeKind, ChangeSource, SegmentObservation)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.database_url import database_url
from gateway.store.store import Store

url, name, count, segments = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def change(number):
    segment, source = f"s{number % segments}", ChangeSource.WEBHOOK
    if number % 3 == 0:
        ref = Ref("emporix", segment)
        return SegmentObservation(ref=ref, kind=ChangeKind.UPDATED, source=source)
    ref = AssignmentRef("emporix", segment, f"{name}{number}")
    return AssignmentObservation(ref=ref, kind=ChangeKind.ENTERED, source=source)

async def main():
    store = await Store.open(database_url(url, {}))
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, count, 5):
        deadline = asyncio.get_running_loop().time() + 60
        batch = [change(number) for number in range(start, start + 5)]
        if await store.changes.settle(batch, deadline, deadline) is None:
            # The database was busy for ten seconds; it is repeated in the background.
            await asyncio.gather(*store.changes._settling._tasks)
    await store.close()

asyncio.run(main())
"""


class Reader:
    """A client that follows one segment or all, and is cut off now and then."""

    def __init__(self, number: int, gateway: Gateway, key: str, start: str) -> None:
        """Begin behind a cursor."""
        self.is_whole = number % WHOLE == 0
        self.may_see_segments = number % 3 != 1
        self.segment = f"s{number % SEGMENTS}"
        self.cursors: list[str] = []
        self.connections = 0
        self._gateway = gateway
        self._key = key
        self._start = start
        self._dice = random.Random(number)  # noqa: S311  # a test's

    def wants(self, number: int) -> bool:
        """Return whether it is to get a writer's change of this number."""
        is_followed = self.is_whole or f"s{number % SEGMENTS}" == self.segment
        return is_followed and (self.may_see_segments or number % 3 > 0)

    def may_see(self, change: Change) -> bool:
        """Return the same of a change of the log."""
        ref = change.ref
        if isinstance(ref, Ref):
            return self.may_see_segments and (self.is_whole or ref.key == self.segment)
        return self.is_whole or ref.segment == self.segment

    async def read(self, count: int) -> None:
        """Read until there are so many events, over as many connections as it takes."""
        address = self._gateway.url.replace("http", "ws")
        how: Any = {
            "subprotocols": [PROTOCOL],
            "compression": None,
            "proxy": None,
            "open_timeout": 60,
        }
        while len(self.cursors) < count:
            async with connect(address, max_queue=4, **how) as connection:
                self.connections += 1
                socket = Socket(connection)
                await socket.say({**INIT, "payload": {"authorization": f"Bearer {self._key}"}})
                assert await socket.heard() == ACK
                await self._follow(socket, count)
                socket.vanish()

    async def _follow(self, socket: Socket, count: int) -> None:
        after = self.cursors[-1] if self.cursors else self._start
        segments = None if self.is_whole else [segment_id("emporix", self.segment)]
        variables = {"after": after, "segments": segments}
        await socket.say(subscribe("1", QUERY, variables=variables))
        for _ in range(self._dice.randint(1, max(2, count // 2))):
            if len(self.cursors) == count:
                return
            if self._dice.random() < 2 / count:
                await asyncio.sleep(self._dice.uniform(0, 2))  # it lags
            message = await socket.heard()
            if message["type"] == "error":  # the database is busy: it may try again
                (error,) = message["payload"]
                assert error["extensions"]["code"] == "STORE_UNAVAILABLE"
                return
            self.cursors.append(message["payload"]["data"]["changed"]["cursor"])


async def writing(url: str, name: str) -> Process:
    """Return a process that waits until it is told to write its half of the changes."""
    command = [sys.executable, "-c", WRITE, url, name, str(CHANGES // 2), str(SEGMENTS)]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_each_sees_everything_once(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each reader sees every change that it may see, in the order of the log, once."""
    monkeypatch.setattr("tests.security.sockets.PATIENCE_S", 120)  # of many on a busy machine
    url = request.getfixturevalue(f"{kind}_url")
    (every, every_hash), (some, some_hash) = api_keys.make(), api_keys.make()
    keys = KEY.format(
        name="every", hash=every_hash, scopes='["segments:read", "assignments:read"]'
    )
    keys += KEY.format(name="some", hash=some_hash, scopes='["assignments:read"]')
    store = await Store.open(database_url(url, {}))
    start = await store.changes.position()
    await store.close()
    with sandbox_running() as (_, sandbox), serving(tmp_path, url, sandbox, LIMITS + keys) as at:
        writers = [await writing(url, name) for name in ("one", "two")]
        readers = [
            Reader(number, at, some if number % 3 == 1 else every, start.text)
            for number in range(READERS)
        ]
        began = time.monotonic()
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"\n")
        numbers = [*range(CHANGES // 2)] * 2
        reading = [
            asyncio.create_task(reader.read(sum(map(reader.wants, numbers)))) for reader in readers
        ]
        for writer in writers:
            assert await writer.wait() == 0
        written_s = time.monotonic() - began
        await asyncio.gather(*reading)
        read_s = time.monotonic() - began
    log: list[Change] = []
    store = await Store.open(database_url(url, {}))
    position, has_more = start, True
    while has_more:
        page = await store.changes.read(position, limit=1000)
        log += page.changes
        position, has_more = page.end, page.has_more
    await store.close()
    assert len(log) == CHANGES
    for reader in readers:
        assert reader.cursors == [each.cursor.text for each in log if reader.may_see(each)]
    assert min(reader.connections for reader in readers) > 1
    events = sum(len(reader.cursors) for reader in readers)
    connections = sum(reader.connections for reader in readers)
    print(  # noqa: T201  # for whoever wants them
        f"{kind}: {READERS} readers, {connections} connections, {events} events;"
        f" written in {written_s:.1f} s, read in {read_s:.1f} s"
    )
