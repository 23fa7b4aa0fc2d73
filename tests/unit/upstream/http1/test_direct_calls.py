"""Calls without a task have the same outcomes as calls that a task makes."""

import asyncio
import gzip
import random
import ssl
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import ProviderError, TimedOut
from gateway.request_scope import Scope
from gateway.upstream.call_sender import CallSender
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http.http1_pool import Http1Transport
from tests.unit.upstream.misbehaving import Act, Script, Server, ok, serving
from tests.unit.upstream.upstreams import open_account, signing_account, things

TEXT = b"well " * 60_000
NOISE = random.Random(1).randbytes(20_000).hex().encode()  # noqa: S311  # no secret
GZIP = "Content-Encoding: gzip"
TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TIMEOUT_S = 0.5
"""Of calls that hang."""

SCRIPTS: Sequence[Any] = [
    pytest.param([[ok()]], id="200"),
    pytest.param([[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"we", b"ll"]], id="parts"),
    pytest.param([[ok(b"\xef\xbb\xbfwell")]], id="byte order mark"),
    pytest.param([[ok(gzip.compress(TEXT), "200 OK", GZIP)]], id="gzip"),
    pytest.param([[ok(gzip.compress(NOISE), "200 OK", GZIP)]], id="much gzip"),
    pytest.param([[ok(gzip.compress(TEXT)[:-9], "200 OK", GZIP)]], id="truncated gzip"),
    pytest.param([[ok(gzip.compress(bytes(5_000_000)), "200 OK", GZIP)]], id="a bomb"),
    pytest.param([[ok(b"x", "200 OK", "Content-Encoding: br")]], id="another coding"),
    pytest.param([[ok(b"x" * 500_000)]], id="more than is buffered"),
    pytest.param([[ok(b"x" * 900_000)]], id="too long"),
    pytest.param([[ok(gzip.compress(b"x" * 900_000), "200 OK", GZIP)]], id="too long by gzip"),
    pytest.param([[b"HTTP/1.1 200 OK\r\n\r\nwell", Act.CLOSE]], id="ends with the connection"),
    pytest.param([[ok(b"no", "404 Not Found")]], id="404"),
    pytest.param([[ok(b"no", "400 Bad Request")]], id="400"),
    pytest.param([[ok(b"no", "500 Internal Server Error")]], id="500"),
    pytest.param([[ok(b"no", "503 Service Unavailable")], [ok()]], id="503, then 200"),
    pytest.param([[ok(b"no", "429 Too Many Requests", "Retry-After: 30")]], id="429"),
    pytest.param([[Act.CLOSE], [ok()]], id="closed, then 200"),
    pytest.param([[Act.RESET], [Act.RESET]], id="reset twice"),
    pytest.param([[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwell", Act.CLOSE]], id="cut off"),
    pytest.param([[b"SSH-2.0-OpenSSH_9.6\r\n"]], id="another protocol"),
    pytest.param([[Act.HANG]], id="hangs"),
    pytest.param([[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwell", Act.HANG]], id="stalls"),
]


def scope() -> Scope:
    """Return the scope of a request with time enough."""
    return Scope("request-1", asyncio.get_running_loop().time() + 60)


def account(server: Server, **settings: Any) -> UpstreamClient:
    """Return an account at this server over the gateway's own HTTP client."""
    transport = Http1Transport(TRUST)
    return open_account(transport, base_url=server.url, retries=1, **settings)


async def outcome(upstream: UpstreamClient, path: str, within: Scope) -> Any:
    """Return what a read comes to."""
    try:
        return await upstream.read(things(path), within)
    except ProviderError as error:
        facts = (error.status, error.was_sent, error.reason, error.retry_after_s is None)
        return type(error).__name__, *facts


async def observed(script: Sequence[Script], *, warm: bool) -> Any:
    """Return all that can be observed of one read, and of another one after it if that is soon."""
    before = [[ok()]] if warm else []
    async with serving(*before, *script) as server:
        hangs = Act.HANG in script[0]
        upstream, within = (
            account(server, timeout_s=TIMEOUT_S if hangs else 5, max_answer_bytes=800_000),
            scope(),
        )
        paths = ("/one",) if hangs else ("/one", "/two")
        if warm:
            await outcome(upstream, "/warm", scope())
        results = [await outcome(upstream, path, within) for path in paths]
        guard = upstream.guard
        health = (list(upstream.health.outcomes), upstream.health.last_error)
        under_way = (guard.bulkhead.in_use, guard.bulkhead.waiting, len(upstream._in_flight))  # noqa: SLF001  # what must be empty is nobody else's business
        records = [
            (each.status, each.error, each.reason, each.attempt, each.source)
            for each in within.calls
        ]
        targets = [(each.target, each.headers) for each in server.requests]
        await upstream.close()
    return results, health, under_way, records, [each for each, _ in targets], len(targets[-1][1])


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "idle connection"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_outcomes(
    script: Sequence[Script], *, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result, requests, records, health and limits are the same with and without a task."""
    direct = await observed(script, warm=warm)
    assert direct[2] == (0, 0, 0)
    monkeypatch.setattr(CallSender, "start", lambda *_: None)
    assert direct == await observed(script, warm=warm)


async def cut_short(scripts: Sequence[Script]) -> Any:
    """Return what a read comes to whose request ends before the call would."""
    async with serving([ok()], *scripts) as server:
        upstream = account(server)
        await upstream.read(things("/warm"), scope())
        within = Scope("request-1", asyncio.get_running_loop().time() + TIMEOUT_S)
        one, many = await asyncio.gather(
            outcome(upstream, "/one", within), upstream.read_all([things("/two")], within)
        )
        await asyncio.sleep(0)  # a task that was cancelled ends now
        in_use = upstream.guard.bulkhead.in_use
        await upstream.close()
    return one, [type(each) for each in many], in_use


async def test_a_request_that_ends_before_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reads have timed out, and the calls are cancelled."""
    scripts: Sequence[Script] = [[Act.HANG], [Act.HANG]]
    direct = await cut_short(scripts)
    assert (direct[0][0], *direct[1:]) == ("TimedOut", [TimedOut], 0)
    monkeypatch.setattr(CallSender, "start", lambda *_: None)
    assert direct == await cut_short(scripts)


async def queued(scripts: Sequence[Script], *, later_s: float = 60, **settings: Any) -> Any:
    """Return what three reads come to that may be made one by one only.

    All but the first are for a request that ends after `later_s`.
    """
    async with serving([ok()], *scripts) as server:
        upstream, within = account(server, max_concurrency=1, **settings), scope()
        await upstream.read(things("/warm"), scope())
        later = Scope("request-2", asyncio.get_running_loop().time() + later_s)
        reads = (("/one", within), ("/two", later), ("/three", later))
        results = await asyncio.gather(*(outcome(upstream, *each) for each in reads))
        bulkhead, circuit = upstream.guard.bulkhead, upstream.guard.breaker.circuit
        records = [
            (each.status, each.error, each.attempt) for each in (*within.calls, *later.calls)
        ]
        await upstream.close()
    targets = [each.target for each in server.requests]
    return results, targets, records, (bulkhead.in_use, bulkhead.waiting), circuit


QUEUES: Sequence[Any] = [
    pytest.param([], {}, ["well"] * 3, id="well"),
    pytest.param(
        [[ok(b"no", "500 Internal Server Error")]], {}, ["Broken", "well", "well"], id="500"
    ),
    pytest.param(
        [[ok(b"no", "429 Too Many Requests", "Retry-After: 30")]],
        {},
        ["RateLimited"] * 3,
        id="blocked meanwhile",
    ),
    pytest.param([], {"max_queue": 1}, ["well", "well", "Busy"], id="no room in the queue"),
    pytest.param(
        [[Act.HANG]],
        {"timeout_s": TIMEOUT_S, "later_s": TIMEOUT_S / 2},
        ["TimedOut"] * 3,
        id="no turn in time",
    ),
]


@pytest.mark.parametrize(("scripts", "settings", "expected"), QUEUES)
async def test_queued_calls(
    scripts: Sequence[Script],
    settings: dict[str, Any],
    expected: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls beyond the concurrency limit are made in turn, or refused, as those with a task."""
    direct = await queued(scripts, **settings)
    assert [each if each == "well" else each[0] for each in direct[0]] == expected
    assert direct[3] == (0, 0)
    monkeypatch.setattr(CallSender, "start", lambda *_: None)
    assert direct == await queued(scripts, **settings)


@pytest.mark.parametrize("has_turn", [False, True])
async def test_a_queued_call_is_cancelled(*, has_turn: bool) -> None:
    """It is not sent, and does not keep the place that it may just have been given."""
    async with serving([ok()], [Act.HANG]) as server:
        upstream = account(server, max_concurrency=1)
        bulkhead = upstream.guard.bulkhead
        await upstream.read(things("/warm"), scope())
        server.heard.clear()
        first, second = (
            asyncio.create_task(upstream.read(things(path), scope())) for path in ("/one", "/two")
        )
        await server.heard.wait()
        assert (bulkhead.in_use, bulkhead.waiting) == (1, 1)
        if has_turn:
            (in_flight,) = (
                each
                for key, each in upstream._in_flight._calls.items()  # noqa: SLF001  # nothing else gives a turn at will
                if "/one" in key  # type: ignore[operator]  # a tuple
            )
            in_flight.maker.cancel()  # type: ignore[union-attr]  # it has started
        second.cancel()
        await asyncio.wait([second])
        assert second.cancelled()
        first.cancel()
        await asyncio.wait([first])
        assert [each.target for each in server.requests] == ["/warm", "/one"]
        assert (bulkhead.in_use, bulkhead.waiting) == (0, 0)
        await upstream.close()


async def test_a_successful_call_has_no_task() -> None:
    """Only the reader itself waits."""
    async with serving() as server:
        upstream = account(server)
        await upstream.read(things("/warm"), scope())
        reading = asyncio.create_task(upstream.read(things("/one"), scope()))
        before = asyncio.all_tasks()
        while len(server.requests) == 1:
            assert asyncio.all_tasks() <= before
            await asyncio.sleep(0)
        assert await reading == "well"
        await upstream.close()


async def test_a_reader_that_leaves_cancels_the_call() -> None:
    """The connection is closed, the call counts neither as failed nor as successful."""
    async with serving([ok()], [Act.HANG]) as server:
        upstream, within = account(server), scope()
        await upstream.read(things("/warm"), scope())
        server.heard.clear()
        reading = asyncio.create_task(upstream.read(things("/one"), within))
        await server.heard.wait()
        reading.cancel()
        await asyncio.wait([reading])
        await server.hung_up.wait()
        assert reading.cancelled()
        assert [(each.status, each.error) for each in within.calls] == [(None, None)]
        assert list(upstream.health.outcomes) == [True]
        assert (upstream.guard.bulkhead.in_use, len(upstream._in_flight)) == (0, 0)  # noqa: SLF001  # as above
        await upstream.close()


@pytest.mark.parametrize(
    "script",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 300_000, Act.HANG],
        [Act.HANG],
    ],
    ids=["within a long reply", "before the reply"],
)
async def test_a_reader_that_leaves_soon_cancels_the_call(script: Script) -> None:
    """Wherever the call is, even where a task waits that has not run yet."""
    for turns in range(8):
        async with serving([ok()], script) as server:
            upstream = account(server)
            if turns > 1:  # else the task that opens the connection has not run yet
                await upstream.read(things("/warm"), scope())
            reading = asyncio.create_task(upstream.read(things("/one"), scope()))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
            assert (upstream.guard.bulkhead.in_use, len(upstream._in_flight)) == (0, 0)  # noqa: SLF001  # as above
            await upstream.close()


async def test_a_reader_that_leaves_does_not_affect_another() -> None:
    """The call that both wait for is made once, and the other reader gets its reply."""
    async with serving() as server:
        upstream = account(server)
        await upstream.read(things("/warm"), scope())
        first, second = (
            asyncio.create_task(upstream.read(things("/one"), scope())) for _ in range(2)
        )
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "well"
        assert first.cancelled()
        assert [each.target for each in server.requests] == ["/warm", "/one"]
        await upstream.close()


async def test_closing_ends_the_calls() -> None:
    """Readers of calls in flight are cancelled when the account is closed."""
    async with serving([ok()], [Act.HANG]) as server:
        upstream = account(server)
        await upstream.read(things("/warm"), scope())
        server.heard.clear()
        reading = asyncio.create_task(upstream.read(things("/one"), scope()))
        await server.heard.wait()
        await upstream.close()
        await asyncio.wait([reading])
        assert reading.cancelled()


@pytest.mark.parametrize("is_direct", [True, False])
async def test_a_denied_token_is_renewed(
    *, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a 401 the account signs in again and repeats the call once; then it is denied."""
    if not is_direct:
        monkeypatch.setattr(CallSender, "start", lambda *_: None)
    token = [ok(b'{"access_token": "a", "expires_in": 3600}')]
    denied = [ok(b"no", "401 Unauthorized")]
    async with serving(token, [ok()], denied, token, [ok()], denied, token, denied) as server:
        transport = Http1Transport(TRUST)
        upstream = signing_account(transport, base_url=server.url)
        results = [await outcome(upstream, path, scope()) for path in ("/warm", "/one", "/two")]
        assert results[:2] == ["well", "well"]
        assert results[2][:3] == ("Denied", 401, True)
        paths = [each.target for each in server.requests]
        sign_in = "/oauth/token"
        assert paths == [sign_in, "/warm", "/one", sign_in, "/one", "/two"]
        await upstream.close()


async def test_a_retried_call_keeps_its_token() -> None:
    """Only a denied token is renewed."""
    token = [ok(b'{"access_token": "a", "expires_in": 3600}')]
    failed = [ok(b"no", "503 Service Unavailable")]
    async with serving(token, [ok()], failed, failed) as server:
        upstream = signing_account(Http1Transport(TRUST), base_url=server.url, retries=2)
        assert [await outcome(upstream, path, scope()) for path in ("/warm", "/one")] == [
            "well",
            "well",
        ]
        paths = [each.target for each in server.requests]
        assert paths == ["/oauth/token", "/warm", "/one", "/one", "/one"]
        await upstream.close()


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize("warm", [True, False])
async def test_a_call_that_cannot_be_written(
    *, is_direct: bool, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error reaches the reader, nothing is sent, and the limits are free again."""
    if not is_direct:
        monkeypatch.setattr(CallSender, "start", lambda *_: None)
    async with serving() as server:
        upstream, within = account(server), scope()
        if warm:
            await upstream.read(things("/warm"), scope())
        for _ in range(2):
            with pytest.raises(UnicodeEncodeError):
                await upstream.read(things("/one", query=(("email", "\ud800"),)), within)
        assert (upstream.guard.bulkhead.in_use, len(upstream._in_flight)) == (0, 0)  # noqa: SLF001  # as above
        assert [(each.status, each.error) for each in within.calls] == [(None, None)] * 2
        assert [each.target for each in server.requests] == ["/warm"] * warm
        await upstream.close()


async def test_a_bug_in_what_observes_calls_reaches_the_reader() -> None:
    """It is raised there, and the limits are free again."""

    class BugError(Exception):
        pass

    def observe(_: object) -> None:
        raise BugError

    async with serving() as server:
        upstream = account(server)
        await upstream.read(things("/warm"), scope())
        upstream._sender.observe = observe  # noqa: SLF001  # nothing else fails there
        with pytest.raises(BugError):
            await upstream.read(things("/one"), scope())
        assert (upstream.guard.bulkhead.in_use, len(upstream._in_flight)) == (0, 0)  # noqa: SLF001  # as above
        await upstream.close()
