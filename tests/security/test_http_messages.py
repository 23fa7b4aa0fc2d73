"""Messages as RFC 9110 and 9112 have them: targets, lengths, who waits, and for how long."""

import asyncio
import time

import pytest

from gateway.http.server.fast_path import GRACE_S
from tests.security.served import (
    FOUND,
    PATIENCE_S,
    QUERY,
    Server,
    chunked,
    post,
    really_serving,
    settings_of,
)
from tests.security.test_direct import LISTED, READ, Held
from tests.security.test_http_connections import HANDSHAKE, POST
from tests.switches import FAST_PATHS

pytestmark = pytest.mark.every_case

GARBAGE = b"\x00\x01 is no HTTP\r\n\r\n"
GET = (
    b"GET /graphql?query=%7Bprovider(key:%22stuut%22)%7Bkey%7D%7D HTTP/1.1\r\n"
    b"host: localhost\r\n\r\n"
)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
@pytest.mark.parametrize("path", [b"/graphql", b"/livez"])
@pytest.mark.parametrize("is_in_pieces", [False, True])
async def test_a_body_without_a_length(method: bytes, path: bytes, *, is_in_pieces: bool) -> None:
    """It is answered by 411 (RFC 9110, 15.5.12), and none of its bytes is a request."""
    head = b"%b %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\r\n"
    async with really_serving() as server, server.line() as line:
        await line.write(head % (method, path) + (b"" if is_in_pieces else QUERY + GET))
        answer = await line.answer()
        await line.write(QUERY + GET)

        assert answer.refusal == (411, "BAD_USER_INPUT")
        assert answer.headers["connection"] == "close"
        assert await line.rest() == b""


@pytest.mark.parametrize("sent", [GET, post(QUERY), chunked(QUERY)])
@pytest.mark.parametrize(
    ("behind", "status"),
    [
        pytest.param(GARBAGE, 400, id="garbage"),
        pytest.param(POST + b"\r\n{", 411, id="no length"),
        pytest.param(GET.replace(b"/graphql", b"*"), 400, id="no path"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000, 431, id="large headers"),
        pytest.param(post(b" " * 40)[:-1], 408, id="a body that does not come"),
        pytest.param(b"GET / HTTP/1.1\r\n", 408, id="a head that does not come"),
    ],
)
async def test_what_is_wrong_behind_a_request(sent: bytes, behind: bytes, status: int) -> None:
    """Both get their answers, in order, and the connection ends: never a silence."""
    short = {"header_timeout_s": 0.3, "body_timeout_s": 0.3}
    async with really_serving(settings_of(limits=short)) as server, server.line() as line:
        await line.write(sent + behind)
        assert (await line.answer()).json["data"] == FOUND
        last = await line.answer()
        assert (last.refusal[0], last.headers["connection"]) == (status, "close")
        assert await line.rest() == b""


async def test_a_handshake_behind_a_request() -> None:
    """It is taken once that request was answered, and refused before."""
    async with really_serving() as server:
        answered_at_once = b"101 " if FAST_PATHS.direct_answers else b"400 "
        for sent, expected in ((post(QUERY), answered_at_once), (chunked(QUERY), b"400 ")):
            async with server.line() as line:
                await line.write(sent + HANDSHAKE)
                assert (await line.answer()).json["data"] == FOUND
                head = await line.reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 " + expected)


@pytest.mark.parametrize("behind", [GARBAGE, POST + b"\r\n{", post(b" " * 40)[:-1]])
async def test_what_is_wrong_behind_a_request_that_takes_long(behind: bytes) -> None:
    """It waits for that request's answer."""
    short = {"header_timeout_s": 0.1, "body_timeout_s": 0.1}
    async with really_serving(settings_of(limits=short)) as server, server.line() as line:
        held = Held("stuut")
        await line.write(post(READ) + behind)
        await held.arrived.wait()
        await asyncio.sleep(0.2)  # so that the time for what is behind it is over
        held.let_go.set()
        assert (await line.answer()).json["data"] == LISTED
        assert (await line.answer()).refusal[0] in {400, 408, 411}
        assert await line.rest() == b""


@pytest.mark.parametrize("target", [b"http://localhost", b"HTTPS://LOCALHOST:80", b"http://[::1]"])
@pytest.mark.parametrize("sent", [GET, post(QUERY), chunked(QUERY)])
async def test_absolute_targets(target: bytes, sent: bytes) -> None:
    """A server accepts them (RFC 9112, 3.2.2), and takes the host that they name for Host."""
    sent = sent.replace(b" /graphql", b" " + target + b"/graphql").replace(
        b"host: localhost", b"host: not.served"
    )
    settings = settings_of(server={"hosts": ("localhost", "::1")})
    async with really_serving(settings) as server, server.line() as line:
        for _ in range(3):
            await line.write(sent)
            assert (await line.answer()).json["data"] == FOUND


@pytest.mark.parametrize("sent", [GET, post(QUERY), chunked(QUERY)])
async def test_absolute_targets_of_other_hosts(sent: bytes) -> None:
    """They are not served, whatever the header Host says."""
    sent = sent.replace(b" /graphql", b" http://not.served/graphql")
    async with really_serving(settings_of(server={"hosts": ("localhost",)})) as server:
        assert (await server.ask(sent)).refusal == (421, "BAD_USER_INPUT")


@pytest.mark.parametrize("rest", [b"", b"?query=1"])
async def test_absolute_targets_without_a_path(rest: bytes) -> None:
    """The path is `/` then."""
    async with really_serving() as server:
        answer = await server.ask(
            b"GET http://localhost" + rest + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"
        )
    assert answer.status in {200, 307}


@pytest.mark.parametrize("sent", [GET, post(QUERY), chunked(QUERY)])
async def test_a_slash_behind_the_path(sent: bytes) -> None:
    """`/graphql/` is `/graphql`."""
    sent = sent.replace(b"/graphql", b"/graphql/")
    async with really_serving() as server, server.line() as line:
        for _ in range(2):
            await line.write(sent)
            assert (await line.answer()).json["data"] == FOUND
        await line.write(HANDSHAKE.replace(b"/graphql", b"/graphql/"))
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


OLD = post(READ).replace(b"HTTP/1.1", b"HTTP/1.0")


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("sent", [post(READ), chunked(READ), OLD])
async def test_a_client_that_closes_its_side_and_waits(sent: bytes, before: int) -> None:
    """It gets its answer, however long that takes, and then the connection ends."""
    async with really_serving() as server, server.line() as line:
        for _ in range(before):
            await line.write(post(READ))
            await line.answer()
        held = Held("stuut")
        await line.write(sent)
        await held.arrived.wait()
        line.writer.write_eof()
        await asyncio.sleep(0.7)  # two looks after it
        assert not held.ended.is_set()
        held.let_go.set()
        received = await line.rest()

    *interim, final = received.split(b"HTTP/1.1 ")[1:]
    assert interim == ([] if sent is OLD else [b"100 Continue\r\n\r\n"])
    assert final.startswith(b"200 OK\r\n")
    assert b"connection: close\r\n" in final
    assert b"seg_ChSVXpe3" in final


async def test_a_client_that_closes_its_side_behind_several_requests() -> None:
    """Each is answered."""
    async with really_serving() as server, server.line() as line:
        await line.write(post(QUERY) * 4)
        line.writer.write_eof()
        assert (await line.rest()).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize("sent", [b"", post(READ)[:-1], post(READ)[:20]])
async def test_a_client_that_closes_its_side_too_early(sent: bytes) -> None:
    """What did not come whole is not answered; its connection ends at once."""
    async with really_serving() as server, server.line() as line:
        await line.write(sent)
        line.writer.write_eof()
        assert await line.rest() == b""


@pytest.mark.parametrize("sent", [post(READ), chunked(READ)])
async def test_a_client_that_leaves(sent: bytes) -> None:
    """That is noticed though its end of the connection looks the same: what it asked for ends."""
    async with really_serving() as server:
        async with server.line() as line:
            held = Held("stuut")
            await line.write(sent)
            await held.arrived.wait()
        async with asyncio.timeout(PATIENCE_S):
            await held.ended.wait()


KEEP_ALIVE_S = 2


async def test_how_long_an_idle_connection_is_open() -> None:
    """Each response says how long at least; it is longer, since a request may be in transit.

    The time is measured from the last request on: client and server share a loop, so on a busy
    machine seconds may pass between the response and its arrival.
    """

    async def idle(server: Server, sent: bytes) -> float:
        async with server.line() as line:
            for _ in range(3):
                began = time.monotonic()
                await line.write(sent)
                head = await line.reader.readuntil(b"\r\n\r\n")
                announced = b"\r\nconnection: keep-alive\r\nkeep-alive: timeout=2\r\n"
                assert head.count(announced) == 1, sent
                if not sent.startswith(b"HEAD"):
                    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                    await line.reader.readexactly(length)
            assert await line.rest() == b"", sent
            return time.monotonic() - began

    health = GET.replace(b"/graphql", b"/livez")
    requests = (GET, post(QUERY), chunked(QUERY), health, b"HEAD" + health[3:], post(b"{"))
    settings = settings_of(server={"keep_alive_s": KEEP_ALIVE_S})
    async with really_serving(settings) as server:
        idle_s = await asyncio.gather(*(idle(server, each) for each in requests))
    assert min(idle_s) > KEEP_ALIVE_S + GRACE_S / 2


@pytest.mark.parametrize("sent", [OLD, post(QUERY, b"connection: close"), GARBAGE])
async def test_a_connection_that_is_not_kept(sent: bytes) -> None:
    """Its answer promises nothing."""
    async with really_serving() as server:
        answer = await server.ask(sent)
    assert (answer.headers["connection"], "keep-alive" in answer.headers) == ("close", False)


def test_the_default_is_longer_than_that_of_proxies() -> None:
    """The longest of those that we know is Caddy's with 120 s."""
    assert settings_of().server.keep_alive_s == 130
