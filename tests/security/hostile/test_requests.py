"""Hostile requests, one after the other, at one gateway that serves an honest client beside."""

import gzip
import zlib
from collections.abc import Iterator

import pytest

from tests.security.hostile.process import Honest, Process, beside_an_honest_client, process
from tests.security.served import QUERY, chunked, post
from tests.security.test_http_bodies import TWICE
from tests.security.test_http_connections import AMBIGUOUS, HOST, POST

pytestmark = pytest.mark.every_case

MAX_CPU_S = 1.0
"""Of one request, the honest client's beside it included: most take 10 ms, a body of tiny chunks
0.2 s."""

Case = tuple[bytes, int, str]

BAD, LIMIT = "BAD_USER_INPUT", "LIMIT_EXCEEDED"
BOMB = b" " * 50_000_000
START = b"POST /graphql HTTP/1.1\r\n"
DEEP = b"[" * 50_000
UPGRADE = (
    *(b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"),
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)
PREFLIGHT = (b"access-control-request-method: POST",)


def get(query: bytes, *headers: bytes) -> bytes:
    """Return a GET with these parameters."""
    lines = [b"GET /graphql?" + query + b" HTTP/1.1", b"host: localhost", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def variables(text: bytes) -> bytes:
    """Return a POST with these variables."""
    return post(b'{"query": "{ __typename }", "variables": %b}' % text)


def of_type(content_type: bytes) -> bytes:
    """Return a POST of this type."""
    return post(QUERY).replace(b"application/json", content_type)


CASES: dict[str, Case] = {
    **{f"HTTP: {name}": (sent, 400, BAD) for name, sent in AMBIGUOUS.items()},
    **{f"twice: {body[:40]!r}": (post(body), 400, BAD) for body in TWICE},
    # Large.
    "header that does not end": (START + b"a" * 40_000, 431, LIMIT),
    "many headers": (START + b"a: b\r\n" * 7000, 431, LIMIT),
    "long address": (b"GET /graphql?" + b"a" * 40_000, 431, LIMIT),
    "large body announced": (POST + b"content-length: 5000000\r\n\r\n{", 413, LIMIT),
    "large body in chunks": (chunked(b" " * 65536, times=700, end=b""), 413, LIMIT),
    "large body in tiny chunks": (chunked(b" ", times=1_500_000, end=b""), 413, LIMIT),
    "endless trailer": (chunked(b"{", end=b"0\r\nx: " + b"a" * 9_000_000), 413, LIMIT),
    # Slow.
    "no end of headers": (START + HOST, 408, LIMIT),
    "no body": (POST + b"content-length: 10\r\n\r\n", 408, LIMIT),
    "no end of chunks": (chunked(b"{", end=b""), 408, LIMIT),
    # Compressed.
    "gzip bomb": (post(gzip.compress(BOMB), b"content-encoding: gzip"), 415, BAD),
    "deflate bomb": (post(zlib.compress(BOMB), b"content-encoding: deflate"), 415, BAD),
    # Odd JSON.
    **{
        f"body {text[:12]!r}": (post(text), 400, BAD)
        for text in (
            *(b"null", b"7", b"true", b'"{ __typename }"', b"[]", b"", b"\x00", b"\xff\xfe{}"),
            *(b"[%b,%b]" % (QUERY, QUERY), DEEP, b'{"query": %b' % DEEP, b"9" * 5000),
            *(b'{"query": "\\ud800"}', b'{"query": "{ a }", "operationName": "\\ud800"}'),
            *(b'{"query": 7}', b'{"query": "{ a }", "variables": "{}"}', b"[" * 900_000),
        )
    },
    "deep variables": (variables(b'{"a": ' + DEEP), 400, BAD),
    "deep objects in variables": (variables(b'{"a":' * 50_000), 400, BAD),
    "large number": (variables(b'{"a": %b}' % (b"9" * 5000)), 400, BAD),
    "infinite number": (variables(b'{"a": 1e999}'), 400, BAD),
    "lone surrogate": (variables(b'{"a": "\\udfff"}'), 400, BAD),
    "GET deep": (get(b"query={__typename}&variables=" + b"[" * 20_000), 400, BAD),
    "GET large number": (get(b"query={__typename}&variables=" + b"9" * 5000), 400, BAD),
    "GET no UTF-8": (get(b"query=%ff%fe"), 400, BAD),
    "GET lone surrogate": (get(b"query=%ed%a0%80"), 400, BAD),
    "GET many parameters": (get(b"&".join([b"a=b"] * 5000)), 400, BAD),
    "GET twice": (get(b"query={a}&query={b}"), 400, BAD),
    "GET mutation": (get(b"query=mutation{__typename}"), 405, BAD),
    # Other sites' pages.
    "form": (of_type(b"application/x-www-form-urlencoded"), 415, BAD),
    "plain text": (of_type(b"text/plain"), 415, BAD),
    "multipart": (of_type(b"multipart/form-data; boundary=x"), 415, BAD),
    "nearly JSON": (of_type(b"application/jsonx"), 415, BAD),
    "UTF-16": (of_type(b"application/json; charset=utf-16"), 415, BAD),
    "another site": (post(QUERY, b"origin: https://evil.test"), 403, "FORBIDDEN"),
    "null origin": (post(QUERY, b"origin: null"), 403, "FORBIDDEN"),
    "image": (get(b"query={__typename}", b"sec-fetch-site: cross-site"), 403, "FORBIDDEN"),
    "rebound name": (post(QUERY, host=b"evil.test"), 421, BAD),
    "rebound page": (b"GET /examples.json HTTP/1.1\r\nhost: evil.test\r\n\r\n", 421, BAD),
    "rebound socket": (get(b"", *UPGRADE).replace(b"localhost", b"evil.test"), 421, BAD),
    "socket of another site": (
        get(b"", *UPGRADE, b"origin: https://evil.test"),
        403,
        "FORBIDDEN",
    ),
    "preflight": (
        get(b"", *PREFLIGHT, b"origin: https://evil.test").replace(b"GET", b"OPTIONS", 1),
        403,
        "FORBIDDEN",
    ),
    # Methods and types.
    "TRACE": (b"TRACE /graphql HTTP/1.1\r\n" + HOST + b"\r\n", 405, BAD),
    "override": (
        get(b"query=mutation{__typename}", b"x-http-method-override: POST"),
        405,
        BAD,
    ),
    "nothing acceptable": (post(QUERY, b"accept: image/png"), 406, BAD),
    "many wishes": (post(QUERY, b"accept: " + b"a/b;q=0.1," * 3000), 406, BAD),
    # Who.
    "forwarded for loopback": (
        post(QUERY, b"x-forwarded-for: 127.0.0.1"),
        401,
        "UNAUTHENTICATED",
    ),
    "garbage as credentials": (
        post(QUERY, b"authorization: Bearer " + b"a" * 20_000),
        401,
        "UNAUTHENTICATED",
    ),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Serve all cases of this module by one process."""
    with process(tmp_path_factory.mktemp("hostile")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def honest(gateway: Process) -> Iterator[Honest]:
    """Let an honest client ask all the while."""
    with beside_an_honest_client(gateway) as client:
        yield client


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_request(gateway: Process, honest: Honest, name: str) -> None:
    """It is refused with the right code and cheaply, and the honest client is served."""
    sent, status, code = CASES[name]
    before_s = gateway.cpu_s

    answer = gateway.ask(sent)

    assert answer.refusal == (status, code)
    assert gateway.cpu_s - before_s < MAX_CPU_S
    assert honest.is_answered()


def test_number_of_cases() -> None:
    """They are as many as there were."""
    assert len(CASES) >= 100
