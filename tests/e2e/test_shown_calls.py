"""`extensions.upstreamCalls`: the calls of a response, and the reads that needed none."""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tests.e2e.serving import Front, Providers, segment_id, serving, settings_with

QUERY = "query($id: ID!) { segment(id: $id) { name items { totalCount } } }"
GOLDEN = {"id": segment_id("emporix", "golden")}


def call(operation: str, **differs: Any) -> dict[str, Any]:
    """Return an entry without its times: a successful first call, except for what differs."""
    return {
        "provider": "emporix",
        "operation": operation,
        "status": 200,
        "source": "NETWORK",
        "attempt": 1,
        "keys": None,
        "error": None,
        **differs,
    }


async def shown(front: Front, query: str = QUERY, variables: Any = None) -> Sequence[Any]:
    """Return the calls of a query without their times, which must be plausible."""
    answer = await front.ask(query, variables or GOLDEN, x_show_calls="1")
    calls: list[dict[str, Any]] = answer["extensions"]["upstreamCalls"]
    starts = [each.pop("startMs") for each in calls]
    assert starts == sorted(starts)
    for each in calls:
        took, waited = each.pop("durationMs"), each.pop("waitedMs")
        assert (took > 0) is (each["source"] in {"NETWORK", "SHARED"}), each
        assert waited >= 0
    assert all(start > 0 for start in starts)
    return calls


class Failing:
    """Responds with 503 for a number of times, then as the sandbox does."""

    def __init__(self, providers: Providers, times: int) -> None:
        """Stand before the sandbox of Emporix."""
        self._real = providers.real("emporix")
        self._left = times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        self._left -= 1
        app = self._real if self._left < 0 else JSONResponse({}, 503)
        await app(scope, receive, send)


async def test_calls_are_shown_where_they_are_requested(front: Front) -> None:
    """Each call has its operation, status, source, attempt and number of keys."""
    silent = await front.ask(QUERY, GOLDEN)

    assert "extensions" not in silent
    assert await shown(front) == [call("segments.get", keys=1), call("items.list")]


async def test_attempts_are_listed_each(front: Front) -> None:
    """A call that failed and was repeated is listed twice, with the code of its error."""
    settings = settings_with(retries=1)
    async with serving(settings=settings) as retrying:
        await retrying.ask(QUERY, GOLDEN)  # signs in
        retrying.providers.instead["emporix"] = Failing(front.providers, 1)

        calls = await shown(retrying)

    assert calls == [
        call("segments.get", keys=1, status=503, error="PROVIDER_BROKEN"),
        call("segments.get", keys=1, attempt=2),
        call("items.list"),
    ]


async def test_a_batch_has_its_number_of_keys(front: Front) -> None:
    """`keys` is the number of objects that one call reads."""
    two = "query($a: ID!, $b: ID!) { nodes(ids: [$a, $b]) { id } }"
    given = {"a": GOLDEN["id"], "b": segment_id("emporix", "wholesale-partners")}

    assert await shown(front, two, given) == [call("segments.of_ids", keys=2)]


async def test_reads_from_the_cache_are_listed_with_their_source() -> None:
    """What is in the response cache needs no call."""
    settings = settings_with(cache_ttl_s=3600.0)
    async with serving(settings=settings) as front:
        await front.ask(QUERY, GOLDEN)
        front.forget()

        assert await shown(front) == [
            call("segments.get", source="CACHED", keys=1),
            call("items.list", source="CACHED"),
        ]
        assert front.calls == []


async def test_a_stale_reply_is_listed_beside_the_call_that_failed() -> None:
    """The provider fails, so that a reply that is no longer fresh is used."""
    settings = settings_with(cache_ttl_s=1e-9)
    one = "query($id: ID!) { segment(id: $id) { name } }"
    async with serving(settings=settings) as front:
        await front.ask(one, GOLDEN)
        front.providers.instead["emporix"] = Failing(front.providers, 1)

        assert await shown(front, one) == [
            call("segments.get", keys=1, status=503, error="PROVIDER_BROKEN"),
            call("segments.get", keys=1, source="STALE"),
        ]


async def test_a_read_that_joins_another_request_s_call_is_shared() -> None:
    """The second request waits for the call of the first, and lists it as shared."""
    entered, released = asyncio.Event(), asyncio.Event()
    async with serving(settings=settings_with()) as front:
        await front.ask(QUERY, GOLDEN)
        front.forget()
        real = front.providers.real("emporix")

        async def held(scope: Scope, receive: Receive, send: Send) -> None:
            entered.set()
            await released.wait()
            await real(scope, receive, send)

        front.providers.instead["emporix"] = held
        one = "query($id: ID!) { segment(id: $id) { name } }"
        first = asyncio.create_task(shown(front, one))
        await entered.wait()
        second = asyncio.create_task(shown(front, one))
        for _ in range(100):  # all of it runs in this loop, so some turns are enough
            await asyncio.sleep(0)
        released.set()

        assert await first == [call("segments.get", keys=1)]
        assert await second == [call("segments.get", source="SHARED", keys=1)]
        assert front.counts == {"emporix": 1}
