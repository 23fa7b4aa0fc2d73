"""`Segment.sizeHistory`: the totals that pass by, as they were read."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.sizes import SizeInterval
from gateway.settings.tables import StoreSettings
from gateway.store.store import Store
from tests.e2e.failures import FAILURES
from tests.e2e.known import DACH_STRATEGIC, SILVER_MEMBERS
from tests.e2e.serving import Front, segment_id, serving, settings_with

SILVER = segment_id("voucherify", SILVER_MEMBERS)
HISTORY = """
query History($id: ID!, $from: DateTime, $to: DateTime, $interval: SizeInterval) {
  segment(id: $id) {
    sizeHistory(from: $from, to: $to, interval: $interval) { at count precision entered left }
  }
}
"""
COUNT = "query($id: ID!) { segment(id: $id) { customersCount { count } } }"
TOTAL = "query($id: ID!) { segment(id: $id) { customers(first: 1) { totalCount } } }"
SET = "query($id: ID!) { customers(first: 1, filter: {inAll: [$id]}) { totalCount } }"


@pytest.fixture
async def own_front(tmp_path: Path) -> AsyncIterator[Front]:
    """Serve the gateway with a store of its own."""
    store = StoreSettings(url=f"sqlite:///{tmp_path}/gateway.db")
    settings = settings_with().model_copy(update={"store": store})
    async with serving(settings=settings) as front:
        yield front


async def history(front: Front, **variables: Any) -> Any:
    """Return the history of a segment."""
    return (await front.data(HISTORY, variables))["segment"]["sizeHistory"]


@pytest.mark.parametrize("query", [COUNT, TOTAL, SET], ids=["count", "total", "set"])
async def test_totals_are_recorded(own_front: Front, query: str) -> None:
    """Every total that a read shows is in the history, without a call of its own."""
    assert await history(own_front, id=SILVER) == []
    shown = await own_front.data(query, {"id": SILVER})
    segment = shown.get("segment") or shown["customers"]
    count = segment.get("totalCount") or (
        segment["customersCount"]["count"]
        if "customersCount" in segment
        else segment["customers"]["totalCount"]
    )
    calls = own_front.counts["voucherify"]

    for interval in ("HOUR", "DAY"):
        (point,) = await history(own_front, id=SILVER, interval=interval)
        start = SizeInterval(interval).start(datetime.now(UTC))
        assert point == {
            "at": start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "count": count,
            "precision": "EXACT",
            "entered": None,
            "left": None,
        }
    assert own_front.counts["voucherify"] == calls + 2  # the segment itself


@pytest.mark.parametrize("fails", [False, True], ids=["cached", "stale"])
@pytest.mark.parametrize("query", [COUNT, TOTAL, SET], ids=["count", "total", "set"])
async def test_old_totals_are_not_recorded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    fails: bool,  # noqa: FBT001  # a case
) -> None:
    """A total from the response cache is no total of the hour in which it is shown again."""
    passed, opened = timedelta(), Store.open
    clocked = partial(opened, clock=lambda: datetime.now(UTC) + passed)
    monkeypatch.setattr(Store, "open", clocked)
    settings = settings_with(cache_ttl_s=1e-9 if fails else 3600.0, stale_if_error_s=3600)
    store = StoreSettings(url=f"sqlite:///{tmp_path}/gateway.db")
    to = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    async with serving(settings=settings.model_copy(update={"store": store})) as front:
        shown = await front.data(query, {"id": SILVER})
        points = await history(front, id=SILVER, to=to)
        assert len(points) == 1
        passed = timedelta(hours=1)
        if fails:
            front.providers.instead["voucherify"] = FAILURES["500"].server
        assert await front.data(query, {"id": SILVER}) == shown
        assert await history(front, id=SILVER, to=to) == points


async def test_bounds(own_front: Front) -> None:
    """The range is inclusive of the hour of `from`; a wrong one is an error of the field."""
    await own_front.data(COUNT, {"id": SILVER})
    assert await history(own_front, id=SILVER, to="2020-01-01T00:00:00Z") == []
    for bounds, message in (
        (
            {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
            "from is later than to.",
        ),
        (
            {"from": "2000-01-01T00:00:00Z"},
            "There are more than 2000 points between from and to.",
        ),
        ({"to": "0001-01-02T00:00:00Z"}, "to is too early."),
    ):
        answer = await own_front.ask(HISTORY, {"id": SILVER, **bounds})
        assert answer["data"] == {"segment": {"sizeHistory": None}}
        assert [e["message"] for e in answer["errors"]] == [message]


async def test_provider_that_cannot_count(own_front: Front) -> None:
    """Null without an error."""
    assert await history(own_front, id=segment_id("stuut", DACH_STRATEGIC)) is None
