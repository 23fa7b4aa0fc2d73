"""The server's end of a connection: uvicorn's, with bounds for clients that are slow or send much.

The bounds act on what is unusual: a request that came whole, and whose answer was taken, costs no
timer. Its answer is written at once.
"""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from gateway.graphql_http import RequestError, refused_as_whole
from gateway.limits import LimitSettings
from gateway.settings import Settings

LEAST_TAKEN = 64 * 1024
"""Bytes of its answer that a client takes in `send_timeout_s`, or else all that is left."""

MOST_WAITING = 10
"""Requests of one connection that wait for the one before (pipelining)."""

MOST_PARTS = 1000
"""Frames of one WebSocket message."""

MOST_PINGS = 100
"""Of a WebSocket in one second."""

READ_AT_ONCE = 8 * 1024
"""Bytes of a WebSocket: uvloop hands on 256 KiB, which would be 40,000 frames in one piece."""

LINGER_S = 1.0
"""How long a client that is still sending may do so, to read meanwhile why it is refused."""

CHUNKING = 1.25
"""How many times `body_bytes` a chunked body may take on the wire: tiny chunks cost much CPU."""

NO_HTTP = RequestError(400, "This is no HTTP request.")

_PATH = re.compile(rb"/[!-~]*")

_CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""Of these only the ends of lines may stand in the headers of an answer."""

_FRAMING = frozenset((b"connection", b"transfer-encoding"))
"""Headers of an answer that decide what follows it."""


def server_options(settings: Settings) -> Mapping[str, Any]:
    """Return what uvicorn is told beside the address."""
    limits, proxies = settings.limits, settings.server.trusted_proxies
    return {
        "http": partial(BoundedHttp, limits=limits),
        "ws": partial(BoundedWebSocket, limits=limits),
        "ws_max_size": limits.message_bytes,
        # A compressed message may be a thousand times larger than it looks.
        "ws_per_message_deflate": False,
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": list(proxies),
        "server_header": False,
        "date_header": False,
        "access_log": False,
        "log_level": "warning",
        "loop": "auto",
    }


class _Taken:
    """Ends connections whose client does not take what it is sent."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _send_timeout_s: float
    _left = 0
    _watching: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """From now on the client has to read."""
        if self._watching is None:
            self._left = self.transport.get_write_buffer_size()
            self._watching = self.loop.call_later(self._send_timeout_s, self._look)

    def unwatch(self) -> None:
        """Stop that: it has left."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def _look(self) -> None:
        self._watching = None
        left = self.transport.get_write_buffer_size()
        if left and left > self._left - LEAST_TAKEN:
            self.transport.abort()
        elif left:
            self.watch()


class _Cycle(RequestResponseCycle):
    """A request and its answer; an answer that comes whole is written in one piece."""

    _start: Any = None

    async def send(self, message: Any) -> None:
        """Hold the start back until the body comes.

        Uvicorn writes them one by one, and looks through each header by regular expressions. All
        that is not usual is left to it: parts, HEAD, a connection's last answer, headers that
        break out of their lines.
        """
        if not self.response_started and message["type"] == "http.response.start":
            self._start = message
            self.response_started = True
            self.waiting_for_100_continue = False
            return
        start, self._start = self._start, None
        head = None if start is None else self._head(start, message)
        if head is None:
            if start is not None:
                self.response_started = False
                await super().send(start)
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        self.transport.write(head + message.get("body", b""))
        self.response_complete = True
        self.message_event.set()
        self.on_response()

    def _head(self, start: Any, message: Any) -> bytes | None:
        """Return what goes before the body; None: uvicorn has to send the answer."""
        headers = [*self.default_headers, *start["headers"]]
        length = b"%d" % len(message.get("body", b""))
        if (
            message["type"] != "http.response.body"
            or message.get("more_body", False)
            or not self.keep_alive
            or self.scope["method"] == "HEAD"
            or (b"content-length", length) not in headers
            or not _FRAMING.isdisjoint([name for name, _ in headers])
        ):
            return None
        lines = b"\r\n".join(map(b": ".join, headers))
        head = b"%b%b\r\n\r\n" % (STATUS_LINE[start["status"]], lines)
        ends = len(head) - len(head.translate(None, _CONTROLS))
        return head if ends == 2 * (len(headers) + 2) else None


class BoundedHttp(_Taken, HttpToolsProtocol):
    """HTTP/1.1, with bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: LimitSettings,
    ) -> None:
        """Serve one connection."""
        super().__init__(config, server_state, app_state, _loop)
        # Uvicorn words a line for each request, also where nobody reads it.
        self.access_log = False
        self._limits = limits
        self._send_timeout_s = limits.send_timeout_s
        self._received = 0
        """Bytes since the last request was read to its end."""
        self._in_headers = True
        self._in_body = False
        self._patience: asyncio.TimerHandle | None = None
        """For the rest of the request that is being read."""
        self._refusal = NO_HTTP
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a request."""
        super().connection_made(transport)
        self._be_patient(self._limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all timers."""
        self._be_patient(None)
        self.unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, or of several."""
        if self._is_refused:
            return
        self._received += len(data)
        super().data_received(data)
        if self._in_headers or self._in_body:
            self._wait_for_the_rest()
            return
        self._received = 0
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_complete and self._patience is None:
            # Nothing but empty lines, which would keep an idle connection for ever.
            self._be_patient(self._limits.header_timeout_s)

    def _wait_for_the_rest(self) -> None:
        limits = self._limits
        if self._is_refused or self.transport.get_protocol() is not self:
            return
        if self._in_headers and self._received > limits.header_bytes:
            self._refuse(_too_large("header_bytes", limits.header_bytes, 431))
        elif self._in_body and self._received > limits.header_bytes + CHUNKING * limits.body_bytes:
            self._refuse(_too_large("body_bytes", limits.body_bytes, 413))
        elif self._patience is None:
            wait = limits.header_timeout_s if self._in_headers else limits.body_timeout_s
            self._be_patient(wait)

    def on_message_begin(self) -> None:
        """Read a request."""
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        """Start to answer a request whose headers were read."""
        limits = self._limits
        if self._patience is not None:
            self._be_patient(None)
        if self._received > limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.header_bytes:
                self._stop(_too_large("header_bytes", limits.header_bytes, 431))
        if not _PATH.fullmatch(self.url):
            # With a host in it two of them could differ.
            self._stop(NO_HTTP)
        if len(self.tasks) >= limits.concurrent_requests:
            most = limits.concurrent_requests
            self._stop(_too_large("concurrent_requests", most, 503))
        if self.pipeline and len(self.pipeline) >= MOST_WAITING:
            self._stop(NO_HTTP)
        self._in_headers, self._in_body = False, True
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            # What stands behind a chunked body (trailers) is no header: no proxy looked at it.
            self.headers = []
            # Uvicorn names the class itself; nothing of the cycle ran yet.
            self.cycle.__class__ = _Cycle

    def on_message_complete(self) -> None:
        """Know that all of a request was read."""
        if self._patience is not None:
            self._be_patient(None)
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Take the next request, if the last one was read to its end."""
        super().on_response_complete()
        if not self.cycle.keep_alive:
            self.watch()
        elif self._in_body and self.cycle.response_complete:
            self._linger()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle."""
        super().timeout_keep_alive_handler()
        self.watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self.watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be read, or what `_stop` says."""
        del msg
        self._refuse(self._refusal)

    def _stop(self, error: RequestError) -> None:
        """Leave the parser: uvicorn then calls `send_400_response`."""
        self._refusal = error
        raise error

    def _be_patient(self, wait_s: float | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if wait_s is not None:
            self._patience = self.loop.call_later(wait_s, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if not self._received:
            self.transport.close()
            return
        name = "header_timeout_s" if self._in_headers else "body_timeout_s"
        most = getattr(self._limits, name)
        text = f"The request did not come within {most:g} s (limits.{name})."
        self._refuse(RequestError(408, text, "LIMIT_EXCEEDED"))

    def _refuse(self, error: RequestError) -> None:
        """Answer in the place of the application, and let nothing more in."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            # That may be an earlier request, whose answer this is not.
            if cycle.response_started or not self._in_body:
                self.transport.close()
                return
        headers, body = refused_as_whole(error)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"".join((STATUS_LINE[error.status], lines, b"\r\n", body)))
        self._linger()

    def _linger(self) -> None:
        """Drop what is still sent: a connection that is closed on it takes the answer along."""
        self._is_refused = True
        self._be_patient(None)
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._patience = self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()


def _too_large(name: str, most: int, status: int) -> RequestError:
    text = f"{name} is more than the {most} that are allowed (limits.{name})."
    return RequestError(status, text, "LIMIT_EXCEEDED")


class BoundedWebSocket(_Taken, WebSocketsSansIOProtocol):
    """WebSocket, with a bound for clients that do not read."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: LimitSettings,
    ) -> None:
        """Serve one connection, whose handshake the HTTP server has read."""
        super().__init__(config, server_state, app_state, _loop)
        self._send_timeout_s = limits.send_timeout_s
        self._pings, self._second = 0, 0.0

    def data_received(self, data: bytes) -> None:
        """Read what came, until the connection is given up."""
        for start in range(0, len(data), READ_AT_ONCE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + READ_AT_ONCE])

    def handle_ping(self) -> None:
        """Answer a ping; who sends a flood of them is no client."""
        now = self.loop.time()
        if now - self._second > 1:
            self._pings, self._second = 0, now
        self._pings += 1
        if self._pings <= MOST_PINGS:
            super().handle_ping()
        else:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Read a part of a message: empty ones would come for ever."""
        if len(self.frames) < MOST_PARTS:
            super().handle_cont(event)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self.unwatch()
        super().connection_lost(exc)
