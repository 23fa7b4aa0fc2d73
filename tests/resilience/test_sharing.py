"""Equal reads are one call, are remembered shortly, and help when the provider fails."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.domain.entities import Customer, Origin, Ref
from gateway.domain.pages import Page, complete_page
from gateway.errors import (
    Broken,
    Denied,
    Malformed,
    ProviderError,
    Refused,
    TimedOut,
    TooManyCalls,
)
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.upstream.response_cache import MAX_REPLIES, CachedReply, ResponseCache
from tests.resilience.accounts import Script, account, response, scope, things
from tests.resilience.clockwork import now, run


def people() -> Exchange[Page[Customer]]:
    """Return an exchange that reads one customer from any reply of status 200."""

    def read(reply: Reply) -> Page[Customer]:
        if reply.status != 200:
            raise Broken("acme", "people", status=reply.status)
        return complete_page([Customer(ref=Ref("acme", reply.body.decode()), keys=())])

    return Exchange("people", Call("GET", "/people"), read)


def test_equal_reads_under_way_are_one_call() -> None:
    """A hundred equal concurrent reads cost one call, and all are LIVE."""

    async def main() -> None:
        script = Script([response(200, "ann")], takes_s=1)
        upstream = account(script)
        pages = await asyncio.gather(*(upstream.read(people(), scope()) for _ in range(100)))
        assert {page.origin for page in pages} == {Origin.LIVE}
        assert {page.rows[0].ref.key for page in pages} == {"ann"}
        assert len(script.at) == 1

    run(main())


def test_a_failure_is_shared_but_not_kept() -> None:
    """All waiting readers get their own copy of the error; the next read makes a call."""

    async def main() -> None:
        script = Script([response(500), response()], takes_s=1)
        upstream = account(script, cache_ttl_s=5)
        results = await asyncio.gather(
            *(upstream.read(things(), scope()) for _ in range(10)), return_exceptions=True
        )
        assert {type(each) for each in results} == {Broken}
        assert len({id(each) for each in results}) == 10
        assert await upstream.read(things(), scope()) == "well"
        assert len(script.at) == 2

    run(main())


def test_who_hangs_up_leaves_the_others_waiting_and_the_last_one_ends_the_call() -> None:
    """The call continues while one reader waits; it is cancelled with the last one."""

    async def main() -> None:
        script = Script([response()], takes_s=2)
        upstream = account(script)
        first, second = (asyncio.create_task(upstream.read(things(), scope())) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        assert await second == "well"
        third, fourth = (asyncio.create_task(upstream.read(things(), scope())) for _ in range(2))
        await asyncio.sleep(1)
        third.cancel()
        fourth.cancel()
        await asyncio.wait([third, fourth])
        await asyncio.sleep(0)
        assert (script.under_way, upstream.guard.bulkhead.in_use) == (0, 0)
        assert len(script.at) == 2

    run(main())


def test_who_joins_keeps_his_own_deadline() -> None:
    """A reader with little time times out; one with more gets the value."""

    async def main() -> None:
        upstream = account(Script([response()], takes_s=2))
        results = await asyncio.gather(
            upstream.read(things(), scope(1)),
            upstream.read(things(), scope(9)),
            return_exceptions=True,
        )
        assert [type(results[0]), results[1]] == [TimedOut, "well"]

    run(main())


def test_an_answer_is_remembered_for_its_time() -> None:
    """For five seconds it is CACHED with its time; then a new call is made."""

    async def main() -> None:
        script = Script([response(200, "ann"), response(200, "bob")])
        upstream = account(script, cache_ttl_s=5)
        seen = []
        for _ in range(4):
            page = await upstream.read(people(), scope())
            seen.append((page.rows[0].ref.key, page.rows[0].origin, page.origin))
            await asyncio.sleep(2)
        assert seen == [
            ("ann", Origin.LIVE, Origin.LIVE),
            ("ann", Origin.CACHED, Origin.CACHED),
            ("ann", Origin.CACHED, Origin.CACHED),
            ("bob", Origin.LIVE, Origin.LIVE),
        ]
        assert len(script.at) == 2
        assert (await upstream.read(people(), scope())).fetched_at is not None

    run(main())


def test_without_a_ttl_nothing_is_remembered() -> None:
    """`cache_ttl_s = 0` is off, also against failures."""

    async def main() -> None:
        script = Script([response(), response(500)])
        upstream = account(script, cache_ttl_s=0)
        assert await upstream.read(things(), scope()) == "well"
        with pytest.raises(Broken):
            await upstream.read(things(), scope())

    run(main())


@pytest.mark.parametrize(
    "step",
    [response(500), response(429), httpx.ReadError("x"), 60.0, response(301)],
    ids=["broken", "limited", "torn", "silent", "unreadable"],
)
def test_an_older_answer_stands_in_for_a_failure(step: Any) -> None:
    """Up to a minute beyond its time, and it says STALE; then the failure is shown."""

    async def main() -> None:
        script = Script([response(200, "ann"), step])
        upstream = account(
            script, cache_ttl_s=5, stale_if_error_s=60, retries=0, probe_interval_s=600
        )
        await upstream.read(people(), scope())
        await asyncio.sleep(50)
        page = await upstream.read(people(), within := scope())
        assert (page.rows[0].ref.key, page.rows[0].origin, page.origin) == (
            "ann",
            Origin.STALE,
            Origin.STALE,
        )
        assert page.fetched_at is not None
        assert within.fresh_for_s == 0
        await asyncio.sleep(20)
        with pytest.raises(ProviderError):
            await upstream.read(people(), scope())

    run(main())


def test_no_older_answer_stands_in_for_a_lost_right() -> None:
    """A denied reader is not served a stale value."""

    async def main() -> None:
        upstream = account(Script([response(), response(403)]), cache_ttl_s=5)
        await upstream.read(things(), scope())
        await asyncio.sleep(6)
        with pytest.raises(Denied):
            await upstream.read(things(), scope())

    run(main())


@pytest.mark.parametrize("status", [200, 500], ids=["done", "maybe done"])
def test_a_write_drops_what_is_remembered(status: int) -> None:
    """Also when it failed: it may have been done. And also against failures."""

    async def main() -> None:
        script = Script(
            [response(200, "old"), response(status), response(200, "new"), response(500)]
        )
        upstream = account(script, cache_ttl_s=5, retries=0)
        assert await upstream.read(things(), scope()) == "old"
        await asyncio.gather(upstream.send(things(method="PUT"), scope()), return_exceptions=True)
        assert await upstream.read(things(), scope()) == "new"
        upstream.invalidate()
        with pytest.raises(Broken):
            await upstream.read(things(), scope())

    run(main())


def test_what_was_read_before_a_write_is_not_kept_after_it() -> None:
    """A slow read that began before the write is neither joined nor remembered."""

    async def main() -> None:
        script = Script(
            [response(200, "old"), response(200, "done"), response(200, "new")], takes_s=1
        )
        upstream = account(script, cache_ttl_s=5)
        slow = asyncio.create_task(upstream.read(things(), scope()))
        await asyncio.sleep(0.1)
        script.takes_s = 0.1
        await upstream.send(things(method="DELETE"), scope())
        assert await upstream.read(things(), scope()) == "new"
        assert await slow == "old"
        assert await upstream.read(things(), scope()) == "new"
        assert len(script.at) == 3

    run(main())


def test_send_is_for_one_alone() -> None:
    """What must be true now is neither shared nor remembered."""

    async def main() -> None:
        script = Script([response()], takes_s=1)
        upstream = account(script, cache_ttl_s=5)
        await upstream.read(things(), scope())
        await asyncio.gather(*(upstream.send(things(), scope()) for _ in range(3)))
        assert len(script.at) == 4

    run(main())


def test_equal_calls_may_be_read_for_different_parts() -> None:
    """A reader that joins or uses the cache reads with its own function."""

    async def main() -> None:
        script = Script([response(200, "abc")], takes_s=1)
        upstream = account(script, cache_ttl_s=5)

        def part(place: int) -> Exchange[str]:
            return Exchange("part", Call("GET", "/all"), lambda r: r.body.decode()[place])

        at_once = await asyncio.gather(*(upstream.read(part(i), scope()) for i in range(3)))
        later = [await upstream.read(part(i), scope()) for i in range(3)]
        assert (at_once, later, len(script.at)) == (["a", "b", "c"], ["a", "b", "c"], 1)

    run(main())


def test_two_accounts_share_nothing() -> None:
    """The same call of another account is another call."""

    async def main() -> None:
        script = Script([response()])
        for _ in range(2):
            await account(script, cache_ttl_s=5).read(things(), scope())
        assert len(script.at) == 2

    run(main())


def remembered(body: bytes) -> CachedReply[str]:
    """Return a reply that arrived at time zero."""
    return CachedReply(Reply(200, {}, body), 0, 0, things(), "well")


def test_memory_is_bounded() -> None:
    """By number and by bytes; the oldest go first."""
    memory = ResponseCache(5, 60)
    kept = remembered(b"x")
    for number in range(MAX_REPLIES + 10):
        memory.store(number, kept)
    assert [memory.fresh(number, 1) for number in (0, 9)] == [None, None]
    assert memory.fresh(10, 1) is kept
    large = remembered(b"x" * 20 * 1024 * 1024)
    memory.store("a", large)
    memory.store("b", large)
    assert [memory.fresh(key, 1) for key in ("a", "b", 10)] == [None, large, None]


def test_freshness_of_an_answer_is_that_of_its_oldest_part() -> None:
    """How long a response stays fresh is recorded in its scope."""

    async def main() -> None:
        upstream = account(Script([response()]), cache_ttl_s=5)
        await upstream.read(things(), scope())
        await asyncio.sleep(2)
        within = scope()
        await upstream.read(things("/others"), within)
        assert within.fresh_for_s == 5
        await upstream.read(things(), within)
        assert within.fresh_for_s == pytest.approx(3)
        assert now() > 0

    run(main())


class Counted:
    """An exchange that reads customers, and counts its reads of successful replies."""

    def __init__(self) -> None:
        self.reads = 0
        exchange = people()

        def read(reply: Reply) -> Page[Customer]:
            self.reads += reply.status == 200
            return exchange.read(reply)

        self.exchange = Exchange(exchange.operation, exchange.call, read)


def test_what_one_exchange_reads_is_read_once() -> None:
    """All that join get the very same page, and all cached reads share one copy."""

    async def main() -> None:
        upstream = account(Script([response(200, "ann")], takes_s=1), cache_ttl_s=5)
        counted = Counted()

        async def read() -> Page[Customer]:
            return await upstream.read(counted.exchange, scope())

        live = await asyncio.gather(*(read() for _ in range(10)))
        cached = [await read() for _ in range(10)]
        assert (len({id(page) for page in live}), len({id(page) for page in cached})) == (1, 1)
        assert (live[0].origin, live[0].rows[0].origin) == (Origin.LIVE, Origin.LIVE)
        assert (cached[0].origin, cached[0].rows[0].origin) == (Origin.CACHED, Origin.CACHED)
        assert counted.reads == 1

    run(main())


def test_what_is_remembered_grows_old_though_it_was_shown_young() -> None:
    """The copy marked CACHED is not used for a STALE value, nor the other way round."""

    async def main() -> None:
        upstream = account(Script([response(200, "ann"), response(500)]), cache_ttl_s=5, retries=0)
        counted = Counted()
        seen = []
        for _ in range(4):
            page = await upstream.read(counted.exchange, scope())
            seen.append((page.origin, page.rows[0].origin))
            await asyncio.sleep(3)
        assert seen == [
            (Origin.LIVE, Origin.LIVE),
            (Origin.CACHED, Origin.CACHED),
            (Origin.STALE, Origin.STALE),
            (Origin.STALE, Origin.STALE),
        ]
        assert counted.reads == 1

    run(main())


def test_what_cannot_be_read_fails_for_all_who_join() -> None:
    """Each gets an error of their own, though it was read once."""

    async def main() -> None:
        upstream = account(Script([response(200, "ann")], takes_s=1), retries=0)
        reads = []

        def read(reply: Reply) -> str:
            reads.append(reply)
            raise ValueError

        exchange = Exchange("part", Call("GET", "/all"), read)
        results = await asyncio.gather(
            *(upstream.read(exchange, scope()) for _ in range(5)), return_exceptions=True
        )
        assert {type(each) for each in results} == {Malformed}
        assert (len({id(each) for each in results}), len(reads)) == (5, 1)

    run(main())


def test_many_are_read_at_once_and_fail_one_by_one() -> None:
    """Values and errors are in the order of the calls, and all calls run concurrently."""

    async def main() -> None:
        script = Script([response(200, "a"), response(404), response(200, "c")], takes_s=1)
        upstream = account(script)
        started = now()
        results = await upstream.read_all([things(f"/{n}") for n in "abc"], scope())
        assert (results[0], type(results[1]), results[2]) == ("a", Refused, "c")
        assert now() - started == pytest.approx(1)
        assert script.most == 3
        assert await upstream.read_all([], scope()) == []

    run(main())


def test_the_same_call_may_stand_among_many_twice() -> None:
    """It is made once, and each reads its part of it."""

    async def main() -> None:
        script = Script([response(200, "abc")], takes_s=1)

        def part(place: int) -> Exchange[str]:
            return Exchange("part", Call("GET", "/all"), lambda r: r.body.decode()[place])

        assert await account(script).read_all([part(0), part(2)], scope()) == ["a", "c"]
        assert len(script.at) == 1

    run(main())


def test_who_gives_up_many_leaves_what_others_wait_for() -> None:
    """Of three calls the second is shared with another reader: only that one continues."""

    async def main() -> None:
        script = Script([response()], takes_s=2)
        upstream = account(script)
        many = asyncio.create_task(
            upstream.read_all([things(f"/{number}") for number in range(3)], scope())
        )
        await asyncio.sleep(1)
        one = asyncio.create_task(upstream.read(things("/1"), scope()))
        await asyncio.sleep(0)
        many.cancel()
        await asyncio.wait([many])
        await asyncio.sleep(0)
        assert (many.cancelled(), script.under_way, len(upstream._in_flight)) == (True, 1, 1)  # noqa: SLF001  # what can be joined is nobody else's business
        assert await one == "well"
        assert len(script.at) == 3

    run(main())


def test_many_share_one_deadline() -> None:
    """Calls done by then have values; all others have timed out."""

    async def main() -> None:
        script = Script([response(200, "a"), 9.0], takes_s=0.5)
        results = await account(script, retries=0).read_all([things("/a"), things("/b")], scope(1))
        assert (results[0], type(results[1])) == ("a", TimedOut)
        assert len(script.at) == 2

    run(main())


def test_too_many_calls_fail_alone() -> None:
    """Those that one operation may still make are made."""

    async def main() -> None:
        script = Script([response()])
        upstream = account(script, max_calls_per_operation=2)
        results = await upstream.read_all([things(f"/{number}") for number in range(3)], scope())
        assert (*results[:2], type(results[2])) == ("well", "well", TooManyCalls)
        assert len(script.at) == 2

    run(main())
