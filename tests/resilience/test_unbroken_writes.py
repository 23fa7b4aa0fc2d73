"""A client that hangs up while its write is under way: the write goes on, and is recorded."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import settled
from gateway.http.disconnect import ShieldedWrites
from tests.e2e.serving import customer_id
from tests.e2e.writes.asking import do, document, shoppers
from tests.resilience.accounts import Script, account, scope, things
from tests.resilience.clockwork import now, run
from tests.resilience.held import Served, post, serving

SHOPPER = shoppers(1)[0]
ENTRY = {"externalId": SHOPPER, "segments": [{"type": "tier", "value": "GOLD"}]}
GIVEN = {"provider": "instaleap", "customers": [ENTRY], "idempotencyKey": "once"}
STATES = """query($id: ID!) { customer(id: $id) {
  assignments { nodes { state segment { name } } }
} }"""


def hangs_up(asking: "asyncio.Task[None]", gone: asyncio.Event) -> None:
    """Disconnect, as the server reports it."""
    del asking
    gone.set()


def is_cancelled(asking: "asyncio.Task[None]", gone: asyncio.Event) -> None:
    """End the request, as servers do that stop."""
    del gone
    asking.cancel()


@pytest.fixture
def url(tmp_path: Any) -> str:
    """Return the URL of this test's store."""
    return f"sqlite:///{tmp_path / 'gateway.db'}"


WAYS = pytest.mark.parametrize("leave", [hangs_up, is_cancelled])
Leave = Callable[["asyncio.Task[None]", asyncio.Event], None]


async def left_behind(served: Served, leave: Leave) -> "asyncio.Task[None]":
    """Send a write, and disconnect once the provider has it; return the request."""
    gone = asyncio.Event()
    body = {"query": document("customerSegmentsReplace"), "variables": {"m0": GIVEN}}
    asking = asyncio.create_task(post(served.app, body, gone))
    await served.held.arrived.wait()
    leave(asking, gone)
    return asking


@WAYS
async def test_a_write_goes_on_and_is_kept(url: str, leave: Leave) -> None:
    """Repeated with its key it returns the stored result, and was sent once."""
    async with asyncio.timeout(20), serving(url) as served:
        asking = await left_behind(served, leave)
        again = asyncio.create_task(do(served.front, "customerSegmentsReplace", GIVEN))
        served.held.let_go.set()
        assert await again == {
            "updatedCustomerIds": [SHOPPER],
            "results": [
                {"index": 0, "externalId": SHOPPER, "outcome": "UPDATED", "userErrors": []}
            ],
            "userErrors": [],
        }
        await asyncio.wait([asking])
        assert served.held.calls == 1


@WAYS
async def test_a_server_that_stops_waits_for_writes(url: str, leave: Leave) -> None:
    """Writes under way are settled in the store before that is closed."""
    async with asyncio.timeout(20):
        async with serving(url) as served:
            asking = await left_behind(served, leave)
            asyncio.get_running_loop().call_soon(served.held.let_go.set)
        await asyncio.wait([asking])
        assert served.held.calls == 1
        async with serving(url) as later:
            mine = {"id": customer_id("instaleap", SHOPPER)}
            assert await later.front.data(STATES, mine) == {
                "customer": {
                    "assignments": {"nodes": [{"state": "CONFIRMED", "segment": {"name": "GOLD"}}]}
                }
            }
            assert later.held.calls == 0


def test_it_ends_with_its_deadline() -> None:
    """A silent provider blocks neither the operation nor the shutdown."""

    async def main() -> None:
        writes, within = ShieldedWrites(), scope(3)
        upstream = account(Script([60.0]), timeout_s=60)
        started = now()
        sending = settled(upstream.send(things(method="POST"), within))
        asking = asyncio.create_task(writes.run(sending, within))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.wait([asking])
        assert (asking.cancelled(), now() - started) == (True, 1)
        await writes.close()
        assert now() - started == pytest.approx(3)

    run(main())
