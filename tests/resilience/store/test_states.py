"""A database that fails in any way costs what needs it, in time, and heals without a restart."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from gateway.errors import GatewayError
from gateway.store import health
from gateway.store.database_url import database_url
from gateway.store.errors import StoreState
from gateway.store.store import Store
from gateway.store.waiting import attempts
from tests.e2e.serving import PROVIDERS, Front, Providers, settings_with
from tests.e2e.writes.asking import do, document, shoppers
from tests.e2e.writes.serving import serving
from tests.resilience.store.cluster import Cluster
from tests.resilience.store.states import POSTGRES, SQLITE, Way

T = TypeVar("T")
Notes = Callable[[str, object], None]

TIMEOUT_S = 3.0
"""Of a request: long enough for providers on a busy machine."""
LATE_S = 15.0
"""When a request hangs: the database does not answer for as long as the test lasts."""

ERROR = "error { code retryable requestId }"
MERGED = f"""{{ segments(first: 100) {{
  nodes {{ provider {{ key }} }} sources {{ provider {{ key }} {ERROR} }} }} }}"""
RECORDED = '{ provider(key: "instaleap") { segments(first: 5) { nodes { name } } } }'
CUSTOMER = shoppers(1)[0]
REPLACE = "customerSegmentsReplace"
REPLACEMENT = {
    "provider": "instaleap",
    "customers": [{"externalId": CUSTOMER, "segments": [{"type": "tier", "value": "gold"}]}],
}


def created(name: str, **more: str) -> dict[str, Any]:
    """Return the input of a new segment at Voucherify."""
    rule = {"native": {"city": {"conditions": {"$is": ["Bonn"]}}}}
    return {"provider": "voucherify", "name": name, "rule": rule, **more}


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Front]:
    """Serve the gateway over a store with rows, through new connections."""
    settings = settings_with()
    server = settings.server.model_copy(update={"request_timeout_s": TIMEOUT_S})
    settings = settings.model_copy(update={"server": server})
    providers = Providers()
    async with serving(providers, url, settings) as front:
        await do(front, REPLACE, REPLACEMENT)
    async with serving(providers, url, settings) as front:
        yield front


async def timed(times: dict[str, float], name: str, work: Awaitable[T]) -> T:
    """Await it, and note how long it took; it must end."""
    start = time.monotonic()
    async with asyncio.timeout(LATE_S):
        result = await work
    times[name] = round(time.monotonic() - start, 2)
    return result


async def ready(front: Front) -> tuple[int, str]:
    """Return the status and the sentence of /readyz."""
    answer = await front.client.get("/readyz")
    return answer.status_code, answer.json()["status"]


async def ready_becomes(front: Front, state: StoreState) -> None:
    """Wait until /readyz says so."""
    sentences = {f"the store cannot be used: {state.value}"}
    if state is StoreState.READY:  # the second where only Python is tested
        sentences = {"ready", "pages are not built; run make serve"}
    async for _ in attempts(asyncio.get_running_loop().time() + LATE_S):
        _, sentence = await ready(front)
        if sentence in sentences:
            return
    raise AssertionError(sentence)


async def start(url: str, patience_s: float) -> str:
    """Open the store as at start; return the error that prevents it."""
    try:
        record = await Store.open(database_url(url, {}), connect_timeout_s=patience_s)
    except GatewayError as error:
        return type(error).__name__
    await record.close()
    return "starts"


def assert_store_unavailable(answer: Mapping[str, Any], request_ids: set[str]) -> None:
    """Assert that a response's only root field failed because of the store."""
    [error] = answer["errors"]
    request_ids.add(error["extensions"].pop("requestId"))
    assert error["extensions"] == {"code": "STORE_UNAVAILABLE", "retryable": True}


async def assert_state(front: Front, url: str, way: Way, target: Any) -> dict[str, float]:
    """Assert all that holds while the database fails in a way, and after; return the times."""
    times: dict[str, float] = {}
    request_ids: set[str] = set()
    keyed = created("keyed", idempotencyKey="k")
    with contextlib.ExitStack() as disturbed, capture_logs() as lines:
        # In a thread: a transaction of the gateway may have to end first.
        await asyncio.to_thread(disturbed.enter_context, way.disturbed(target))
        merged, recorded, with_key, without_key, replaced = await asyncio.gather(
            timed(times, "merged list", front.data(MERGED)),
            timed(times, "recorded list", front.ask(RECORDED)),
            timed(
                times,
                "keyed mutation",
                front.ask(document("segmentCreate", selection="__typename"), {"m0": keyed}),
            ),
            timed(
                times,
                "unkeyed mutation",
                do(front, "segmentCreate", created("unkeyed"), "segment { name }"),
            ),
            timed(
                times,
                "unkeyed replacement",
                do(front, REPLACE, REPLACEMENT, "results { outcome userErrors { code } }"),
            ),
        )
        shown = {node["provider"]["key"] for node in merged["segments"]["nodes"]}
        errors = {each["provider"]["key"]: each["error"] for each in merged["segments"]["sources"]}
        assert {key for key, error in errors.items() if error} == (
            set() if way.reads else {"instaleap"}
        )
        assert shown == set(PROVIDERS if way.reads else {*PROVIDERS} - {"instaleap"})
        if way.reads:
            assert recorded["data"]["provider"]["segments"]["nodes"] == [{"name": "gold"}]
        else:
            request_ids.add(errors["instaleap"].pop("requestId"))
            assert errors["instaleap"] == {"code": "STORE_UNAVAILABLE", "retryable": True}
            assert_store_unavailable(recorded, request_ids)
        assert with_key["data"] == {"m0": None}
        assert_store_unavailable(with_key, request_ids)
        assert without_key == {"segment": {"name": "unkeyed"}, "userErrors": []}
        row = {"outcome": "NOT_UPDATED", "userErrors": [{"code": "STORE_UNAVAILABLE"}]}
        assert replaced == {"results": [row], "userErrors": []}
        written = [call for call in front.calls if not call.startswith("GET")]
        assert written == ["POST /v1/segments"]
        assert_logged(lines, request_ids)
        await timed(times, "readyz", ready_becomes(front, way.state))
        if way.starts is not None:
            # A busy machine takes longer, and what does not respond takes all of it.
            begun = await timed(times, "start", start(url, 10 if way.starts else 1))
            assert (begun == "starts") == way.starts
        await asyncio.to_thread(disturbed.close)
        if not way.heals:
            assert (await ready(front))[0] == 503
            return times
        await timed(times, "thaw", ready_becomes(front, StoreState.READY))
    front.forget()
    # More at once than there are connections: none was lost.
    lists = await asyncio.gather(*(front.data(RECORDED) for _ in range(12)))
    assert len(lists) == 12
    made = await do(front, "segmentCreate", keyed, "segment { name }")
    assert made == {"segment": {"name": "keyed"}, "userErrors": []}
    assert await do(front, "segmentCreate", keyed, "segment { name }") == made
    payload = await do(front, REPLACE, REPLACEMENT)
    assert payload["updatedCustomerIds"] == [CUSTOMER]
    written = [call for call in front.calls if not call.startswith("GET")]
    assert sorted(written) == ["POST /api/v3/customers/segments", "POST /v1/segments"]
    return times


def assert_logged(lines: list[Any], request_ids: set[str]) -> None:
    """Assert that the log has the cause under every id, and that nothing was sent."""
    causes = {
        line["request_id"]: line["cause"] for line in lines if line["event"] == "store failed"
    }
    assert request_ids <= causes.keys()
    assert all(causes.values())
    outcomes = {
        line["operation"]: line["outcome"]
        for line in lines
        if line.get("logger") == "audit"
        and (line["idempotency_key"] or line["operation"] == REPLACE)
    }
    assert outcomes == {"segmentCreate": "not sent", REPLACE: "not sent"}


@pytest.fixture(autouse=True)
def _checked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let /readyz follow at once: how long it takes is no part of these tests."""
    monkeypatch.setattr(health, "EVERY_S", 0.1)
    monkeypatch.setattr(health, "CHECK_S", 1.0)


@pytest.mark.parametrize("name", SQLITE)
async def test_sqlite(tmp_path: Path, name: str, record_property: Notes) -> None:
    """Fields that need the store fail in time, all others succeed, and nothing is sent."""
    path = tmp_path / "gateway.db"
    url = f"sqlite:///{path}"
    async with opened(url) as front:
        record_property("seconds", await assert_state(front, url, SQLITE[name], path))


@pytest.mark.postgres
@pytest.mark.parametrize("name", POSTGRES)
async def test_postgres(
    cluster: Cluster,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Notes,
) -> None:
    """Fields that need the store fail in time, all others succeed, and nothing is sent."""
    monkeypatch.setattr(health, "DAMAGE_S", 2)
    url = cluster.url()
    async with opened(url) as front:
        record_property("seconds", await assert_state(front, url, POSTGRES[name], cluster))
