"""Calling a provider: what is sent, within which time and number, and what failures become."""

import asyncio
import gzip

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.errors import (
    Broken,
    Denied,
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
    TimedOut,
    Unreachable,
)
from gateway.observability.confidential import Foreign
from gateway.providers.base.exchange import Exchange
from gateway.request_scope import Scope
from gateway.upstream.client import UpstreamClient
from tests.unit.upstream.upstreams import TOKEN, open_account, things


def scope(seconds: float = 60) -> Scope:
    """Return the scope of a request with this time to live."""
    return Scope("request-1", asyncio.get_running_loop().time() + seconds)


async def well(_: httpx.Request) -> httpx.Response:
    """Respond with success."""
    return httpx.Response(200, text="well")


async def hang(_: httpx.Request) -> httpx.Response:
    """Never respond."""
    await asyncio.Event().wait()
    raise AssertionError


async def failure(
    upstream: UpstreamClient, exchange: Exchange[str], within: Scope
) -> ProviderError:
    """Return the error that sending raises."""
    with pytest.raises(ProviderError) as failed:
        await upstream.send(exchange, within)
    return failed.value


async def test_a_call_is_sent_as_it_is() -> None:
    """Below the base URL, byte for byte, with the account's credentials and no other headers."""
    seen: list[httpx.Request] = []

    async def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, text="well")

    exchange = things(
        "/things/a%2Fb%C3%A9",
        method="DELETE",
        query=(("id", "a b"), ("id", "c&d"), ("empty", "")),
        headers={"x-tenant": "acme"},
        body=b"[1]",
    )
    within = scope()
    assert await open_account(answers, base_url="https://upstream.test/base/").send(
        exchange, within
    ) == ("well")
    (request,) = seen
    assert (request.method, str(request.url), request.content) == (
        "DELETE",
        "https://upstream.test/base/things/a%2Fb%C3%A9?id=a%20b&id=c%26d&empty=",
        b"[1]",
    )
    assert dict(request.headers) == {
        "host": "upstream.test",
        "x-tenant": "acme",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "segment-gateway",
        "authorization": f"Bearer {TOKEN}",
        "content-length": "3",
    }
    assert [(call.provider, call.operation, call.status) for call in within.calls] == [
        ("acme", "things.list", 200)
    ]


@pytest.mark.parametrize("path", ["/things/..", "/things/../x", "/things/./x"])
async def test_a_path_that_would_become_another_is_not_sent(path: str) -> None:
    """An id that is dots would name another thing: refused before anything is sent."""

    async def answers(_: httpx.Request) -> httpx.Response:
        raise AssertionError

    error = await failure(open_account(answers), things(path), scope())
    assert (type(error), error.was_sent, error.status) == (Refused, False, None)


@pytest.mark.parametrize(
    ("of_provider", "of_request"),
    [(0.02, 60), (60, 0.02)],
    ids=["the provider's", "the request's"],
)
async def test_the_shorter_time_ends_a_call(of_provider: float, of_request: float) -> None:
    """Whichever is shorter, the provider's time or what the request has left."""
    upstream, within = open_account(hang, timeout_s=of_provider), scope(of_request)
    async with asyncio.timeout(5):
        error = await failure(upstream, things(), within)
    assert type(error) is TimedOut
    assert str(error) == "Provider 'acme' did not reply in time."
    assert [(call.provider, call.operation, call.status) for call in within.calls] == [
        ("acme", "things.list", None)
    ]


async def test_a_slow_body_is_ended_like_a_slow_head() -> None:
    """The timeout covers the whole reply."""

    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204  # httpx names no type
            while True:
                yield b"x"
                await asyncio.sleep(0)

    async def answers(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Drip())

    async with asyncio.timeout(5):
        error = await failure(open_account(answers, timeout_s=0.02), things(), scope())
    assert type(error) is TimedOut


async def test_no_more_calls_are_under_way_than_allowed_and_no_fewer() -> None:
    """Of 40 sends 7 run at a time; all get through."""
    under_way = most = 0
    full = asyncio.Event()

    async def answers(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 7:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, text="well")

    upstream, within = open_account(answers, max_concurrency=7), scope()
    async with asyncio.timeout(5):
        got = await asyncio.gather(*(upstream.send(things(), within) for _ in range(40)))
    assert (most, got, len(within.calls)) == (7, ["well"] * 40, 40)


async def test_waiting_for_a_place_counts_against_the_time() -> None:
    """A call that gets no slot in time fails like one without a reply, and is not sent."""
    upstream, within = open_account(hang, max_concurrency=1, timeout_s=60), scope(0.05)
    async with asyncio.timeout(5):
        both = await asyncio.gather(
            *(upstream.send(things(), within) for _ in range(2)), return_exceptions=True
        )
    assert [type(each) for each in both] == [TimedOut, TimedOut]
    assert len(within.calls) == 1


async def test_who_hangs_up_frees_the_place() -> None:
    """A cancelled call is no timeout, is not swallowed, and lets the next one through."""
    arrived = asyncio.Event()

    async def answers(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/first"):
            arrived.set()
            await asyncio.Event().wait()
        return httpx.Response(200, text="well")

    upstream, within = open_account(answers, max_concurrency=1), scope()
    first = asyncio.create_task(upstream.send(things("/first"), within))
    await arrived.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await upstream.send(things(), within) == "well"


@pytest.mark.parametrize(
    ("raised", "meant", "was_sent"),
    [
        (httpx.ConnectError("x"), Unreachable, False),
        (httpx.ConnectTimeout("x"), Unreachable, False),
        (httpx.ProxyError("x"), Unreachable, False),
        (httpx.ReadTimeout("x"), TimedOut, True),
        (httpx.WriteTimeout("x"), TimedOut, True),
        (httpx.ReadError("x"), Unreachable, True),
        (httpx.WriteError("x"), Unreachable, True),
        (httpx.RemoteProtocolError("x"), Unreachable, True),
        (httpx.DecodingError("x"), Malformed, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_a_lost_call_says_whether_it_was_sent(
    raised: httpx.RequestError, meant: type[ProviderError], *, was_sent: bool
) -> None:
    """Only a connection that never came about is sure not to have carried the call."""

    async def answers(_: httpx.Request) -> httpx.Response:
        raise raised

    error = await failure(open_account(answers), things(), scope())
    assert (type(error), error.was_sent, error.__cause__) == (meant, was_sent, raised)


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (301, Malformed),
        (400, Refused),
        (401, Denied),
        (402, Denied),
        (403, Denied),
        (404, Refused),
        (407, Denied),
        (429, RateLimited),
        (500, Broken),
        (503, Broken),
    ],
)
async def test_a_bad_status_is_the_error_it_stands_for(
    status: int, meant: type[ProviderError]
) -> None:
    """Made once, with its status, and noted for the request."""
    calls = 0

    async def answers(_: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return httpx.Response(status, headers={"location": "/elsewhere"}, text="no")

    within = scope()
    error = await failure(open_account(answers), things(), within)
    assert (type(error), error.status, calls) == (meant, status, 1)
    assert [(call.provider, call.operation, call.status) for call in within.calls] == [
        ("acme", "things.list", status)
    ]


async def test_an_answer_may_be_large_but_not_larger() -> None:
    """The bound is on the decompressed body; one byte more is refused while it is read."""

    async def answers(request: httpx.Request) -> httpx.Response:
        size = int(request.url.params["size"])
        body = gzip.compress(b"x" * size)
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=body)

    upstream = open_account(answers, max_answer_bytes=1000)
    assert await upstream.send(things(query=(("size", "1000"),)), scope()) == "x" * 1000
    error = await failure(upstream, things(query=(("size", "1001"),)), scope())
    assert (type(error), error.detail) == (Malformed, "the reply is larger than 1000 bytes")


async def test_a_failure_is_logged_once_under_the_requests_id() -> None:
    """One line with all that finds the cause; a success leaves none."""

    async def answers(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, text="upstream words")

    with capture_logs() as lines:
        await failure(open_account(answers), things(query=(("email", "ann@x.test"),)), scope())
    assert [{k: v for k, v in line.items() if k != "log_level"} for line in lines] == [
        {
            "event": "provider call failed",
            "request_id": "request-1",
            "provider": "acme",
            "operation": "things.list",
            "method": "GET",
            "error": "Broken",
            "reason": None,
            "status": 503,
            "key": None,
            "at": None,
            "detail": Foreign("upstream words"),
        }
    ]
    with capture_logs() as lines:
        assert await open_account(well).send(things(), scope()) == "well"
    assert lines == []


async def test_a_bug_in_reading_costs_this_providers_part_alone() -> None:
    """What an adapter raises beside the foreseen errors is logged whole, and is unreadable."""
    exchange = things()

    def read(_: object) -> str:
        raise ZeroDivisionError

    with capture_logs() as lines, pytest.raises(Malformed) as failed:
        await open_account(well).send(Exchange(exchange.operation, exchange.call, read), scope())
    assert type(failed.value.__cause__) is ZeroDivisionError
    assert [line["event"] for line in lines] == ["adapter failed", "provider call failed"]
