"""Heads that differ only in the headers of a single request: what is known of them is used again.

For each the response must be the one that a new connection gets, whose requests go through ASGI,
and the head must be what the parser reads in it.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httptools
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.auth.api_keys import make
from gateway.auth.settings import AuthSettings, KeySettings
from gateway.http.app import Application
from gateway.http.graphql_over_http import Header
from gateway.http.server.repeated_heads import (
    MAX_HEAD_BYTES,
    MAX_HEADS,
    PER_REQUEST,
    FastPathHandler,
    RawResponse,
    RepeatedHeads,
)
from gateway.settings.tables import Settings
from tests.observability.test_request_log import TRACE, TRACEPARENT
from tests.security.logged import logged
from tests.security.served import FOUND, QUERY, Answer, Line, post, really_serving, settings_of
from tests.switches import needs

pytestmark = needs("direct_answers")

KEYS = [make() for _ in range(2)]
OURS, OTHERS = (b"authorization: Bearer " + key.encode() for key, _ in KEYS)
KNOWN = post(QUERY, OURS, b"x-request-id: known")
"""The request that each connection begins with."""

LONG = post(QUERY, OURS, b"x-request-id: " + b"a" * 100)
TRACED = post(QUERY, OURS, b"traceparent: " + b"x" * 100, b"tracestate: " + b"x" * 100)
TWICE = post(QUERY, OURS, b"X-Request-ID: aa", b"x-request-id: aa")
LIMIT = len(QUERY) + 10


def settings_with_keys(**tables: Any) -> Settings:
    """Return settings with a key that may do everything and one that may read assignments."""
    scopes = ("admin",), ("assignments:read",)
    keys = [
        KeySettings(name=f"key-{number}", hash=SecretStr(digest), scopes=scopes[number])
        for number, (_, digest) in enumerate(KEYS)
    ]
    limits = {"body_bytes": LIMIT}
    server = {"hosts": ("localhost",), "cors_origins": ("https://shop.example",)}
    settings = settings_of(limits=limits, server=server, **tables)
    return settings.model_copy(update={"auth": AuthSettings(keys=tuple(keys))})


class Seen(NamedTuple):
    """The parts of a response that do not differ from request to request."""

    status: int
    headers: dict[str, str]
    body: bytes


async def responses(
    sent: Mapping[str, bytes], *before: bytes, fast: bool = True
) -> Mapping[str, Seen]:
    """Send each request over a connection of its own, after others that are not refused."""
    seen_by_name = {}
    settings = settings_with_keys(fast_paths={"direct_answers": fast})
    async with really_serving(settings) as server:
        for name, request in sent.items():
            async with server.line() as line:
                assert [(await ask(line, each)).status for each in before] == [200] * len(before)
                seen_by_name[name] = seen(await ask(line, request))
    return seen_by_name


async def ask(line: Line, data: bytes) -> Answer:
    """Send bytes, and read one answer."""
    await line.write(data)
    return await line.answer()


def seen(answer: Answer) -> Seen:
    """Return a response; an id that the gateway has made becomes `made`."""
    headers = dict(answer.headers)
    request_id = headers.get("x-request-id", "")
    if len(request_id) == 32:
        headers["x-request-id"] = "made"
        body = answer.body.replace(request_id.encode(), b"made")
    else:
        body = answer.body
    return Seen(answer.status, headers, body.partition(b'"remaining":')[0])


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the headers of each head that the application decides about."""
    counts: list[int] = []
    real = Application.fast_path_handler

    def decide(self: Application, scope: Any) -> Any:
        counts.append(len(scope["headers"]))
        return real(self, scope)

    monkeypatch.setattr(Application, "fast_path_handler", decide)
    return counts


OWN = {
    "an id": ([b"x-request-id: abc-1"], 200),
    "an id in another style": ([b"X-Request-ID:  abc-1\t"], 200),
    "a malformed id": ([b"x-request-id: a b"], 200),
    "a long id": ([b"x-request-id: " + b"a" * 200], 200),
    "two ids": ([b"x-request-id: a", b"x-request-id: b"], 200),
    "an empty id": ([b"x-request-id:"], 200),
    "none": ([], 200),
    "a trace": ([b"traceparent: " + TRACEPARENT.encode()], 200),
    "an invalid trace": ([b"traceparent: " + b"x" * 55], 200),
    "two traces": ([b"traceparent: a", b"traceparent: b"], 200),
    "a state in two lines": ([b"tracestate: a=b", b"tracestate: c=d"], 200),
    "a state that is not ASCII": ([b"tracestate: \xff"], 200),
    "two lengths": ([b"content-length: %d" % len(QUERY)], 400),
    "two lengths that differ": ([b"content-length: 0"], 400),
    "a length and chunks": ([b"transfer-encoding: chunked"], 400),
    "NUL": ([b"x-request-id: a\x00b"], 400),
    "a bare CR": ([b"x-request-id: a\rb"], 400),
    "a space before the colon": ([b"x-request-id : a"], 400),
    "a folded line": ([b"x-request-id: a", b" b"], 400),
    "no colon": ([b"x-request-id"], 400),
}
"""Headers of a request, and the status of the response to it."""

DIFFERENT = {
    "no credentials": (post(QUERY), 401),
    "a wrong key": (post(QUERY, OURS[:-1]), 401),
    "another caller": (post(QUERY, OTHERS), 200),
    "two credentials": (post(QUERY, OURS, OURS), 400),
    "another host": (post(QUERY, OURS, host=b"other"), 421),
    "two hosts": (post(QUERY, OURS, b"host: localhost"), 400),
    "another site": (post(QUERY, OURS, b"origin: https://evil.example"), 403),
    "an origin": (post(QUERY, OURS, b"origin: https://shop.example"), 200),
    "another type": (post(QUERY, OURS, b"accept: image/png"), 406),
    "a language": (post(QUERY, OURS, b"accept-language: de"), 200),
    "compressed": (post(QUERY, OURS, b"content-encoding: gzip"), 415),
    "calls shown": (post(QUERY, OURS, b"x-show-calls: 1"), 200),
    "the longest body": (post(QUERY + b" " * 10, OURS), 200),
    "a longer body": (post(QUERY + b" " * 11, OURS), 413),
    "no body": (post(b"", OURS), 400),
    "a query string": (post(QUERY, OURS).replace(b"/graphql", b"/graphql?a=b"), 200),
    "elsewhere": (post(QUERY, OURS).replace(b"/graphql", b"/other"), 404),
    "another method": (post(QUERY, OURS).replace(b"POST", b"PUT"), 405),
    "another version": (post(QUERY, OURS).replace(b"/1.1", b"/1.0"), 200),
    "the last request": (post(QUERY, OURS, b"connection: close"), 200),
}
"""Requests whose other headers are not those of `KNOWN`, with the status."""


@pytest.mark.parametrize(
    "before", [(KNOWN,), (LONG,), (TRACED,), (TWICE,), (LONG, TRACED, TWICE, KNOWN)]
)
async def test_a_request_has_its_own_headers(
    before: tuple[bytes, ...], decided: list[int]
) -> None:
    """The response is that of a new connection, though its other headers are known."""
    sent = {name: post(QUERY, OURS, *own) for name, (own, _) in OWN.items()}
    expected = await responses(sent, fast=False)
    assert decided == []
    after_others = await responses(sent, *before)

    assert after_others == expected
    assert {name: each.status for name, each in expected.items()} == {
        name: status for name, (_, status) in OWN.items()
    }
    assert decided == [3] * len(OWN)  # host, content-type, authorization


async def test_other_headers_decide_anew() -> None:
    """None of them counts as known, whatever the connection sent before."""
    own = b"\r\nx-request-id: own\r\n\r\n"
    sent = {name: each.replace(b"\r\n\r\n", own, 1) for name, (each, _) in DIFFERENT.items()}
    expected = await responses(sent, fast=False)
    after_others = await responses(sent, LONG, KNOWN)

    assert after_others == expected
    assert {name: each.status for name, each in expected.items()} == {
        name: status for name, (_, status) in DIFFERENT.items()
    }


class Read:
    """What the parser reads."""

    def __init__(self, data: bytes) -> None:
        """Read a request, and keep an error."""
        self.parts: list[Any] = []
        try:
            httptools.HttpRequestParser(self).feed_data(data)
        except httptools.HttpParserError as error:
            self.parts.append(type(error))

    def on_url(self, url: bytes) -> None:
        """Keep it."""
        self.parts.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self.parts.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """Keep it."""
        self.parts.append(body)

    def on_message_complete(self) -> None:
        """Keep its place."""
        self.parts.append("complete")


VISIBLE = st.text("abc0-:,", min_size=1, max_size=9).map(str.encode)
ENDS = [b"a\r\n", b"a\r\n\r\n", b"a\n", b"a\r", b"a\r\ncontent-length: 0", b"\r\nb: c"]
SPACES = [b"a b", b" a", b"a ", b"a\t", b""]
ODD = st.one_of(st.binary(max_size=9), st.sampled_from(ENDS), st.sampled_from(SPACES))
OWN_NAMES = [b"x-request-id", b"X-Request-ID", b"traceparent", b"Traceparent", b"tracestate"]
ODD_NAMES = [b"x-request-id ", b"X-REQUEST-ID", b"other"]
NAMES = st.lists(st.sampled_from(OWN_NAMES + ODD_NAMES), max_size=3)


def drawn(data: st.DataObject, names: Sequence[bytes], size: int) -> bytes:
    """Return a request with these headers, one of which may have an odd value."""
    values = [data.draw(VISIBLE).ljust(size, b"z") for _ in names]
    odd = data.draw(st.integers(0, 2 * len(names)))
    if odd < len(names):
        values[odd] = data.draw(ODD)
    return post(QUERY, *[b"%b: %b" % pair for pair in zip(names, values, strict=True)])


@given(st.data())
@examples(max_examples=500)
def test_a_head_without_the_parser_is_what_the_parser_reads(data: st.DataObject) -> None:
    """A request is only ever handled if the parser reads it as it was handled."""
    names = data.draw(NAMES)
    first, second = drawn(data, names, 9), drawn(data, names, data.draw(st.integers(0, 9)))
    handled: list[Any] = []

    def similar(own: Sequence[Header]) -> FastPathHandler:
        handled.extend(own)
        return lambda body: RawResponse(200, b"", body)

    heads = RepeatedHeads()
    read = Read(first)
    if read.parts[-2:] == [QUERY, "complete"]:
        own = [each for each in read.parts if each[0] in PER_REQUEST]
        heads.add(first, len(QUERY), own, lambda body: RawResponse(200, b"", body), similar)
    response = heads.handle(second)

    if response is not None:
        again = Read(second).parts
        assert again[-2:] == [QUERY, "complete"] == [response.body, "complete"]  # type: ignore[union-attr]
        assert without_own(again) == without_own(read.parts)
        if second != first or handled:
            assert sorted(handled) == sorted(each for each in again if each[0] in PER_REQUEST)


def without_own(parts: Sequence[Any]) -> Sequence[Any]:
    """Return what was read without the headers of a single request."""
    return [each for each in parts if each[0] not in PER_REQUEST]


@pytest.mark.parametrize(
    ("value", "is_handled"),
    [
        pytest.param(b"b" * 30, True, id="another"),
        pytest.param(b"b", True, id="shorter"),
        pytest.param(b'!"(),/:;<=>?@[]{}~', True, id="any visible character"),
        pytest.param(b"b" * 31, False, id="longer"),
        pytest.param(b"", False, id="empty"),
        pytest.param(b"a b", False, id="a space"),
        pytest.param(b" b", False, id="a space before it"),
        pytest.param(b"b ", False, id="a space behind it"),
        pytest.param(b"a\tb", False, id="a tab"),
        pytest.param(b"a\x00b", False, id="NUL"),
        pytest.param(b"a\x7fb", False, id="DEL"),
        pytest.param(b"a\xffb", False, id="not ASCII"),
        pytest.param(b"a\nb: c", False, id="a bare LF"),
        pytest.param(b"a\rb: c", False, id="a bare CR"),
        pytest.param(b"a\r\nb: c", False, id="another header"),
        pytest.param(b"a\r\n b", False, id="a folded line"),
        pytest.param(b"a\r\n\r\n", False, id="the end of the head"),
    ],
)
async def test_which_values_need_no_parser(
    value: bytes, monkeypatch: pytest.MonkeyPatch, *, is_handled: bool
) -> None:
    """Only visible characters, and no more of them than the parser has read."""
    found: list[bool] = []
    real = RepeatedHeads.handle

    def handle(self: RepeatedHeads, data: bytes) -> Any:
        response = real(self, data)
        found.append(response is not None)
        return response

    monkeypatch.setattr(RepeatedHeads, "handle", handle)
    async with really_serving() as server, server.line() as line:
        assert (await ask(line, post(QUERY, b"x-request-id: " + b"a" * 30))).json["data"] == FOUND
        await ask(line, post(QUERY, b"x-request-id: " + value))

    assert found == [False, is_handled]


async def test_lines_of_the_log_name_the_trace_of_their_request(decided: list[int]) -> None:
    """And its id: similar requests before and after it have others, or none."""
    refused = b'{"query":"{ nonsense }"}'
    numbers = [b"x-request-id: %d" % number for number in range(3)]
    traced = b"traceparent: " + TRACEPARENT.encode()
    settings = settings_with_keys(log={"requests": True})
    with logged() as log:
        async with really_serving(settings) as server, server.line() as line:
            for own in ((numbers[0],), (numbers[1], traced), (numbers[2],)):
                assert "errors" in (await ask(line, post(refused, OURS, *own))).json

    named = {
        (line["request_id"], line.get("trace_id")) for line in log.lines if "request_id" in line
    }
    assert named == {("0", None), ("1", TRACE), ("2", None)}
    assert decided == [3]


async def test_a_key_that_expires(monkeypatch: pytest.MonkeyPatch, decided: list[int]) -> None:
    """The caller is known until then."""
    key, digest = make()
    until = datetime.now(UTC) + timedelta(hours=1)
    expiring = KeySettings(name="a", hash=SecretStr(digest), scopes=("admin",), expires_at=until)
    settings = settings_of().model_copy(update={"auth": AuthSettings(keys=(expiring,))})
    sent = [
        post(QUERY, b"authorization: Bearer " + key.encode(), b"x-request-id: %d" % number)
        for number in range(3)
    ]
    async with really_serving(settings) as server, server.line() as line:
        assert [(await ask(line, each)).status for each in sent[:2]] == [200, 200]
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3601)
        assert (await ask(line, sent[2])).refusal == (401, "UNAUTHENTICATED")

    assert decided == [3]


async def test_a_key_that_is_removed(decided: list[int]) -> None:
    """After a reload, nothing is known of any head."""
    settings = settings_with_keys()
    auth = AuthSettings(keys=settings.auth.keys[1:])
    async with really_serving(settings) as server, server.line() as line:
        assert (await ask(line, KNOWN)).json["data"] == FOUND
        await server.reload(settings.model_copy(update={"auth": auth}))
        refused = await ask(line, KNOWN.replace(b"known", b"other"))
        assert refused.refusal == (401, "UNAUTHENTICATED")

    assert decided == [3, 3]


async def test_as_many_heads_are_known_as_are_allowed(decided: list[int]) -> None:
    """The oldest goes for a new one, and a long one is never kept."""
    kinds = [b"a: %d" % number for number in range(MAX_HEADS + 1)]
    long = b"a: " + b"a" * MAX_HEAD_BYTES
    async with really_serving() as server, server.line() as line:
        for number, kind in enumerate([*kinds, *reversed(kinds), long, long]):
            sent = post(QUERY, kind, b"x-request-id: %d" % number)
            assert (await ask(line, sent)).json["data"] == FOUND

    assert decided == [3] * (len(kinds) + 1 + 2)
