"""Recovery of what was left open: each customer's write is sent again, by one process alone."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from gateway.asgi import connect
from gateway.errors import GatewayError
from gateway.store.database_url import database_url
from gateway.store.idempotency import InterruptedRun
from gateway.store.store import Store
from gateway.upstream.provider import Provider
from gateway.writes import recovery
from gateway.writes.receipts import ReplacementsPlan
from tests.e2e.failures import answering
from tests.e2e.serving import Front, Providers, settings_with
from tests.e2e.writes.asking import do, shoppers
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_replace_tags import REPLACE, entry, recorded

KEYS = shoppers(150)


def a_day_later() -> datetime:
    """Return a moment when every lease is over."""
    return datetime.now(UTC) + timedelta(days=1)


async def opened(providers: Providers, url: str) -> tuple[Mapping[str, Provider], Store]:
    """Return the providers and the store of a process that starts a day later."""
    record = await Store.open(database_url(url, {}), a_day_later)
    reopened = await connect(settings_with(), providers, record)
    return {each.key: each for each in reopened}, record


async def closed(providers: Mapping[str, Provider], record: Store) -> None:
    """Close both."""
    await asyncio.gather(*(each.close() for each in providers.values()))
    await record.close()


@pytest.fixture
async def shop(front: Front) -> Shop:
    """Return a shop with which 150 writes broke off: it did them, and its answers were lost."""
    shop = Shop(front.providers)
    shop.instead = answering(500, b"")
    customers = [entry(key, "a:new") for key in KEYS]
    payload = await do(front, REPLACE, {"provider": "instaleap", "customers": customers})
    assert {row["outcome"] for row in payload["results"]} == {"UNKNOWN"}
    shop.instead = None
    shop.batches.clear()
    return shop


def sent(shop: Shop) -> list[str]:
    """Return whose writes were sent, in order."""
    return sorted(customer["document_id"] for batch in shop.batches for customer in batch)


async def test_every_open_write_once(front: Front, shop: Shop, url: str) -> None:
    """All that is open is sent again, and is confirmed; then nothing is left to do."""
    reopened, record = await opened(front.providers, url)
    assert await recovery.recover(reopened, record) == 150
    assert sent(shop) == sorted(KEYS)
    assert await recorded(front, KEYS[149]) == [("a:new", "CONFIRMED")]
    assert await recovery.recover(reopened, record) == 0
    assert len(shop.batches) == 2
    await closed(reopened, record)


async def test_two_processes(front: Front, shop: Shop, url: str) -> None:
    """Two processes that recover at once share the work, and send nothing twice."""
    first = await opened(front.providers, url)
    second = await opened(front.providers, url)
    counts = await asyncio.gather(recovery.recover(*first), recovery.recover(*second))
    assert sum(counts) == 150
    assert sent(shop) == sorted(KEYS)
    await closed(*first)
    await closed(*second)


async def test_a_provider_that_still_fails(front: Front, shop: Shop, url: str) -> None:
    """What fails again is tried once and stays in doubt; the caller's own writes go on."""
    shop.instead = answering(500, b"")
    reopened, record = await opened(front.providers, url)
    await recovery.recover(reopened, record)
    assert sent(shop) == sorted(KEYS)
    assert await recorded(front, KEYS[0]) == [("a:new", "UNCONFIRMED")]
    shop.instead = None
    given = {"provider": "instaleap", "customers": [entry(KEYS[0], "a:last")]}
    payload = await do(front, REPLACE, given)
    assert payload["updatedCustomerIds"] == [KEYS[0]]
    assert await recorded(front, KEYS[0]) == [("a:last", "CONFIRMED")]
    await closed(reopened, record)


async def test_a_bug_does_not_end_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Whatever goes wrong in one round, the next one comes."""
    rounds: list[int] = []
    over = asyncio.Event()

    async def failing(*_: Any) -> int:
        rounds.append(len(rounds))
        if len(rounds) == 3:
            over.set()
        raise (RuntimeError if len(rounds) == 1 else GatewayError)("a bug")

    monkeypatch.setattr(recovery, "recover", failing)
    monkeypatch.setattr(recovery, "EVERY_S", 0)
    providers = Providers()
    async with serving(providers, url):
        await over.wait()
    assert rounds[:3] == [0, 1, 2]


async def test_a_plan_of_another_version(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A plan that cannot be read has an unknown result, and the keys after it are settled."""
    concluded: dict[str, bytes | None] = {}

    async def interrupted() -> Sequence[InterruptedRun]:
        plan = ReplacementsPlan(provider="instaleap", rows=())
        outcomes = {KEYS[0]: None}
        return [
            InterruptedRun("theirs", b'{"rows": 1}', outcomes),
            InterruptedRun("ours", msgspec.json.encode(plan), outcomes),
        ]

    async def conclude(claim: str, answer: bytes | None) -> None:
        concluded[claim] = answer

    record = await Store.open(database_url(url, {}))
    monkeypatch.setattr(record.idempotency_keys, "interrupted", interrupted)
    monkeypatch.setattr(record.idempotency_keys, "conclude", conclude)
    await recovery.settle_keys(record)
    assert concluded == {"theirs": b"0", "ours": b'1{"rows":[],"errors":[]}'}
    await record.close()
