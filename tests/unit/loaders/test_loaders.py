"""What one request reads: equal questions once, others apart, and nothing left over."""

import asyncio
import gc
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.domain.entities import AssignmentRef, AssignmentState, Ref, Segment
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import EVERY_SEGMENT, SegmentFilter
from gateway.errors import Broken, GatewayError
from gateway.limits.settings import LimitSettings
from gateway.loaders.dataloader import DataLoader, LoaderCache
from gateway.loaders.request_fetches import WHOLE_LIST_PAGE_SIZE
from gateway.loaders.request_loaders import RequestLoaders
from gateway.providers.base.store_lookup import Lookup, Rows, TaggingRow
from gateway.providers.registry import ADAPTERS
from gateway.reads.base import Paging
from gateway.reads.service import ReadService
from gateway.request_scope import Scope
from gateway.upstream.client import UpstreamClient
from gateway.upstream.provider import Provider
from tests.resilience.accounts import SECRETS
from tests.unit.upstream.upstreams import Answers

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


async def unasked(request: httpx.Request) -> httpx.Response:
    """Never respond."""
    raise AssertionError(request)


def provider(kind: str, answers: Answers = unasked, record: Any = None) -> Provider:
    """Return a provider over a scripted transport."""
    secrets = SECRETS.get(kind, {"token": "t"})
    given = {"key": kind, "kind": kind, "base_url": "https://upstream.test", **secrets}
    settings = ADAPTERS[kind].Settings.model_validate(given)
    adapter = ADAPTERS[kind](settings)
    return Provider(
        adapter, UpstreamClient(settings, adapter, httpx.MockTransport(answers)), kind, record
    )


def loaders(of: Provider) -> RequestLoaders:
    """Return the loaders of one request."""
    return RequestLoaders({of.key: of}, Scope("request-1", asyncio.get_running_loop().time() + 10))


async def test_a_list_that_one_answer_tells_may_be_longer_than_a_page() -> None:
    """Its pages are cut of equal calls, so each is read for itself."""
    count = WHOLE_LIST_PAGE_SIZE + 1

    async def answers(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/segments"):
            rows = [{"id": f"seg_{number}", "name": "x"} for number in range(count)]
            return httpx.Response(
                200, content=json.dumps({"object": "list", "total": count, "data": rows})
            )
        return httpx.Response(200, content=json.dumps({"id": "ann", "object": "customer"}))

    rows = await loaders(provider("voucherify", answers)).assignments_of.load(
        Ref("voucherify", "ann")
    )
    assert rows is not None
    assert [row.ref.segment for row in rows] == [f"seg_{number}" for number in range(count)]


async def test_equal_lookups_may_be_read_for_different_things() -> None:
    """One lookup reads two assignments of one customer, as separate results."""

    async def record(_: str, lookup: Lookup, __: float) -> Rows[TaggingRow]:
        assert (lookup.what, lookup.keys) == ("assignments", (("ann",),))
        return Rows(
            [
                TaggingRow("ann", "t", value, AssignmentState.CONFIRMED, MOMENT, MOMENT, 0)
                for value in "abc"
            ]
        )

    refs = [AssignmentRef("instaleap", key, "ann") for key in ("t:a", "t:b", "t:d")]
    results = await loaders(provider("instaleap", record=record)).assignment.load_results(refs)
    assert [getattr(each, "ref", None) for each in results] == [*refs[:2], None]


class Segments:
    """Lists of Voucherify's segments, which wait until they are let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.arrived = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Respond to one call."""
        del request
        self.calls += 1
        self.arrived.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        rows = [
            {"id": "seg_1", "name": "x", "type": "static", "created_at": "2026-01-02T00:00:00Z"}
        ]
        return httpx.Response(200, content=json.dumps({"total": 1, "data": rows}))


@pytest.mark.parametrize(
    ("cancelled", "calls"), [(0, 2), (1, 1)], ids=["who asked first", "who joined"]
)
async def test_who_is_cancelled_leaves_the_answer_to_others(cancelled: int, calls: int) -> None:
    """Of two equal reads in one request either may be cancelled without affecting the other."""
    segments = Segments()
    shop = provider("voucherify", segments)
    mine = loaders(shop)

    async def ask() -> Page[Segment]:
        return await mine.fetch(shop, shop.adapter.segments, EVERY_SEGMENT, PageRequest(10))

    both = [asyncio.create_task(ask()) for _ in range(2)]
    await segments.arrived.wait()
    both[cancelled].cancel()
    await asyncio.wait([both[cancelled]])
    segments.let_go.set()
    page = await both[1 - cancelled]
    assert [row.ref.key for row in page.rows] == ["seg_1"]
    assert both[cancelled].cancelled()
    assert await ask() is page
    assert segments.calls == calls


async def test_what_is_read_alone_waits_for_nobody() -> None:
    """It is read in its caller's task, and known from then on."""
    batches: list[tuple[list[str], asyncio.Task[Any] | None]] = []

    async def batch(keys: Sequence[str]) -> list[str | GatewayError]:
        batches.append((list(keys), asyncio.current_task()))
        return [Broken("acme", "get") if key == "bad" else f"the {key}" for key in keys]

    loader: DataLoader[str, str] = DataLoader(batch, LoaderCache())
    assert await loader.load("one", is_alone=True) == "the one"
    assert batches == [(["one"], asyncio.current_task())]
    assert await loader.load("one") == "the one"
    both = asyncio.gather(loader.load("two", is_alone=True), loader.load("three", is_alone=True))
    assert list(await both) == ["the two", "the three"]
    assert [keys for keys, _ in batches] == [["one"], ["two", "three"]]  # known: not alone
    broken: DataLoader[str, str] = DataLoader(batch, LoaderCache())
    with pytest.raises(Broken):
        await broken.load("bad", is_alone=True)
    with pytest.raises(Broken):
        await broken.load("bad")
    assert len(batches) == 3


async def test_what_is_read_alone_is_shared_between_requests_and_ends_with_them() -> None:
    """Two requests take one call; it goes on until both have given up."""
    segments = Segments()
    shop = provider("voucherify", segments)
    one, other = (
        asyncio.create_task(loaders(shop).segment.load(Ref("voucherify", "seg_1"), is_alone=True))
        for _ in range(2)
    )
    await segments.arrived.wait()
    cancelled = []
    for each in (one, other):
        each.cancel()
        await asyncio.wait([each])
        await asyncio.sleep(0)
        cancelled.append((each.cancelled(), segments.cancelled))
    assert (cancelled, segments.calls) == ([(True, 0), (True, 1)], 1)


async def test_equal_questions_share_their_exchange_and_others_do_not() -> None:
    """So what is read can be shared between requests by the exchange alone."""
    adapter = (shop := provider("voucherify")).adapter
    one, two = PageRequest(10), PageRequest(10, with_total=True)
    plans = [shop.plan(adapter.segments, EVERY_SEGMENT, page) for page in (one, one, two)]
    assert plans[0] is plans[1]
    assert plans[0] is not plans[2]
    assert plans[0].call == plans[2].call


async def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    """Rows are freed when it ends: nothing that it made leads back to itself."""
    segments = Segments()
    segments.let_go.set()
    shop = provider("voucherify", segments)

    async def request() -> None:
        mine = loaders(shop)
        reads = ReadService(mine._providers, mine, (), LimitSettings())  # noqa: SLF001  # the same as the loaders'
        page = await reads.segments(SegmentFilter(), Paging(10))
        assert await mine.segment.load(page.rows[0].ref) is page.rows[0]
        assert page.end_cursor is not None
        assert len(page.sources) == 1

    await request()
    gc.collect()
    gc.disable()
    try:
        await request()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert segments.calls == 2
        left = {type(each) for each in gc.garbage if type(each).__module__.startswith("gateway.")}
        assert left == set()
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
