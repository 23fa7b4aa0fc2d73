"""A process that ends in the middle of a replacement: its customers and its key are settled.

The process is not killed here (`test_kills` does that): its request stops for good where it is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.mutations import Replacement, Tag
from gateway.store.database_url import database_url
from gateway.store.ownership import Hold
from gateway.store.store import Store
from gateway.store.write_intents import Settlement, WriteIntents
from tests.e2e.failures import FAILURES
from tests.e2e.serving import Front, Providers, settings_with
from tests.e2e.writes.asking import do, problem, shoppers
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_replace_tags import REPLACE, entry, recorded

KEY = {"idempotencyKey": "k"}
ADA, BOB = shoppers(2)
UNKNOWN_TO_THE_SHOP = "nobody"


def given(*customers: str) -> dict[str, Any]:
    """Return a replacement with a key."""
    rows = [entry(customer, "a:new") for customer in customers]
    return {"provider": "instaleap", "customers": rows, **KEY}


@contextlib.contextmanager
def letting_go(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have records let go of their files at once, as those of processes that died."""
    taken = Hold.take

    async def take(*arguments: Any) -> Hold:
        hold = await taken(*arguments)
        if not hold.is_alone:
            hold.close()
        return hold

    async def share(hold: Hold) -> None:
        hold.close()

    with monkeypatch.context() as patch:
        patch.setattr(Hold, "take", take)
        patch.setattr(Hold, "share", share)
        yield


class Stop:
    """Where a process is as good as dead: whoever comes there goes no further."""

    def __init__(self) -> None:
        """Let nobody go on."""
        self.arrived = asyncio.Event()
        self._over = asyncio.Event()

    async def here(self, *_: Any, **__: Any) -> Any:
        """Wait until the test is over."""
        self.arrived.set()
        await self._over.wait()
        raise asyncio.CancelledError

    def end(self) -> None:
        """End the test."""
        self._over.set()


@pytest.fixture
def stop() -> Iterator[Stop]:
    """Return where the process under test stops."""
    made = Stop()
    yield made
    made.end()


@pytest.fixture
async def dying(
    providers: Providers, url: str, monkeypatch: pytest.MonkeyPatch, stop: Stop
) -> AsyncIterator[Front]:
    """Return the front door of a process that will be as good as dead."""
    async with contextlib.AsyncExitStack() as stack:
        with letting_go(monkeypatch):
            front = await stack.enter_async_context(serving(providers, url))
        yield front
        stop.end()


async def broken_off(front: Front, stop: Stop, step: str, replacement: Mapping[str, Any]) -> None:
    """Send a replacement that stops before a step of `WriteIntents`, for good."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WriteIntents, step, stop.here)
        task = asyncio.create_task(do(front, REPLACE, replacement))
        await stop.arrived.wait()
    task.cancel()
    await asyncio.wait([task])


async def test_settled_at_the_restart(
    dying: Front, providers: Providers, url: str, stop: Stop
) -> None:
    """The next process repeats the write at once, and its key answers the real result.

    The customers may be written to right away, and a request that waits for the key learns of it.
    """
    shop = Shop(providers)
    replacement = given(ADA, UNKNOWN_TO_THE_SHOP)
    await broken_off(dying, stop, "settle", replacement)
    shop.batches.clear()
    async with serving(providers, url) as front:
        payload = await do(front, REPLACE, replacement)
        assert payload["updatedCustomerIds"] == [ADA]
        assert [row["outcome"] for row in payload["results"]] == ["UPDATED", "UNKNOWN"]
        assert len(shop.batches) == 1
        assert await recorded(front, ADA) == [("a:new", "CONFIRMED")]
        again = {**given(ADA), "idempotencyKey": "another"}
        assert (await do(front, REPLACE, again))["updatedCustomerIds"] == [ADA]
        assert await do(front, REPLACE, replacement) == payload
        assert len(shop.batches) == 2


async def test_not_alone(stop: Stop, front: Front, providers: Providers, url: str) -> None:
    """While another process has the file, a new one leaves its writes to it."""
    shop = Shop(providers)
    await broken_off(front, stop, "settle", given(ADA))
    shop.batches.clear()
    async with serving(providers, url, settings_with()) as second:
        assert await recorded(second, ADA) == [("a:new", "PENDING")]
        assert shop.batches == []
    stop.end()


async def test_a_key_waits_for_a_provider_that_is_down(
    dying: Front, providers: Providers, url: str, stop: Stop
) -> None:
    """As long as the write cannot be repeated its key has no answer; then it has the real one."""
    shop = Shop(providers)
    await broken_off(dying, stop, "settle", given(ADA, BOB))
    shop.batches.clear()
    providers.instead["instaleap"] = FAILURES["unreachable"].server
    settings = settings_with()
    server = settings.server.model_copy(update={"request_timeout_s": 2})
    hasty = settings.model_copy(update={"server": server})
    async with serving(providers, url, hasty) as front:
        payload = await do(front, REPLACE, given(ADA, BOB))
        assert payload["userErrors"] == [problem("idempotencyKey", "PROVIDER_FAILED", None)]
        assert payload["results"] == []
    providers.instead["instaleap"] = shop
    async with serving(providers, url) as front:
        payload = await do(front, REPLACE, given(ADA, BOB))
        assert payload["updatedCustomerIds"] == [ADA, BOB]
        assert len(shop.batches) == 1


async def test_nothing_was_begun(dying: Front, providers: Providers, url: str, stop: Stop) -> None:
    """A key of which nothing was begun is free: its write is carried out for the first time."""
    shop = Shop(providers)
    await broken_off(dying, stop, "begin", given(ADA))
    async with serving(providers, url) as front:
        payload = await do(front, REPLACE, given(ADA))
        assert payload["updatedCustomerIds"] == [ADA]
        assert len(shop.batches) == 1


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_jumped(
    front: Front, providers: Providers, url: str, hours: int
) -> None:
    """A claim made by a clock that was an hour off blocks nobody for an hour."""
    shop = Shop(providers)
    off = timedelta(hours=hours)
    wrong = await Store.open(database_url(url, {}), lambda: datetime.now(UTC) + off)
    rows = [Replacement(ADA, [Tag("a", "old")])]
    deadline = asyncio.get_running_loop().time() + 10
    begun = await wrong.write_intents.begin("instaleap", rows, "write", deadline)
    assert [row.customer for row in begun.claim.rows] == [ADA]
    payload = await do(front, REPLACE, given(ADA))
    assert payload["updatedCustomerIds"] == [ADA]
    # Whether the first came before or after is not known: the newest is repeated.
    await wrong.write_intents.settle(begun.claim, {ADA: Settlement.CONFIRMED})
    assert {state for _, state in await recorded(front, ADA) or ()} == {"UNCONFIRMED"}
    assert len(shop.batches) == 1
    await wrong.close()
