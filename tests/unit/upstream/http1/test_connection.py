import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.upstream.http.http1_connection import BUFFER_BYTES, MAX_HEAD_BYTES, Connection
from gateway.upstream.http.http1_request import HttpOrigin, Request

ORIGIN = HttpOrigin("http", "api.test", 80)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = httpx.RemoteProtocolError


class Wire(asyncio.Transport):
    """What a connection does to its socket, without one."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.unsent = 0
        self.is_aborted = False
        self.calls: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note what is sent."""
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes not written to the socket."""
        return self.unsent

    def abort(self) -> None:
        """Note the end."""
        self.is_aborted = True

    def pause_reading(self) -> None:
        """Note that no more is wanted."""
        self.calls.append("pause")

    def resume_reading(self) -> None:
        """Note that more is wanted."""
        self.calls.append("resume")


class Outcome(NamedTuple):
    """What a call comes to."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    is_free: bool
    """Another call may follow."""


async def open_request(method: str = "GET") -> tuple[Connection, Wire]:
    """Return a connection over which a call is under way."""
    connection, wire = Connection(lambda _: None, {}), Wire()
    connection.connection_made(wire)
    assert connection.send(Request(ORIGIN, b"call", is_head=method == "HEAD"))
    return connection, wire


def hear(connection: Connection, data: bytes) -> None:
    """Hand bytes over as an event loop does: not after the end."""
    if connection.is_open:
        connection.data_received(data)


async def outcome(connection: Connection) -> Outcome:
    """Read what there is by now."""
    body = []
    await connection.read_head(0.01)
    while part := await connection.read_part(0.01):
        body.append(part)
    return Outcome(connection.status, connection.headers, b"".join(body), connection.is_free)


async def answered(*parts: bytes, method: str = "GET", ends: bool = False) -> Outcome:
    """Return what an answer in these parts comes to; `ends`: the server closes after it."""
    connection, _ = await open_request(method)
    for part in parts:
        hear(connection, part)
    if ends:
        connection.eof_received()
    return await outcome(connection)


LENGTH = (b"Content-Length", b"4")

ANSWERS = [
    pytest.param(
        OK + b"Content-Length: 4\r\n\r\nwell", "GET", (200, [LENGTH], b"well", True), id="length"
    ),
    pytest.param(
        b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nwell",
        "GET",
        (200, [LENGTH], b"well", True),
        id="no reason",
    ),
    pytest.param(
        CHUNKED + b"2;a=b\r\nwe\r\n2\r\nll\r\n0\r\nX: y\r\n\r\n",
        "GET",
        (200, [(b"Transfer-Encoding", b"chunked")], b"well", True),
        id="chunked, trailer",
    ),
    pytest.param(
        OK + b"Content-Length: 4\r\n\r\n", "HEAD", (200, [LENGTH], b"", False), id="HEAD"
    ),
    pytest.param(OK + b"\r\n", "HEAD", (200, [], b"", False), id="HEAD, no length"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "GET", (204, [], b"", True), id="204"),
    pytest.param(
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
        "GET",
        (304, [LENGTH], b"", True),
        id="304 with the length of 200",
    ),
    pytest.param(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
        + OK
        + b"Content-Length: 4\r\n\r\nwell",
        "GET",
        (200, [LENGTH], b"well", True),
        id="1xx before",
    ),
    pytest.param(
        OK + b"Connection: close\r\nContent-Length: 4\r\n\r\nwell",
        "GET",
        (200, [(b"Connection", b"close"), LENGTH], b"well", False),
        id="told to close",
    ),
    pytest.param(
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwell",
        "GET",
        (200, [LENGTH], b"well", False),
        id="HTTP/1.0",
    ),
    pytest.param(
        OK + b"A: 1\r\nB:\r\nA: 2\r\nContent-Length: 4\r\n\r\nwell",
        "GET",
        (200, [(b"A", b"1"), (b"B", b""), (b"A", b"2"), LENGTH], b"well", True),
        id="repeated and empty headers",
    ),
]


@pytest.mark.parametrize(("answer", "method", "expected"), ANSWERS)
async def test_an_answer_is_the_same_however_it_is_cut(
    answer: bytes, method: str, expected: tuple[object, ...]
) -> None:
    """In one piece, in two wherever they part, byte by byte."""
    assert await answered(answer, method=method) == expected
    for at in range(len(answer)):
        assert await answered(answer[:at], answer[at:], method=method) == expected
    assert await answered(*(bytes([byte]) for byte in answer), method=method) == expected


async def test_a_body_of_no_stated_length_ends_with_the_connection() -> None:
    """RFC 9112, 6.3; there is no next call."""
    assert await answered(OK + b"X: y\r\n\r\nwe", b"ll", ends=True) == (
        200,
        [(b"X", b"y")],
        b"well",
        False,
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(OK, id="half a head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="only 1xx"),
        pytest.param(OK + b"Content-Length: 4\r\n\r\nwel", id="body cut short"),
        pytest.param(CHUNKED + b"4\r\nwell\r\n", id="no last chunk"),
        pytest.param(CHUNKED + b"4\r\nwell\r\n0\r\n", id="no end of the trailer"),
    ],
)
async def test_half_an_answer_is_an_error(answer: bytes) -> None:
    """The server may have acted on the call."""
    with pytest.raises(BROKEN):
        await answered(answer, ends=True)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x16\x03\x01\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="short status"),
        pytest.param(b"HTTP/1.1 099 OK\r\n\r\n", id="status below 100"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101"
        ),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n", id="101 to nothing"),
        pytest.param(OK.replace(b"\r", b"") + b"Content-Length: 4\n\nwell", id="line feeds only"),
        pytest.param(OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nwell", id="two lengths"),
        pytest.param(OK + b"Content-Length: +4\r\n\r\nwell", id="signed length"),
        pytest.param(OK + b"Content-Length: 99999999999999999999\r\n\r\n", id="endless length"),
        pytest.param(OK + b"Content-Length : 4\r\n\r\nwell", id="space before the colon"),
        pytest.param(OK + b"X: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(OK + b"X: a\0b\r\n\r\n", id="null in a header"),
        pytest.param(
            OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", id="length, chunked"
        ),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", id="chunked, length"
        ),
        pytest.param(OK + b"Transfer-Encoding: gzip\r\n\r\n", id="other coding"),
        pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="two codings"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", id="codings twice"
        ),
        pytest.param(CHUNKED + b"zz\r\n", id="chunk size"),
        pytest.param(CHUNKED + b"fffffffffffffffff\r\n", id="endless chunk"),
        pytest.param(CHUNKED + b"4\nwell\n0\n\n", id="chunks by line feeds only"),
        pytest.param(CHUNKED + b"2\r\nwell\r\n0\r\n\r\n", id="chunk longer than it says"),
    ],
)
async def test_what_can_be_read_in_two_ways_is_an_error(answer: bytes) -> None:
    """And nothing more is read from that connection."""
    connection, wire = await open_request()
    hear(connection, answer)
    with pytest.raises(BROKEN):
        await outcome(connection)
    assert wire.is_aborted


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([OK + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n"], id="one header at once"),
        pytest.param([OK + b"X: ", *[b"a" * 9999] * 8], id="one header in parts"),
        pytest.param([OK + b"X: y\r\n" * (MAX_HEAD_BYTES // 2 + 1)], id="many headers"),
        pytest.param([b"HTTP/1.1 200 ", *[b"a" * 9999] * 8], id="reason"),
        pytest.param(
            [b"HTTP/1.1 100 Continue\r\n\r\n"] * (MAX_HEAD_BYTES // 25 + 1), id="endless 1xx"
        ),
        pytest.param(
            [b"HTTP/1.1 103 Hints\r\nX: " + b"a" * 9999 + b"\r\n\r\n"] * 7, id="1xx with headers"
        ),
        pytest.param([CHUNKED + b"0\r\n", b"X: ", *[b"a" * 9999] * 8], id="trailer"),
        pytest.param(
            [CHUNKED + b"0\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 2 + 1) + b"\r\n"],
            id="trailer at once",
        ),
        pytest.param([CHUNKED + b"4;", *[b"a" * 9999] * 8], id="extension of a chunk"),
    ],
)
async def test_what_is_no_body_is_bounded(parts: list[bytes]) -> None:
    """A server cannot fill the memory with framing that the reader of the body does not see."""
    connection, wire = await open_request()
    for part in parts:
        hear(connection, part)
    with pytest.raises(BROKEN, match=f"more than {MAX_HEAD_BYTES} bytes of header fields"):
        await outcome(connection)
    assert wire.is_aborted


async def test_a_head_may_be_as_large_as_the_bound() -> None:
    """Names and values count."""
    value = b"a" * (MAX_HEAD_BYTES - len("XContent-Length0"))
    result = await answered(OK + b"X: " + value + b"\r\nContent-Length: 0\r\n\r\n")
    assert result == (200, [(b"X", value), (b"Content-Length", b"0")], b"", True)


@pytest.mark.parametrize("surplus", [b"x", OK + b"Content-Length: 6\r\n\r\npoison"])
async def test_bytes_behind_an_answer_close_the_connection(surplus: bytes) -> None:
    """At once or later: the response before them is complete, and they are dropped."""
    answer = OK + b"Content-Length: 4\r\n\r\nwell"
    assert await answered(answer + surplus) == (200, [LENGTH], b"well", False)
    assert await answered(answer, surplus) == (200, [LENGTH], b"well", False)


@pytest.mark.parametrize("data", [b"HTTP/1.1 408 Timeout\r\n\r\n", b"SSH-2.0 hello\r\n"])
async def test_what_nobody_asked_for_closes_a_free_connection(data: bytes) -> None:
    """It is not taken for the next response, and no call is sent on that connection."""
    connection, wire = Connection(lambda _: None, {}), Wire()
    connection.connection_made(wire)
    hear(connection, data)
    assert not connection.send(Request(ORIGIN, b"call"))
    assert (wire.is_aborted, wire.written) == (True, [])


async def test_an_answer_before_the_request_was_sent_ends_the_connection() -> None:
    """The remainder of the request would be read as the next one."""
    connection, wire = await open_request()
    wire.unsent = 1
    hear(connection, OK + b"Content-Length: 4\r\n\r\nwell")
    assert await outcome(connection) == (200, [LENGTH], b"well", False)


async def test_a_lost_connection_is_an_error_that_tells_why() -> None:
    """A reset is no end of a body."""
    connection, _ = await open_request()
    hear(connection, OK + b"\r\nwe")
    connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    with pytest.raises(httpx.ReadError, match="Connection reset by peer"):
        await outcome(connection)


async def test_a_slow_reader_stops_the_socket() -> None:
    """Reading pauses at the bound and goes on when the reader has caught up."""
    connection, wire = await open_request()
    hear(connection, OK + b"Content-Length: 999999999\r\n\r\n")
    hear(connection, b"x" * (BUFFER_BYTES - 1))
    assert wire.calls == []
    hear(connection, b"x")
    assert wire.calls == ["pause"]
    assert len(await connection.read_part(None)) == BUFFER_BYTES
    assert wire.calls == ["pause", "resume"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"Content-Length: 4\r\n\r\nwell", id="length"),
        pytest.param(CHUNKED + b"2\r\nwe\r\n2\r\nll\r\n0\r\n\r\n", id="chunked"),
    ],
)
async def test_who_wants_the_whole_answer_is_woken_once(answer: bytes) -> None:
    """However many packets it comes in."""
    connection, _ = await open_request()
    reading = connection.read_ahead()
    waiter = reading.send(None)  # as a task does
    for byte in answer[:-1]:
        hear(connection, bytes([byte]))
    assert not waiter.done()
    hear(connection, answer[-1:])
    assert waiter.done()
    with pytest.raises(StopIteration):
        reading.send(None)
    assert (connection.is_complete, connection.take_body()) == (True, b"well")


async def test_who_wants_the_whole_of_a_large_answer_gets_most_of_it() -> None:
    """The buffer is bounded: the reader continues part by part."""
    connection, wire = await open_request()
    reading = asyncio.create_task(connection.read_ahead())
    await asyncio.sleep(0)
    hear(connection, OK + b"Content-Length: %d\r\n\r\n" % (BUFFER_BYTES + 4))
    hear(connection, b"x" * BUFFER_BYTES)
    await reading
    assert (connection.is_complete, wire.calls) == (False, ["pause"])
    assert len(await connection.read_part(None)) == BUFFER_BYTES
    hear(connection, b"well")
    assert (await connection.read_part(None), await connection.read_part(None)) == (b"well", b"")


async def test_who_wants_the_whole_of_half_an_answer_gets_the_error() -> None:
    """At once, when the connection is lost."""
    connection, _ = await open_request()
    reading = asyncio.create_task(connection.read_ahead())
    await asyncio.sleep(0)
    hear(connection, OK + b"Content-Length: 4\r\n\r\nwel")
    connection.eof_received()
    with pytest.raises(BROKEN, match="closed within the response"):
        await reading


FRAGMENTS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 ",
            b"200 OK",
            b"100 Continue",
            b"204 No",
            b"304 N",
            b"101 S",
            b"HTTP/1.0 200",
        ),
        *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b":", b"\0", b"0\r\n\r\n", b"4\r\nwell\r\n"),
        *(b"Content-Length: 4", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"well"),
        *(b"Connection: close", b"Connection: keep-alive", b"Upgrade: x", b"X: y", OK, CHUNKED),
    ]
)
ANYTHING = st.lists(FRAGMENTS | st.binary(max_size=6), max_size=12).map(b"".join)


@given(ANYTHING, st.lists(st.integers(0, 200), max_size=5), st.sampled_from(["GET", "HEAD"]))
@example(OK + b"Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 4\r\n\r\nwell", [9], "GET")
def test_any_bytes_are_an_answer_or_an_error(sent: bytes, cuts: list[int], method: str) -> None:
    """Whatever arrives, however it is split; surplus bytes are never a second response."""

    async def result(*parts: bytes) -> Outcome | type[httpx.TransportError]:
        try:
            return await answered(*parts, method=method, ends=True)
        except httpx.TransportError as error:
            return type(error)

    async def check() -> None:
        places = [0, *sorted(cuts), len(sent)]
        whole = await result(sent)
        cut = await result(*(sent[a:b] for a, b in pairwise(places)))
        if isinstance(whole, Outcome):
            assert isinstance(cut, Outcome)
            assert whole[:3] == cut[:3]
            assert not whole.is_free  # the server has closed
        else:
            assert cut is whole

    asyncio.run(check())
