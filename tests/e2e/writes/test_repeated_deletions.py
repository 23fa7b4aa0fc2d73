"""Deletions whose first attempt failed, so that they were sent again, and found nothing."""

from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.e2e.known import APP_BETA, SILVER_MEMBERS
from tests.e2e.serving import Providers, segment_id, settings_with
from tests.e2e.writes.asking import do, problem
from tests.e2e.writes.serving import serving

CHANGES = "{ changes { nodes { ... on SegmentChange { kind segmentId } } } }"
FIRST, SECOND = (segment_id("voucherify", key) for key in (APP_BETA, SILVER_MEMBERS))
UNKNOWN = segment_id("voucherify", "seg_unknown")
NOT_FOUND = problem("id", "NOT_FOUND", "voucherify")


def losing(real: ASGIApp, status: int) -> ASGIApp:
    """Return a server that replies with this status to the first deletion of each segment.

    It carries out those that it replies to with 503.
    """
    seen: set[str] = set()

    async def nowhere(_: Message) -> None:
        """Lose the real reply."""

    async def reply(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "DELETE" or scope["path"] in seen:
            await real(scope, receive, send)
            return
        seen.add(scope["path"])
        if status == 503:
            await real(scope, receive, nowhere)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return reply


async def changed(front: Any) -> Any:
    """Return the changes of segments in the log."""
    changes = await front.data(CHANGES)
    return [node for node in changes["changes"]["nodes"] if node]


async def test_a_deletion_whose_reply_was_lost(providers: Providers, url: str) -> None:
    """The segment is deleted, and the change log has that."""
    providers.instead["voucherify"] = losing(providers.real("voucherify"), 503)
    async with serving(providers, url, settings_with(retries=1)) as front:
        assert await do(front, "segmentDelete", {"id": FIRST}) == {
            "deletedSegmentId": FIRST,
            "userErrors": [],
        }
        assert front.counts == {"voucherify": 2}
        assert await changed(front) == [{"kind": "DELETED", "segmentId": FIRST}]


async def test_many_deletions_whose_replies_were_lost(providers: Providers, url: str) -> None:
    """The same holds for each row."""
    providers.instead["voucherify"] = losing(providers.real("voucherify"), 503)
    async with serving(providers, url, settings_with(retries=1)) as front:
        payload = await do(front, "segmentBulkDelete", {"ids": [FIRST, SECOND]})
        assert (payload["succeeded"], payload["failed"]) == (2, 0)
        assert front.counts == {"voucherify": 4}


@pytest.mark.parametrize("status", [429, 204])
async def test_a_segment_that_never_was(providers: Providers, url: str, status: int) -> None:
    """Without an attempt that may have deleted it, there is no such segment."""
    if status == 429:
        providers.instead["voucherify"] = losing(providers.real("voucherify"), status)
    async with serving(providers, url, settings_with(retries=1)) as front:
        assert await do(front, "segmentDelete", {"id": UNKNOWN}) == {
            "deletedSegmentId": None,
            "userErrors": [NOT_FOUND],
        }
        assert await changed(front) == []
