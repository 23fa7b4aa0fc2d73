"""Whatever a provider does, the state about it stays consistent, and every error has a code."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.domain.json_depth import MAX_DEPTH, is_too_deep
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_CUSTOMER, EVERY_SEGMENT
from gateway.errors import GatewayError, ProviderError
from gateway.providers.base.adapter import ListsMembers, ReadsCustomers, ReadsSegments
from gateway.providers.base.exchange import Exchange
from gateway.request_scope import Scope
from gateway.upstream.resilience.bulkhead import Bulkhead
from gateway.upstream.resilience.circuit_breaker import Circuit, CircuitBreaker
from resolvers.error_codes import CODES
from tests.resilience.accounts import (
    Script,
    Step,
    account,
    adapter_of,
    circuit,
    response,
    scope,
    things,
)
from tests.resilience.clockwork import now, run

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from([200, 301, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504]).map(response),
    st.sampled_from(["0", "1", "30", "never"]).map(lambda after: response(429, retry_after=after)),
    st.floats(0, 20),
    st.sampled_from(
        [
            httpx.ConnectError("refused"),
            httpx.ReadError("reset"),
            httpx.RemoteProtocolError("torn"),
            httpx.DecodingError("no gzip"),
            ConnectionResetError("reset"),
        ]
    ),
)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["read", "write", "hang up", "forget"]),
        st.integers(0, 2),
        st.floats(0, 8),
    ),
    max_size=40,
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=1, max_size=40), actions=ACTIONS)
def test_no_sequence_of_faults_leaves_anything_behind(
    steps: list[Step], actions: list[tuple[str, int, float]]
) -> None:
    """Afterwards all slots are free, no read is in flight, and the account works again."""

    async def main() -> None:
        script = Script([*steps, response()], takes_s=0.01)
        upstream = account(script, max_concurrency=2, max_queue=3, cache_ttl_s=2)
        calls: list[asyncio.Task[str]] = []
        for action, number, pause_s in actions:
            if action == "forget":
                upstream.invalidate()
            elif action == "hang up" and calls:
                calls[number % len(calls)].cancel()
            elif action == "write":
                exchange = things(f"/{number}", method="POST", is_idempotent=False)
                calls.append(asyncio.create_task(upstream.send(exchange, scope())))
            else:
                within = Scope(f"request-{len(calls) % 3}", now() + 10)
                calls.append(asyncio.create_task(upstream.read(things(f"/{number}"), within)))
            await asyncio.sleep(pause_s)
        results = await asyncio.gather(*calls, return_exceptions=True)
        for each in results:
            assert isinstance(each, str | ProviderError | asyncio.CancelledError)
        await asyncio.sleep(10)  # probes that nobody waits for end
        bulkhead = upstream.guard.bulkhead
        assert (bulkhead.in_use, bulkhead.waiting, len(upstream._in_flight)) == (0, 0, 0)  # noqa: SLF001  # what must be empty is nobody else's business
        script.steps = [response(200, "again")]
        upstream.invalidate()
        await asyncio.sleep(120)
        assert await upstream.read(things("/after"), scope()) == "again"
        assert circuit(upstream) == "CLOSED"
        await upstream.close()

    with capture_logs():
        run(main())


@settings(max_examples=200)
@given(
    max_concurrency=st.integers(1, 3),
    max_queue=st.integers(0, 6),
    moves=st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "cancel"]), st.integers(0, 3), st.booleans()),
        max_size=60,
    ),
)
def test_slots_are_neither_lost_nor_doubled(
    max_concurrency: int, max_queue: int, moves: list[tuple[str, int, bool]]
) -> None:
    """Whatever calls enter, leave or are cancelled: the limit is never exceeded."""

    async def main() -> None:
        bulkhead, inside = Bulkhead(max_concurrency, max_queue), 0
        leave = asyncio.Semaphore(0)
        calls: list[asyncio.Task[None]] = []

        async def call(operation: int) -> None:
            nonlocal inside
            if bulkhead.is_full(operation, 1) or not await bulkhead.enter(operation):
                return
            inside += 1
            try:
                assert inside <= max_concurrency
                await leave.acquire()
            finally:
                inside -= 1
                bulkhead.leave(0)

        for move, number, pauses in moves:
            if move == "enter":
                calls.append(asyncio.create_task(call(number)))
            elif move == "leave":
                leave.release()
            elif calls:
                calls[number % len(calls)].cancel()
            if pauses:
                await asyncio.sleep(0)
                assert bulkhead.waiting <= max_queue
        for _ in calls:
            leave.release()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in results} <= {type(None), asyncio.CancelledError}
        assert (inside, bulkhead.in_use, bulkhead.waiting) == (0, 0, 0)
        assert await bulkhead.enter(9)

    run(main())


EVENTS = st.lists(
    st.tuples(st.sampled_from(["enter", "ok", "failed", "given up"]), st.floats(0, 10)),
    max_size=200,
)


@settings(max_examples=300)
@given(events=EVENTS)
def test_a_breaker_never_locks(events: list[tuple[str, float]]) -> None:
    """It reports openings and closings alternately; at most one probe is out; it closes again."""
    changes: list[Circuit] = []
    breaker = CircuitBreaker(changes.append, probe_interval_s=5)
    out: list[tuple[int, Circuit]] = []
    now = 0.0
    for event, pause_s in events:
        now += pause_s
        if event == "enter":
            if breaker.refusal_s(now) is None:
                generation = breaker.begin(now)
                out.append((generation, breaker.circuit))
        elif out:
            generation, _ = out.pop(0)
            breaker.end(generation, now, failed={"ok": False, "failed": True}.get(event))
        refusal_s = breaker.refusal_s(now)
        assert refusal_s is None or 0 <= refusal_s <= 5 + 1e-9  # sums of floats are not exact
        probes = [generation for generation, was in out if was is Circuit.HALF_OPEN]
        assert len(probes) == len(set(probes))
    for generation, _ in out:
        breaker.end(generation, now, failed=None)
    assert breaker.refusal_s(now + 5) is None
    turns = [Circuit.OPEN, Circuit.CLOSED] * len(changes)
    assert changes == turns[: len(changes)]


def reads(kind: str) -> list[Exchange[Any]]:
    """Return one exchange of each way to read a provider."""
    adapter: Any = adapter_of(kind)
    page = PageRequest(10, None, with_total=True)
    exchanges = [
        adapter.segments(EVERY_SEGMENT, page),
        adapter.customers(EVERY_CUSTOMER, page),
        adapter.segments_of("a", page),
    ]
    if isinstance(adapter, ReadsSegments):
        exchanges += [batch.exchange for batch in adapter.segments_by_key(["a", "b"])]
    if isinstance(adapter, ReadsCustomers):
        exchanges += [batch.exchange for batch in adapter.customers_by_key(["a"])]
    if isinstance(adapter, ListsMembers):
        exchanges.append(adapter.members("a", page))
    return exchanges


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["data", "id", "name", "total", "segments", "items", "code"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(msgspec.json.encode),
    JSON.map(msgspec.json.encode).map(lambda body: body[: len(body) // 2]),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"[" * 9999 + b"]" * 9999, b"\xff\xfe"]),
)


@pytest.mark.parametrize("kind", ["stuut", "voucherify", "emporix"])
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(body=BODIES, status=st.sampled_from([200, 200, 200, 204, 301, 400, 404, 429, 500]))
def test_any_bytes_are_data_or_an_error_with_a_code(kind: str, body: bytes, status: int) -> None:
    """Of every way to read: no other exception, and no bug of an adapter."""
    sign_in = b'{"access_token":"t","expires_in":3600,"token_type":"Bearer"}'

    async def main() -> None:
        for exchange in reads(kind):
            answer = httpx.Response(status, content=body)
            script = Script([*([response(200, sign_in.decode())] * (kind == "emporix")), answer])
            upstream = account(script, kind=kind, retries=0)
            try:
                await upstream.read(exchange, scope())
            except GatewayError as error:
                assert CODES[type(error)]  # noqa: PT017  # an answer is as good

    with capture_logs() as lines:
        run(main())
    assert [line for line in lines if line["event"] == "adapter failed"] == []


def depth(value: Any) -> int:
    """Return how many levels of lists and objects there are."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


HARD = st.recursive(
    st.text(alphabet='[]{}"\\a\n', max_size=6) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[]{}"\\b', max_size=4), inner, max_size=3)
    ),
    max_leaves=30,
)


@settings(max_examples=300)
@given(value=HARD, extra=st.integers(0, 80))
def test_depth_is_counted_exactly(value: Any, extra: int) -> None:
    """Brackets in texts, escapes and keys count for nothing, however many there are."""
    for _ in range(extra):
        value = [value, "]" * 3, {"[": '"'}]
    assert is_too_deep(msgspec.json.encode(value)) is (depth(value) > MAX_DEPTH)
