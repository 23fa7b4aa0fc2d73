"""`/graphql` by server-sent events: GraphQL over SSE, a connection for each operation."""

import asyncio
import json

import pytest

from tests.e2e.asking import GRAPHQL, JSON, KEYS, post, refusal
from tests.e2e.serving import Front
from tests.security.served import PATIENCE_S, QUERY, really_serving
from tests.security.served import post as bytes_of
from tests.security.sockets import READ, Waiting

pytestmark = pytest.mark.every_case

EVENTS = "text/event-stream"


def events(text: str) -> list[tuple[str, object]]:
    """Return the events of a stream, which must be whole, with their data."""
    *blocks, end = text.split("\n\n")
    assert end == ""
    events = []
    for block in blocks:
        event, data = block.split("\n")
        assert (event[:7], data[:5]) == ("event: ", "data:")
        events.append((event[7:], json.loads(data[5:]) if data[5:] else None))
    return events


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_operation(front: Front, method: str) -> None:
    """Its answer is one event, and another one says that it was the last."""
    headers = {"accept": EVENTS}
    if method == "GET":
        reply = await front.client.get("/graphql", params={"query": KEYS}, headers=headers)
    else:
        reply = await post(front, {"query": KEYS}, **headers)
    plain = (await post(front, {"query": KEYS})).json()

    assert (reply.status_code, reply.headers["content-type"]) == (200, EVENTS)
    assert reply.headers["cache-control"] == "no-store"
    (name, answer), end = events(reply.text)
    assert (name, end) == ("next", ("complete", None))
    assert isinstance(answer, dict)
    assert answer["data"] == plain["data"]


@pytest.mark.parametrize("query", ["{", "{ nothing }"])
async def test_an_operation_that_cannot_run(front: Front, query: str) -> None:
    """Its errors are an event too: a browser shows no page the body of another status."""
    reply = await post(front, {"query": query}, accept=EVENTS)

    assert reply.status_code == 200
    (name, answer), end = events(reply.text)
    assert (name, end) == ("next", ("complete", None))
    assert isinstance(answer, dict)
    assert answer.keys() == {"errors"}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (EVENTS, EVENTS),
        (f"{EVENTS}, {JSON}", EVENTS),
        (f"{JSON}, {EVENTS}", JSON),
        (f"{GRAPHQL}, {JSON}, {EVENTS}", GRAPHQL),
        (f"{EVENTS};q=0.5, {JSON}", JSON),
        (f"{JSON};q=0.5, {EVENTS}", EVENTS),
        (f"{EVENTS};q=0, {JSON}", JSON),
        ("*/*", JSON),
        (f"*/*, {EVENTS}", JSON),
    ],
)
async def test_who_wants_a_stream(front: Front, accept: str, media_type: str) -> None:
    """Who merely mentions streams gets none."""
    reply = await post(front, {"query": KEYS}, accept=accept)

    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)


async def test_any_text_is_no_stream(front: Front) -> None:
    """A stream has to be named."""
    reply = await post(front, {"query": KEYS}, accept="text/*")

    assert refusal(reply)[0] == 406


async def test_what_is_no_request(front: Front) -> None:
    """What is no request is refused as everywhere."""
    reply = await post(front, b"{", accept=EVENTS)

    assert refusal(reply) == (400, JSON, "The request is not JSON.", "BAD_USER_INPUT")


async def test_a_client_that_hangs_up() -> None:
    """What was asked for it upstream ends."""
    async with really_serving() as server, asyncio.timeout(PATIENCE_S):
        waiting = Waiting()
        body = json.dumps({"query": READ}).encode()
        async with server.line() as line:
            await line.write(bytes_of(body, b"accept: text/event-stream"))
            await waiting.arrived.wait()
        await waiting.ended.wait()
        answer = await server.ask(bytes_of(QUERY, b"accept: text/event-stream"))

        assert [name for name, _ in events(answer.body.decode())] == ["next", "complete"]
