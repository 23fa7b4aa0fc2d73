"""Requests that a connection sends again: answered as the first one was, past the parser."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from gateway.app import Application
from gateway.server.repeats import LONGEST_HEAD, MOST_HEADS
from gateway.settings import StoreSettings
from gateway.sign_in.keys import make
from gateway.sign_in.settings import AuthSettings, KeySettings
from tests.front.serving import Providers, only_read
from tests.security.served import (
    FOUND,
    QUERY,
    Answer,
    Line,
    Server,
    chunked,
    post,
    really_serving,
    settings_of,
)
from tests.writes.asking import document, shoppers

SHOPPER = shoppers(1)[0]
READ = json.dumps(
    {"query": '{ segments(first: 1, filter: {providers: ["stuut"]}) { nodes { externalId } } }'}
).encode()
LISTED = {"segments": {"nodes": [{"externalId": "seg_ChSVXpe3"}]}}
UNKNOWN = b'{"query":"{ provider(key: \\"other\\") { key } }"}'
EVENTS = b"accept: text/event-stream"
GRAPHQL = b"accept: application/graphql-response+json"


class Asgi:
    """Counts the requests that went through ASGI: all but those that were repeated."""

    def __init__(self) -> None:
        """Start with none."""
        self.requests = 0


@pytest.fixture
def asgi(monkeypatch: pytest.MonkeyPatch) -> Asgi:
    """Watch the application."""
    seen, real = Asgi(), Application.__call__

    async def counted(self: Application, scope: Scope, receive: Receive, send: Send) -> None:
        seen.requests += scope["type"] == "http"
        await real(self, scope, receive, send)

    monkeypatch.setattr(Application, "__call__", counted)
    return seen


class Held:
    """A provider that keeps its calls waiting."""

    def __init__(self, kind: str, providers: Providers | None = None) -> None:
        """Stand in its place, among those that are `only_read` if no others are given."""
        providers = providers or only_read()
        self.arrived, self.let_go, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.calls = 0
        self._real = providers.real(kind)
        providers.instead[kind] = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        self.arrived.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.ended.set()
            raise
        await self._real(scope, receive, send)


async def asked(line: Line, data: bytes) -> Answer:
    """Send bytes, and read one answer."""
    await line.write(data)
    return await line.answer()


def without_names(answer: Answer) -> tuple[int, Any, bytes]:
    """Return an answer without what differs from request to request, its id and its budget."""
    headers = dict(answer.headers)
    request_id = headers.pop("x-request-id")
    body = answer.body.replace(request_id.encode(), b"ID")
    return answer.status, headers, body.partition(b'"remaining":')[0]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(QUERY), id="nothing to read"),
        pytest.param(post(READ), id="something to read"),
        pytest.param(post(UNKNOWN), id="null"),
        pytest.param(post(QUERY, b"x-show-calls: 0"), id="no calls shown"),
        pytest.param(post(QUERY, b"x-show-calls: 1"), id="calls shown"),
        pytest.param(post(QUERY, b"accept-language: de"), id="language"),
        pytest.param(post(QUERY, EVENTS), id="events"),
        pytest.param(post(QUERY, GRAPHQL), id="graphql"),
        pytest.param(post(b'{"query":"{ nothing }"}', GRAPHQL), id="invalid, graphql"),
        pytest.param(post(b'{"query":"{ nothing }"}'), id="invalid"),
        pytest.param(post(b'{"query":"mutation { nothing }"}', EVENTS), id="invalid, events"),
        pytest.param(post(b'{"id":"' + b"0" * 64 + b'"}'), id="refused"),
        pytest.param(post(QUERY, b"origin: https://shop.example"), id="another page"),
    ],
)
async def test_a_repeat_is_answered_as_the_first(sent: bytes, asgi: Asgi) -> None:
    """With the same status, headers and body; the parser sees one of them."""
    server_table = {"cors_origins": ("https://shop.example",)}
    async with really_serving(settings_of(server=server_table)) as server, server.line() as line:
        first = await asked(line, sent)
        others = [await asked(line, sent) for _ in range(3)]

    assert [without_names(each) for each in others] == [without_names(first)] * 3
    assert len({each.headers["x-request-id"] for each in (first, *others)}) == 4
    assert asgi.requests == 1


async def test_the_body_may_differ(asgi: Asgi) -> None:
    """Not so the head, nor the length in it; what is wrong with a body is said of that body."""
    other = QUERY.replace(b"stuut", b"STUUT")
    broken = b"[" + QUERY[1:]
    async with really_serving() as server, server.line() as line:
        assert (await asked(line, post(QUERY))).json["data"] == FOUND
        assert (await asked(line, post(other))).json["data"] == {"provider": None}
        refused = await asked(line, post(broken))
        assert refused.refusal == (400, "BAD_USER_INPUT")
        assert (await asked(line, post(QUERY))).json["data"] == FOUND

    assert asgi.requests == 1


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(chunked(QUERY), id="chunked"),
        pytest.param(b"\r\n" + post(QUERY), id="an empty line before"),
        pytest.param(post(QUERY, b"a: " + b"a" * LONGEST_HEAD), id="a long head"),
        pytest.param(b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: a\r\n\r\n", id="GET"),
        pytest.param(post(b""), id="no body"),
        pytest.param(post(b"{"), id="no JSON"),
        pytest.param(post(QUERY, b"origin: https://evil.example"), id="another site"),
        pytest.param(post(QUERY, b"authorization: Basic x"), id="nobody"),
    ],
)
async def test_what_the_parser_reads_each_time(sent: bytes, asgi: Asgi) -> None:
    """What is not whole, plain and answered has to be looked at again."""
    settings = settings_of(server={"hosts": ("a", "localhost")})
    async with really_serving(settings) as server, server.line() as line:
        answers = [await asked(line, sent) for _ in range(3)]

    assert len({each.status for each in answers}) == 1
    expected = 1 if sent.startswith(b"\r\n") else 3
    assert asgi.requests == expected


async def test_a_request_in_pieces(asgi: Asgi) -> None:
    """Its head is known, and still the parser reads it; and whole ones after it are repeated."""
    sent = post(QUERY)
    async with really_serving() as server, server.line() as line:
        await asked(line, sent)
        for cut in (1, len(sent) - len(QUERY), len(sent) - 1):
            await line.write(sent[:cut])
            await server.is_well()  # so that the first piece has arrived
            assert (await asked(line, sent[cut:])).json["data"] == FOUND
        assert asgi.requests == 1 + 3 + 3
        assert (await asked(line, sent)).json["data"] == FOUND

    assert asgi.requests == 1 + 3 + 3


async def test_as_many_heads_are_known_as_are_allowed(asgi: Asgi) -> None:
    """The oldest goes for a new one."""
    sent = [post(QUERY, b"a: %d" % number) for number in range(MOST_HEADS + 1)]
    async with really_serving() as server, server.line() as line:
        for each in [*sent, *reversed(sent)]:
            assert (await asked(line, each)).json["data"] == FOUND

    assert asgi.requests == len(sent) + 1


async def test_a_head_is_known_on_its_own_connection_alone(asgi: Asgi) -> None:
    """Another connection may be another client's."""
    async with really_serving() as server:
        for _ in range(2):
            async with server.line() as line:
                await asked(line, post(QUERY))
                await asked(line, post(QUERY))

    assert asgi.requests == 2


async def test_answers_come_in_order(asgi: Asgi) -> None:
    """Who does not wait for an answer gets it all the same, behind the one before."""
    async with really_serving() as server, server.line() as line:
        await asked(line, post(QUERY))
        await asked(line, post(READ))
        held = Held("stuut")
        await line.write(post(READ))
        await held.arrived.wait()
        await line.write(post(QUERY))
        await line.write(post(UNKNOWN) + post(QUERY))
        assert await server.is_well()
        held.let_go.set()
        answers = [(await line.answer()).json["data"] for _ in range(4)]

    assert answers == [LISTED, FOUND, {"provider": None}, FOUND]
    assert asgi.requests <= 2 + 3 + 1


async def test_a_client_that_hangs_up_while_it_is_repeated() -> None:
    """What is read for it ends."""
    async with really_serving() as server:
        async with server.line() as line:
            await asked(line, post(READ))
            held = Held("stuut")
            await line.write(post(READ))
            await held.arrived.wait()
        await held.ended.wait()
        only_read().instead.clear()
        assert await server.is_well()


@contextlib.contextmanager
def clock(monkeypatch: pytest.MonkeyPatch, ahead_s: float) -> Iterator[None]:
    """Let the time of day be later."""
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + ahead_s)
        yield


async def test_a_key_that_ends(monkeypatch: pytest.MonkeyPatch, asgi: Asgi) -> None:
    """Who asks is found out each time."""
    key, digest = make()
    until = datetime.now(UTC) + timedelta(hours=1)
    kept = KeySettings(
        name="a", hash=SecretStr(digest), scopes=("segments:read",), expires_at=until
    )
    settings = settings_of().model_copy(update={"auth": AuthSettings(keys=(kept,))})
    sent = post(QUERY, b"authorization: Bearer " + key.encode())
    async with really_serving(settings) as server, server.line() as line:
        assert [(await asked(line, sent)).status for _ in range(3)] == [200] * 3
        with clock(monkeypatch, 3601):
            refused = await asked(line, sent)
            assert refused.refusal == (401, "UNAUTHENTICATED")
            assert refused.headers["www-authenticate"] == "Bearer"

    assert asgi.requests == 1


async def test_budgets_count_repeats() -> None:
    """Each of them."""
    limits = {"requests_per_minute": 3}
    async with really_serving(settings_of(limits=limits)) as server, server.line() as line:
        answers = [await asked(line, post(QUERY)) for _ in range(4)]

    assert [each.status for each in answers] == [200, 200, 200, 429]
    assert answers[3].refusal == (429, "LIMIT_EXCEEDED")
    assert int(answers[3].headers["retry-after"]) >= 1


async def test_too_many_requests_at_once() -> None:
    """Repeats count, and are refused like others."""
    limits = {"concurrent_requests": 1}
    async with (
        really_serving(settings_of(limits=limits)) as server,
        server.line() as line,
        server.line() as other,
    ):
        await asked(line, post(READ))
        await asked(other, post(QUERY))
        held = Held("stuut")
        await line.write(post(READ))
        await held.arrived.wait()
        assert (await asked(other, post(QUERY))).refusal == (503, "LIMIT_EXCEEDED")
        held.let_go.set()
        assert (await line.answer()).json["data"] == LISTED


@contextlib.asynccontextmanager
async def short_lived(keep_alive_s: float) -> AsyncIterator[tuple[Server, Line]]:
    """Serve connections that are kept for so long without a request."""
    async with really_serving(timeout_keep_alive=keep_alive_s) as server, server.line() as line:
        yield server, line


async def test_an_idle_connection_ends_after_repeats() -> None:
    """Counted from the last of them: the timer looks when it fires."""
    loop = asyncio.get_running_loop()
    async with short_lived(0.3) as (_, line):
        await asked(line, post(QUERY))
        began = used = loop.time()
        while used - began < 0.5:
            assert (await asked(line, post(QUERY))).status == 200
            used = loop.time()
        assert await line.rest() == b""
        assert loop.time() - used > 0.25


async def test_a_repeat_takes_longer_than_idle_connections_last() -> None:
    """It is not idle."""
    loop = asyncio.get_running_loop()
    async with short_lived(0.1) as (server, line):
        await asked(line, post(READ))
        held = Held("stuut")
        await line.write(post(READ))
        await held.arrived.wait()
        began = loop.time()
        while loop.time() - began < 0.3:
            assert await server.is_well()
        held.let_go.set()
        assert (await line.answer()).json["data"] == LISTED
        assert await line.rest() == b""


async def test_empty_lines_between_repeats() -> None:
    """They start a timer, which the next repeat ends."""
    limits = {"header_timeout_s": 0.2}
    loop = asyncio.get_running_loop()
    async with really_serving(settings_of(limits=limits)) as server, server.line() as line:
        await asked(line, post(QUERY))
        await line.write(b"\r\n")
        assert await server.is_well()  # so that it has arrived
        began = loop.time()
        while loop.time() - began < 0.4:
            assert (await asked(line, post(QUERY))).status == 200


async def test_a_server_that_stops_answers_what_it_is_asked() -> None:
    """And says that it was the last on this connection."""
    async with really_serving(timeout_graceful_shutdown=20) as server, server.line() as line:
        await asked(line, post(READ))
        held = Held("stuut")
        await line.write(post(READ))
        await held.arrived.wait()
        await server.stop()
        held.let_go.set()
        answer = await line.answer()
        assert (answer.json["data"], answer.headers["connection"]) == (LISTED, "close")
        assert await line.rest() == b""


async def test_a_client_that_hangs_up_while_its_write_is_repeated(tmp_path: Path) -> None:
    """The write goes on: asked again by its key, it was sent once."""
    providers = Providers()
    store = StoreSettings(url=f"sqlite:///{tmp_path / 'gateway.db'}")
    settings = settings_of().model_copy(update={"store": store})
    async with really_serving(settings, providers) as server:
        async with server.line() as line:
            await asked(line, post(written("a1")))
            held = Held("instaleap", providers)
            await line.write(post(written("b2")))
            await held.arrived.wait()
        again = asyncio.create_task(server.ask(post(written("b2"))))
        assert await server.is_well()
        held.let_go.set()
        replaced = (await again).json["data"]["m0"]
    assert (replaced["updatedCustomerIds"], held.calls) == ([SHOPPER], 1)


def written(key: str) -> bytes:
    """Return a mutation, by its idempotency key."""
    entry = {"externalId": SHOPPER, "segments": [{"type": "tier", "value": key}]}
    given = {"provider": "instaleap", "customers": [entry], "idempotencyKey": key}
    query = document("customerSegmentsReplace")
    return json.dumps({"query": query, "variables": {"m0": given}}).encode()
