"""Each accepted webhook has its effect once, whatever is repeated, forged, reordered or killed."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.serving import customer_id, segment_id
from tests.e2e.webhooks.sending import (
    CHANGE_PAGE,
    NEW,
    OLD,
    at,
    membership,
    send_emporix,
    send_voucherify,
)
from tests.sizes import size

pytestmark = pytest.mark.no_fast_paths

COUNT = size("EXACTLY_ONCE_WEBHOOKS", 60, 5000)
KILLS = size("EXACTLY_ONCE_KILLS", 2, 50)
SENDERS = 4
PATIENCE_S = 300
SERVER = """
import sys, uvicorn
uvicorn.run("gateway.asgi:create", factory=True, fd=int(sys.argv[1]), log_level="critical")
"""
CONFIGURATION = """
[store]
url = "{url}"
[[providers]]
key = "voucherify"
kind = "voucherify"
base_url = "sandbox:"
webhook_secret = "{new}"
webhook_secret_old = "{old}"
[[providers]]
key = "emporix"
kind = "emporix"
base_url = "sandbox:"
webhook_secret = "{new}"
webhook_secret_old = "{old}"
"""


class Event(NamedTuple):
    """Who entered or left, and when."""

    number: int
    provider: str
    customer: str
    kind: str
    minute: int

    @property
    def change(self) -> tuple[str, str, str]:
        """The change that it may become: customer, kind, time."""
        return customer_id(self.provider, self.customer), self.kind, at(self.minute)


def events() -> Sequence[Event]:
    """Return as many events as are to be sent.

    Of six, three are of customers of their own, and three of one customer who enters, leaves, and
    enters again.
    """
    events = []
    for number in range(COUNT):
        group, place = divmod(number, 6)
        if place < 3:
            provider = "emporix" if place == 2 else "voucherify"
            events.append(Event(number, provider, f"once-{number}", "ENTERED", number))
        else:
            kind = "LEFT" if place == 4 else "ENTERED"
            events.append(Event(number, "voucherify", f"again-{group}", kind, number))
    return events


async def send(client: httpx.AsyncClient, event: Event, secret: str) -> httpx.Response:
    """Send an event until there is a response, as a provider does."""
    while True:
        try:
            if event.provider == "voucherify":
                kind = event.kind.lower()
                body = membership(
                    f"evt_{event.number}", kind, "seg_x", event.customer, event.minute
                )
                return await send_voucherify(client, body, secret)
            payload = {
                "segmentId": "seg_x",
                "customer": {"id": event.customer},
                "metadata": {"modifiedAt": at(event.minute), "version": 1},
            }
            name = "customer-assignment-created"
            return await send_emporix(client, name, payload, minute=event.minute, secret=secret)
        except httpx.TransportError:  # killed meanwhile
            await asyncio.sleep(0.01)


class Killed:
    """A gateway that is killed again and again, and started again each time."""

    def __init__(self, listening: socket.socket, configuration: Path) -> None:
        """Serve at this socket, which outlives the processes."""
        self._fd = listening.fileno()
        self._environment = {**os.environ, "GATEWAY_CONFIG": str(configuration)}
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        """Start a process."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVER, str(self._fd)),
            pass_fds=[self._fd],
            env=self._environment,
        )

    async def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            assert await self._process.wait() == -signal.SIGKILL
            self._process = None
            self.kills += 1


async def deliver(client: httpx.AsyncClient, gateway: Killed, sent: Sequence[Event]) -> None:
    """Send all in random order, with repeats and forgeries, and kill the gateway in between."""
    chance = random.Random(7)  # noqa: S311  # no secret
    arriving = [*sent, *chance.choices(sent, k=len(sent) // 2)]
    chance.shuffle(arriving)
    deaths = set(chance.sample(range(1, len(arriving)), KILLS))
    waiting = list(enumerate(arriving))
    lock = asyncio.Lock()

    async def one_after_the_other() -> None:
        while waiting:
            number, event = waiting.pop()
            if chance.random() < 0.1:
                forged = event._replace(customer="forged", number=-number - 1)
                assert (await send(client, forged, "forged")).status_code == 401
            secret = chance.choice([NEW, OLD])
            assert (await send(client, event, secret)).status_code == 204
            if number in deaths:  # the others are in the middle of theirs
                async with lock:
                    await gateway.kill()
                    await gateway.start()

    async with asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(one_after_the_other())


async def changes(client: httpx.AsyncClient) -> AsyncIterator[Mapping[str, Any]]:
    """Yield all changes, in their order."""
    after, has_more = None, True
    while has_more:
        body = {"query": CHANGE_PAGE, "variables": {"after": after}}
        page = (await client.post("/graphql", json=body)).json()["data"]["changes"]
        for node in page["nodes"]:
            yield node
        after, has_more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]


async def test_exactly_once(tmp_path: Path, url: str) -> None:
    """None is lost, none counts twice, none is invented; of one customer the newest wins."""
    configuration = tmp_path / "gateway.toml"
    configuration.write_text(CONFIGURATION.format(url=url, new=NEW, old=OLD))
    sent = events()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        gateway = Killed(listening, configuration)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(
            base_url=address, timeout=PATIENCE_S, trust_env=False
        ) as client:
            try:
                await gateway.start()
                await deliver(client, gateway, sent)
                assert gateway.kills == KILLS
                await gateway.kill()  # what is stored is applied before the next one is ready
                await gateway.start()
                nodes = [node async for node in changes(client)]
            finally:
                await gateway.kill()
    assert {(node["source"], node["segmentId"]) for node in nodes} == {
        ("WEBHOOK", segment_id("voucherify", "seg_x")),
        ("WEBHOOK", segment_id("emporix", "seg_x")),
    }
    seen = [(node["customerId"], node["kind"], node["occurredAt"]) for node in nodes]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= {event.change for event in sent}
    once = {event.change for event in sent if event.customer.startswith("once")}
    assert once <= set(seen)
    by_customer = defaultdict(list)
    for customer, kind, time in seen:
        by_customer[customer].append((time, kind))
    for newest in {event.customer: event for event in sent}.values():
        course = by_customer[newest.change[0]]
        assert course == sorted(course), newest
        kinds = [kind for _, kind in course]
        assert all(one != next_one for one, next_one in pairwise(kinds)), course
        assert kinds[-1] == newest.kind, newest
    assert by_customer.keys() == {event.change[0] for event in sent}
