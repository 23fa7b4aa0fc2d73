"""Subscriptions over server-sent events, through a real socket: to the byte."""

import asyncio
from pathlib import Path

import pytest

from gateway.http import sse_subscription
from tests.e2e.subscribing import CHANGED, EVENTS, shop


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send comments often."""
    monkeypatch.setattr(sse_subscription, "COMMENT_S", 0.05)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_stream(method: str, tmp_path: Path) -> None:
    """A comment with the position, then an event for each change, whose id is its cursor."""
    async with shop(tmp_path) as gateway:
        start = await gateway.cursor()
        (first,) = await gateway.create()
        query = "subscription($after: String) { changed(after: $after) { kind cursor } }"
        async with gateway.stream(query, {"after": start}, method) as stream:
            response = stream.response
            assert (response.status_code, response.headers["content-type"]) == (200, EVENTS)
            assert response.headers["cache-control"] == "no-store"
            assert await stream.block() == f":\nid: {start}"
            for _ in range(2):
                block = await stream.block()
                cursor = await gateway.cursor()
                event, place, data = block.split("\n")
                assert (event, place) == ("event: next", f"id: {cursor}")
                change = f'{{"data":{{"changed":{{"kind":"CREATED","cursor":"{cursor}"}}}}'
                assert data.startswith(f"data: {change}")
                await gateway.create()
                # The last one is not read: the client leaves.
        assert first


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_resuming(method: str, tmp_path: Path) -> None:
    """`Last-Event-ID` wins over `after`; an empty one counts as none."""
    async with shop(tmp_path) as gateway:
        start = await gateway.cursor()
        created = await gateway.create(3)
        async with gateway.stream(CHANGED, {"after": start}, method, last_event_id="") as stream:
            seen = [await stream.event() for _ in range(2)]
        async with gateway.stream(
            CHANGED, {"after": start}, method, last_event_id=seen[0].id or ""
        ) as stream:
            seen[1:] = [await stream.event() for _ in range(2)]
        assert [each.data["data"]["changed"]["segmentId"] for each in seen] == created
        assert [each.id for each in seen] == [
            each.data["data"]["changed"]["cursor"] for each in seen
        ]


@pytest.mark.usefixtures("often")
async def test_comments(tmp_path: Path) -> None:
    """They have the position of the scan, also behind changes that are not wanted."""
    async with shop(tmp_path) as gateway:
        query = "subscription { changed(filter: {kinds: [DELETED]}) { kind } }"
        start = await gateway.cursor()
        async with gateway.stream(query) as stream:
            assert [await stream.comment() for _ in range(3)] == [start] * 3
            await gateway.create(2)
            end = await gateway.cursor()
            while (place := await stream.comment()) != end:
                assert place is not None
        async with gateway.stream("subscription { providerHealthChanged { key } }") as stream:
            assert await stream.comment() is None


@pytest.mark.parametrize(
    ("query", "last_event_id", "code"),
    [
        ("subscription { nothing }", "", "BAD_USER_INPUT"),
        ("subscription { changed { kind } }", "x", "BAD_USER_INPUT"),
        ('subscription { segmentChanged(segmentIds: ["x"]) { kind } }', "", "BAD_USER_INPUT"),
        ("subscription { changed { kind } }", "another database's", "CURSOR_EXPIRED"),
    ],
)
async def test_refusals(query: str, last_event_id: str, code: str, tmp_path: Path) -> None:
    """They are an event, then the stream is complete: a browser sees no other status."""
    (tmp_path / "other").mkdir()
    async with shop(tmp_path / "other") as other:
        foreign = await other.cursor()
    given = foreign if " " in last_event_id else last_event_id
    async with shop(tmp_path) as gateway, gateway.stream(query, last_event_id=given) as stream:
        assert stream.response.status_code == 200
        event = await stream.event()
        assert (event.event, event.id, event.code) == ("next", None, code)
        assert await stream.event() == ("complete", None, None)
        assert await stream.block() == ""


async def test_limits(tmp_path: Path) -> None:
    """One beyond the limit is refused by an event; an open one is no request in progress."""
    limits = {"subscriptions": 1, "concurrent_requests": 1}
    async with (
        shop(tmp_path, limits=limits, server={"request_timeout_s": 0.5}) as gateway,
        gateway.stream() as first,
    ):
        await first.comment()
        async with gateway.stream() as stream:
            assert (await stream.event()).code == "LIMIT_EXCEEDED"
        await asyncio.sleep(0.6)  # longer than a request may take
        (created,) = await gateway.create()
        event = await first.event()
        assert event.data["data"]["changed"]["segmentId"] == created


async def test_the_server_stops(tmp_path: Path) -> None:
    """The stream ends with `SHUTTING_DOWN` and the cursor to resume from.

    Its head says that the connection ends with it, so that no proxy sends another request there.
    """
    async with shop(tmp_path) as gateway, gateway.stream() as stream:
        assert stream.response.headers["connection"] == "close"
        await stream.comment()
        await gateway.create()
        seen = await stream.event()
        stopping = asyncio.create_task(gateway.server.stop())
        end = await stream.event()
        (error,) = end.data["errors"]
        assert error["extensions"] == {"code": "SHUTTING_DOWN", "cursor": seen.id}
        assert await stream.event() == ("complete", None, None)
        assert await stream.block() == ""
        await stopping


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_without_a_stream(accept: str, tmp_path: Path) -> None:
    """A subscription whose client accepts no events is refused."""
    async with shop(tmp_path) as gateway:
        body = {"query": "subscription { changed { kind } }"}
        reply = await gateway.client.post("/graphql", json=body, headers={"accept": accept})
        assert reply.status_code == 400
        (error,) = reply.json()["errors"]
        assert error["message"] == (
            "Send a subscription by WebSocket, or accept text/event-stream."
        )


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """Its subscription ends: another one has its place."""
    async with shop(tmp_path, limits={"subscriptions": 1}) as gateway:
        async with gateway.stream() as stream:
            await stream.comment()
        while True:
            async with gateway.stream() as stream:
                if (await stream.block()).startswith(":"):
                    break
