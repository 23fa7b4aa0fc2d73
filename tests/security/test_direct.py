"""Plain requests: answered past ASGI, and when sent again past the parser, as by ASGI."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from gateway.auth.api_keys import make
from gateway.auth.settings import AuthSettings, KeySettings
from gateway.http.app import Application
from gateway.http.server.fast_path import FastPathProtocol
from gateway.http.server.repeated_heads import MAX_HEAD_BYTES, MAX_HEADS, RepeatedHeads
from gateway.settings.tables import StoreSettings
from tests.e2e.serving import Providers, only_read
from tests.e2e.writes.asking import document, shoppers
from tests.security.served import (
    FOUND,
    QUERY,
    Answer,
    Line,
    chunked,
    post,
    really_serving,
    settings_of,
)
from tests.switches import needs

pytestmark = needs("direct_answers")

SHOPPER = shoppers(1)[0]
READ = json.dumps(
    {"query": '{ segments(first: 1, filter: {providers: ["stuut"]}) { nodes { externalId } } }'}
).encode()
LISTED = {"segments": {"nodes": [{"externalId": "seg_ChSVXpe3"}]}}
UNKNOWN = b'{"query":"{ provider(key: \\"other\\") { key } }"}'

GRAPHQL = b"accept: application/graphql-response+json"


class Ways(NamedTuple):
    """How many requests went which way."""

    asgi: int = 0
    parsed: int = 0
    repeated: int = 0


class Seen:
    """Sees which way requests go."""

    def __init__(self) -> None:
        """Start with none."""
        self.ways = Ways()

    def add(self, **more: int) -> None:
        """Count more of a way."""
        self.ways = Ways(*map(add, self.ways, Ways(**more)))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watch the application and the server."""
    seen = Seen()
    call, find, repeat = (
        Application.__call__,
        FastPathProtocol._find_handler,  # noqa: SLF001  # its result says which way
        RepeatedHeads.handle,
    )

    async def called(self: Application, scope: Scope, receive: Receive, send: Send) -> None:
        seen.add(asgi=scope["type"] == "http")
        await call(self, scope, receive, send)

    def found(self: FastPathProtocol) -> Any:
        handler = find(self)
        seen.add(parsed=handler is not None)
        return handler

    def repeated(self: RepeatedHeads, data: bytes) -> Any:
        answer = repeat(self, data)
        seen.add(repeated=answer is not None)
        return answer

    monkeypatch.setattr(Application, "__call__", called)
    monkeypatch.setattr(FastPathProtocol, "_find_handler", found)
    monkeypatch.setattr(RepeatedHeads, "handle", repeated)
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


async def ask(line: Line, data: bytes) -> Answer:
    """Send bytes, and read one answer."""
    await line.write(data)
    return await line.answer()


def in_chunks(sent: bytes) -> bytes:
    """Return the same request with a chunked body, which only ASGI takes."""
    head, _, body = sent.partition(b"\r\n\r\n")
    length = b"content-length: %d" % len(body)
    coded = head.replace(length, b"transfer-encoding: chunked")
    return b"%b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (coded, len(body), body)


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
        pytest.param(post(QUERY, GRAPHQL), id="graphql"),
        pytest.param(post(b'{"query":"{ nothing }"}', GRAPHQL), id="invalid, graphql"),
        pytest.param(post(b'{"query":"{ nothing }"}'), id="invalid"),
        pytest.param(post(b'{"id":"' + b"0" * 64 + b'"}'), id="refused"),
        pytest.param(post(QUERY, b"origin: https://shop.example"), id="another page"),
    ],
)
async def test_an_answer_is_the_same_whichever_way_it_came(sent: bytes, seen: Seen) -> None:
    """With the same status, headers and body."""
    server_table = {"cors_origins": ("https://shop.example",)}
    async with really_serving(settings_of(server=server_table)) as server, server.line() as line:
        by_asgi = await ask(line, in_chunks(sent))
        others = [await ask(line, sent) for _ in range(3)]

    assert [without_names(each) for each in others] == [without_names(by_asgi)] * 3
    assert len({each.headers["x-request-id"] for each in (by_asgi, *others)}) == 4
    assert seen.ways == (1, 1, 2)


async def test_the_body_may_differ(seen: Seen) -> None:
    """Not so the head, nor the length in it; what is wrong with a body is said of that body."""
    other = QUERY.replace(b"stuut", b"STUUT")
    broken = b"[" + QUERY[1:]
    async with really_serving() as server, server.line() as line:
        assert (await ask(line, post(QUERY))).json["data"] == FOUND
        assert (await ask(line, post(other))).json["data"] == {"provider": None}
        refused = await ask(line, post(broken))
        assert refused.refusal == (400, "BAD_USER_INPUT")
        assert (await ask(line, post(QUERY))).json["data"] == FOUND

    assert seen.ways == (0, 1, 3)


OLD = post(QUERY).replace(b"HTTP/1.1", b"HTTP/1.0")


@pytest.mark.parametrize(
    ("sent", "ways"),
    [
        pytest.param(b"\r\n" + post(QUERY), (0, 1, 2), id="an empty line before"),
        pytest.param(post(QUERY, b"a: " + b"a" * MAX_HEAD_BYTES), (0, 3, 0), id="a long head"),
        pytest.param(post(b"{"), (0, 1, 2), id="no JSON"),
        pytest.param(post(QUERY, b"authorization: Basic x"), (0, 1, 2), id="nobody"),
        pytest.param(chunked(QUERY), (3, 0, 0), id="chunked"),
        pytest.param(post(b""), (3, 0, 0), id="no body"),
        pytest.param(post(QUERY, b"connection: keep-alive"), (0, 1, 2), id="kept alive"),
        pytest.param(
            post(QUERY, b"connection: upgrade", b"upgrade: h2c"), (0, 1, 2), id="upgrade"
        ),
        pytest.param(post(QUERY, b"host: other"), (3, 0, 0), id="two hosts"),
        pytest.param(post(QUERY, host=b"other"), (3, 0, 0), id="another host"),
        pytest.param(post(QUERY, b"content-encoding: gzip"), (3, 0, 0), id="compressed"),
        pytest.param(post(QUERY, b"origin: https://evil.example"), (3, 0, 0), id="another site"),
        pytest.param(post(QUERY).replace(b"/graphql", b"/livez"), (3, 0, 0), id="elsewhere"),
        pytest.param(post(QUERY).replace(b"/graphql", b"/graphql?"), (3, 0, 0), id="queried"),
        pytest.param(post(QUERY).replace(b"POST", b"PUT"), (3, 0, 0), id="another method"),
        pytest.param(
            b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: localhost\r\n\r\n",
            (3, 0, 0),
            id="GET",
        ),
    ],
)
async def test_which_way_requests_go(sent: bytes, ways: Ways, seen: Seen) -> None:
    """What is not plain goes through ASGI; what is not quite the same, through the parser."""
    settings = settings_of(server={"hosts": ("localhost",)})
    async with really_serving(settings) as server, server.line() as line:
        answers = [await ask(line, sent) for _ in range(3)]

    assert len({each.status for each in answers}) == 1
    assert seen.ways == ways


@pytest.mark.parametrize("last", [OLD, post(QUERY, b"connection: close")])
async def test_the_last_request_of_a_connection(last: bytes, seen: Seen) -> None:
    """It is left to uvicorn, which ends the connection."""
    async with really_serving() as server, server.line() as line:
        assert (await ask(line, last)).json["data"] == FOUND
        assert await line.rest() == b""

    assert seen.ways == (1, 0, 0)


async def test_a_client_that_asks_before_it_sends_its_body(seen: Seen) -> None:
    """It is told to go on."""
    async with really_serving() as server, server.line() as line:
        await line.write(post(QUERY, b"expect: 100-continue"))
        interim = await line.reader.readuntil(b"\r\n\r\n")
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await line.answer()).json["data"] == FOUND

    assert seen.ways == (1, 0, 0)


async def test_a_request_in_pieces(seen: Seen) -> None:
    """Its head is known, and still the parser reads it; whole ones after it are repeated.

    Through ASGI goes one whose head came in pieces.
    """
    sent = post(QUERY)
    async with really_serving() as server, server.line() as line, server.line() as other:
        await ask(line, sent)
        for cut in (1, len(sent) - len(QUERY), len(sent) - 1):
            await line.write(sent[:cut])
            await ask(other, chunked(QUERY))  # so that the first piece has arrived
            assert (await ask(line, sent[cut:])).json["data"] == FOUND
        assert seen.ways == (3 + 1, 3, 0)
        assert (await ask(line, sent)).json["data"] == FOUND

    assert seen.ways == (3 + 1, 3, 1)


async def test_as_many_heads_are_known_as_are_allowed(seen: Seen) -> None:
    """The oldest goes for a new one."""
    sent = [post(QUERY, b"a: %d" % number) for number in range(MAX_HEADS + 1)]
    async with really_serving() as server, server.line() as line:
        for each in [*sent, *reversed(sent)]:
            assert (await ask(line, each)).json["data"] == FOUND

    assert seen.ways == (0, len(sent) + 1, len(sent) - 1)


async def test_a_head_is_known_on_its_own_connection_alone(seen: Seen) -> None:
    """Another connection may be another client's."""
    async with really_serving() as server:
        for _ in range(2):
            async with server.line() as line:
                await ask(line, post(QUERY))
                await ask(line, post(QUERY))

    assert seen.ways == (0, 2, 2)


async def test_answers_come_in_order(seen: Seen) -> None:
    """Who does not wait for an answer gets it all the same, behind the one before."""
    async with really_serving() as server, server.line() as line:
        await ask(line, post(QUERY))
        await ask(line, post(READ))
        held = Held("stuut")
        await line.write(post(READ))
        await held.arrived.wait()
        await line.write(post(QUERY))
        await line.write(post(UNKNOWN) + post(QUERY))
        async with server.line() as other:
            await ask(other, chunked(QUERY))  # so that they have arrived
        held.let_go.set()
        answers = [(await line.answer()).json["data"] for _ in range(4)]

    assert answers == [LISTED, FOUND, {"provider": None}, FOUND]
    assert seen.ways == (4, 2, 1)


async def test_of_several_at_once_one_goes_ahead(seen: Seen) -> None:
    """Others of the server get their turn between them."""
    async with really_serving() as server, server.line() as line:
        await line.write(post(QUERY) + post(UNKNOWN) + post(QUERY))
        answers = [(await line.answer()).json["data"] for _ in range(3)]

    assert answers == [FOUND, {"provider": None}, FOUND]
    assert seen.ways == (2, 1, 0)


async def test_a_client_that_hangs_up_while_it_is_repeated() -> None:
    """What is read for it ends."""
    async with really_serving() as server:
        async with server.line() as line:
            await ask(line, post(READ))
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


async def test_a_key_that_ends(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    """Who asks is found out each time."""
    key, digest = make()
    until = datetime.now(UTC) + timedelta(hours=1)
    kept = KeySettings(
        name="a", hash=SecretStr(digest), scopes=("segments:read",), expires_at=until
    )
    settings = settings_of().model_copy(update={"auth": AuthSettings(keys=(kept,))})
    sent = post(QUERY, b"authorization: Bearer " + key.encode())
    async with really_serving(settings) as server, server.line() as line:
        assert [(await ask(line, sent)).status for _ in range(3)] == [200] * 3
        with clock(monkeypatch, 3601):
            refused = await ask(line, sent)
            assert refused.refusal == (401, "UNAUTHENTICATED")
            assert refused.headers["www-authenticate"] == "Bearer"

    assert seen.ways == (0, 1, 3)


async def test_budgets_count_repeats() -> None:
    """Each of them."""
    limits = {"requests_per_minute": 3}
    async with really_serving(settings_of(limits=limits)) as server, server.line() as line:
        answers = [await ask(line, post(QUERY)) for _ in range(4)]

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
        await ask(line, post(READ))
        await ask(other, post(QUERY))
        held = Held("stuut")
        await line.write(post(READ))
        await held.arrived.wait()
        assert (await ask(other, post(QUERY))).refusal == (503, "LIMIT_EXCEEDED")
        held.let_go.set()
        assert (await line.answer()).json["data"] == LISTED


async def test_a_server_that_stops_answers_what_it_is_asked() -> None:
    """And says that it was the last on this connection."""
    async with really_serving(timeout_graceful_shutdown=20) as server, server.line() as line:
        await ask(line, post(READ))
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
            await ask(line, post(written("a1")))
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
