"""Answers on the wire: what uvicorn writes in two pieces goes out in one, and reads the same."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.http.server.connections import OpenConnections
from gateway.http.server.http_protocol import BoundedHttpProtocol
from gateway.http.server.options import server_options
from tests.security.served import settings_of

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
LAST = GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
OLD = GET.replace(b"1.1", b"1.0")

KEPT = b"connection: keep-alive\r\nkeep-alive: timeout=130\r\n"

LENGTH = (b"content-length", b"4")
BODY = {"type": "http.response.body", "body": b"body"}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Any:
    """Return the start of an answer."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


WHOLE = [start(LENGTH, (b"vary", b"accept")), BODY]
EMPTY = [start((b"content-length", b"0"), status=204), {"type": "http.response.body"}]
PARTS = [start(LENGTH), {**BODY, "body": b"bo", "more_body": True}, {**BODY, "body": b"dy"}]


class Wire(asyncio.Transport):
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        """Be open."""
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Keep it; of nothing nothing."""
        if data:
            self.pieces.append(bytes(data))

    def close(self) -> None:
        """End."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Tell whether it ended."""
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        """Tell that all was taken at once."""
        return 0

    def can_write_eof(self) -> bool:
        """Tell that it has one end only."""
        return False


async def written(protocol: Any, request: bytes, messages: Sequence[Any], **how: Any) -> Wire:
    """Return what an application's messages become, in answer to a request."""

    async def application(_: Any, __: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    options = {**server_options(settings_of()), "log_config": None}
    config = Config(application, **options)
    config.load()
    serving, wire = protocol(config, ServerState(), {}, **how), Wire()
    serving.connection_made(wire)
    serving.data_received(request)
    await asyncio.gather(*serving.tasks)
    serving.connection_lost(None)
    return wire


@pytest.mark.parametrize(
    ("request_", "messages", "pieces"),
    [
        pytest.param(GET, WHOLE, 1, id="whole"),
        pytest.param(GET, EMPTY, 1, id="empty"),
        pytest.param(GET, PARTS, 3, id="parts"),
        pytest.param(GET, [start(), BODY], 2, id="chunked"),
        pytest.param(GET, [start(LENGTH, (b"connection", b"close")), BODY], 2, id="ends"),
        pytest.param(HEAD, WHOLE, 1, id="head"),
        pytest.param(LAST, WHOLE, 2, id="last"),
        pytest.param(OLD, WHOLE, 2, id="http 1.0"),
        pytest.param(GET, [start(LENGTH, (b"vary", b"a\r\nb: c")), BODY], 0, id="two lines"),
        pytest.param(GET, [start(LENGTH, (b"vary", b"a\0")), BODY], 0, id="control"),
        pytest.param(GET, [start((b"content-length", b"3")), BODY], 1, id="too long"),
        pytest.param(GET, [start((b"content-length", b"5")), BODY], 2, id="too short"),
        pytest.param(GET, [start(LENGTH), start(LENGTH)], 1, id="two starts"),
        pytest.param(GET, [*WHOLE, BODY], 1, id="more than whole"),
    ],
)
async def test_answers_are_uvicorns(request_: bytes, messages: Sequence[Any], pieces: int) -> None:
    """To the byte, with its end of the connection; a whole answer is one piece.

    But for one thing: where the connection goes on, the answer says for how long.
    """
    connections = OpenConnections(settings_of().limits)
    ours = await written(BoundedHttpProtocol, request_, messages, open_connections=connections)
    theirs = await written(HttpToolsProtocol, request_, messages)

    assert b"".join(ours.pieces).replace(KEPT, b"", 1) == b"".join(theirs.pieces)
    goes_on = b"HTTP/1.1 2" in b"".join(theirs.pieces) and b"connection: close" not in b"".join(
        theirs.pieces
    )
    assert (KEPT in b"".join(ours.pieces)) == goes_on
    assert (len(ours.pieces), ours.is_closed) == (pieces, theirs.is_closed)


@pytest.mark.parametrize("messages", [WHOLE[:1], []])
async def test_an_answer_that_does_not_come(messages: Sequence[Any]) -> None:
    """A started one ends the connection without a word; one never started is a fault."""
    wire = await written(
        BoundedHttpProtocol, GET, messages, open_connections=OpenConnections(settings_of().limits)
    )

    assert b"".join(wire.pieces)[:12] == (b"" if messages else b"HTTP/1.1 500")
    assert wire.is_closed
