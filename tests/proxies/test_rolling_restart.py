"""Restart two replicas in turn, behind each documented proxy: nothing fails, nothing is lost.

`LONG=1` runs each proxy alone, with 200 requests a second and ten restarts.
"""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.proxies.processes import HOST, PATIENCE_S
from tests.proxies.replicas import START_S, Replica, balancer_running, replicas_running
from tests.sizes import size

pytestmark = [pytest.mark.proxies, pytest.mark.postgres]

RESTARTS = size("ROLLING_RESTARTS", 2, 10)
RATE = size("ROLLING_RATE", 50, 200)
"""Requests a second, over all proxies of a test."""
AT_ONCE = size("ROLLING_AT_ONCE", 6, 64)
"""Requests in progress at most: on a busy machine the rate is lower instead."""
DRAIN_S = size("ROLLING_DRAIN_S", 3, 5)
PROXIES = (
    [["nginx"], ["haproxy"], ["caddy"]]
    if size("ROLLING_ALONE", 0, 1)
    else [["nginx", "haproxy", "caddy"]]
)
PREFIX = 16
"""So many letters of a request id are its process's."""
ONE_IN = 5
"""Every fifth request writes."""

QUERY = """{ segments(first: 2) { nodes { name } sources { error { code } } } }"""
CREATE = """mutation($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { segment { name } userErrors { message } }
}"""
CHANGED = "subscription($after: String) { changed(after: $after) { cursor } }"
CHANGES = """query($after: String) {
  changes(first: 250, after: $after) { nodes { cursor } pageInfo { hasNextPage endCursor } }
}"""


class Load:
    """Clients of the replicas behind one proxy."""

    def __init__(self, name: str, port: int, key: str) -> None:
        """Send nothing yet."""
        self.name = name
        self.port = port
        self.headers = {"host": HOST, "authorization": f"Bearer {key}"}
        self.failures: list[str] = []
        self.writes: list[str] = []
        self.reads = 0
        self.resumed = Counter[str]()
        self.processes = set[str]()
        """Those that have answered."""

    def client(self) -> httpx.AsyncClient:
        """Return a client of the proxy."""
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=self.headers,
            trust_env=False,
            timeout=PATIENCE_S,
            limits=httpx.Limits(max_connections=None),
        )

    async def request(self, client: httpx.AsyncClient, number: int) -> None:
        """Send one request, and note whether it fails."""
        variables: Any = None
        query = QUERY
        if number % ONE_IN == 0:
            name = f"{self.name} {number}"
            self.writes.append(name)
            query = CREATE
            variables = {"input": {"provider": "stuut", "name": name, "priority": 10_000 + number}}
        try:
            answer = await client.post("/graphql", json={"query": query, "variables": variables})
            data = answer.json()["data"]
            self.processes.add(answer.headers["x-request-id"][:PREFIX])
            found = (
                data["segmentCreate"]["segment"]["name"]
                if variables
                else [each["error"] for each in data["segments"]["sources"]]
            )
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            text = (
                answer.text[:300] if isinstance(error, KeyError | TypeError | ValueError) else ""
            )
            self.failures.append(f"{number} {query[:8]}: {error!r} {text}")
            return
        self.reads += not variables
        if found != (variables["input"]["name"] if variables else [None] * 4):
            self.failures.append(f"{number}: {answer.text[:300]}")

    async def follow_socket(self, after: str, found: list[str]) -> None:
        """Follow all changes over WebSockets, one after the other."""
        while True:
            with contextlib.suppress(OSError, WebSocketException):
                async for message in self._socket(found[-1] if found else after):
                    if message["type"] == "next":
                        found.append(message["payload"]["data"]["changed"]["cursor"])
                    elif message["type"] == "error":
                        (error,) = message["payload"]
                        assert error["extensions"]["code"] == "SHUTTING_DOWN", error
                        assert error["extensions"]["cursor"] == (found[-1] if found else after)
                        break
            self.resumed["websocket"] += 1
            await asyncio.sleep(0.05)

    async def _socket(self, after: str) -> AsyncIterator[Any]:
        url = f"ws://127.0.0.1:{self.port}/graphql"
        protocol = [Subprotocol("graphql-transport-ws")]
        headers = {name: value for name, value in self.headers.items() if name != "host"}
        # The proxies find the site by its name.
        async with connect(
            url.replace("127.0.0.1", HOST),
            host="127.0.0.1",
            port=self.port,
            subprotocols=protocol,
            additional_headers=headers,
            proxy=None,
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            payload = {"query": CHANGED, "variables": {"after": after}}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            async for text in socket:
                yield json.loads(text)

    async def follow_stream(self, after: str, found: list[str]) -> None:
        """Follow all changes over server-sent events, one stream after the other."""
        body = {"query": CHANGED, "variables": {"after": after}}
        async with self.client() as client:
            while True:
                headers = {"accept": "text/event-stream"}
                if found:
                    headers["last-event-id"] = found[-1]
                with contextlib.suppress(httpx.HTTPError):
                    async with client.stream(
                        "POST", "/graphql", json=body, headers=headers
                    ) as response:
                        async for line in response.aiter_lines():
                            if line.startswith("data: {"):
                                content = json.loads(line[6:])
                                if "errors" in content:
                                    break
                                found.append(content["data"]["changed"]["cursor"])
                self.resumed["stream"] += 1
                await asyncio.sleep(0.05)


async def positions(client: httpx.AsyncClient, after: str) -> list[str]:
    """Return the cursors of all changes in the log after one."""
    found: list[str] = []
    while True:
        variables = {"after": found[-1] if found else after}
        answer = await client.post("/graphql", json={"query": CHANGES, "variables": variables})
        page = answer.json()["data"]["changes"]
        found += [each["cursor"] for each in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found


async def restart_in_turn(replicas: Sequence[Replica], loads: Sequence[Load]) -> list[int]:
    """Restart the replicas, each when all proxies use the one before; return exit statuses.

    A replica is ready before a proxy has noticed it.
    """
    statuses: list[int] = []
    await used(loads, len(replicas))
    for replica in itertools.islice(itertools.cycle(replicas), RESTARTS):
        statuses.append(await asyncio.to_thread(replica.stop))
        await asyncio.to_thread(replica.start)
        await used(loads, len(replicas) + len(statuses))
    return statuses


async def used(loads: Sequence[Load], processes: int) -> None:
    """Wait until so many processes have answered behind each proxy."""
    async with asyncio.timeout(START_S):
        while any(len(each.processes) < processes for each in loads):  # noqa: ASYNC110  # sets
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("names", PROXIES, ids="-".join)
async def test_a_rolling_restart(names: Sequence[str], tmp_path: Path) -> None:
    """No request fails, each write is made once, and each subscriber sees each change once."""
    with (
        replicas_running(tmp_path, DRAIN_S) as (replicas, sandbox, key),
        contextlib.ExitStack() as stack,
    ):
        ports = (replicas[0].port, replicas[1].port)
        loads = []
        for name in names:
            folder = tmp_path / name
            folder.mkdir()
            port = stack.enter_context(balancer_running(name, folder, ports))
            loads.append(Load(name, port, key))
        async with contextlib.AsyncExitStack() as clients:
            opened = [await clients.enter_async_context(each.client()) for each in loads]
            cursor_of = await opened[0].post("/graphql", json={"query": "{ changesCursor }"})
            after = cursor_of.json()["data"]["changesCursor"]
            found: dict[str, list[str]] = {}
            followers = []
            for load in loads:
                socket = found[f"{load.name} websocket"] = []
                stream = found[f"{load.name} stream"] = []
                followers.append(asyncio.create_task(load.follow_socket(after, socket)))
                followers.append(asyncio.create_task(load.follow_stream(after, stream)))
            sandbox.reset_calls()
            restarting = asyncio.create_task(restart_in_turn(replicas, loads))
            loop = asyncio.get_running_loop()
            begun, sent = loop.time(), set[asyncio.Task[None]]()
            for number in itertools.count():
                if restarting.done():
                    break
                turn = number % len(loads)
                task = asyncio.create_task(loads[turn].request(opened[turn], number))
                sent.add(task)
                task.add_done_callback(sent.discard)
                await asyncio.sleep(max(0, begun + (number + 1) / RATE - loop.time()))
                while len(sent) >= AT_ONCE:
                    await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
            took = loop.time() - begun
            await asyncio.gather(*sent)
            assert await restarting == [0] * RESTARTS
            failures = [f"{load.name} {each}" for load in loads for each in load.failures]
            assert failures == []
            log = await positions(opened[0], after)
            async with asyncio.timeout(PATIENCE_S):
                while any(len(each) < len(log) for each in found.values()):  # noqa: ASYNC110  # lists
                    await asyncio.sleep(0.05)
            for follower in followers:
                assert not follower.done()
                follower.cancel()
    writes = [name for load in loads for name in load.writes]
    calls = [call for call in sandbox.calls if call.method == "POST" and "segments" in call.path]
    assert len(calls) == len(writes) == len(log)
    assert {name: each == log for name, each in found.items()} == dict.fromkeys(found, True)
    reads = sum(load.reads for load in loads)
    resumed = sum((load.resumed for load in loads), Counter[str]())
    print(  # noqa: T201  # shown by `pytest -rP`
        f"{names}: {reads} reads and {len(writes)} writes in {took:.0f} s,"
        f" {(reads + len(writes)) / took:.0f}/s, {RESTARTS} restarts, {dict(resumed)}"
    )
