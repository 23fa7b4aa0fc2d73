"""The server's end of a connection: uvicorn's, with bounds for clients that are slow or send much.

The bounds act on what is unusual: a request that came whole, and whose answer was taken, costs no
timer. Its answer is written at once.
"""

import asyncio
import re
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from gateway.http.graphql_over_http import RequestError, lines, refused_as_whole
from gateway.http.server.fast_path import CLOSES, DirectHttp
from gateway.http.server.half_closed import HalfClosed
from gateway.http.server.single_write import WholeCycle
from gateway.http.server.slow_clients import Taken
from gateway.http.server.targets import origin_form
from gateway.http.server.websocket_protocol import BoundedWebSocket
from gateway.limits.settings import LimitSettings

MOST_WAITING = 10
"""Requests of one connection that wait for the one before (pipelining)."""

LINGER_S = 1.0
"""How long a client that is still sending may do so, to read meanwhile why it is refused."""

CHUNKING = 1.25
"""How many times `body_bytes` a chunked body may take on the wire: tiny chunks cost much CPU."""

WITH_BODY = frozenset((b"PATCH", b"POST", b"PUT"))
LENGTHS = frozenset((b"content-length", b"transfer-encoding"))

NO_LENGTH = RequestError(411, "Send the body with its content-length, or in chunks.")

NO_HTTP = RequestError(400, "This is no HTTP request.")

HANDSHAKE_TOO_LARGE = RequestError(
    431,
    "A WebSocket handshake has at most 128 headers, and 8192 bytes in a line.",
    "LIMIT_EXCEEDED",
)
"""As the library websockets has it."""

_PATH = re.compile(rb"/[!-~]*")


class BoundedHttp(Taken, HalfClosed, DirectHttp):
    """HTTP/1.1, with bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: LimitSettings,
        direct_answers: bool = True,
    ) -> None:
        """Serve one connection; without `direct_answers` as uvicorn does, within the bounds."""
        super().__init__(config, server_state, app_state, _loop)
        self._writes_once = direct_answers
        if not direct_answers:
            self._reads = None
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
        """Nothing more is read."""
        self._last_words: RequestError | None = None
        """What is answered behind the requests that are under way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a request."""
        super().connection_made(transport)
        self._be_patient(self._limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all timers."""
        self._be_patient(None)
        self.unwatch()
        self.stop_looking()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes, whatever is under way
        """Know that the client sends no more; return whether it may still be answered."""
        if self._is_free() or self._in_body:
            return False
        cycle: Any = self.cycle
        cycle.keep_alive = False
        self._be_patient(None)
        is_quiet = not (self.pipeline or self._in_headers or cycle.response_started)
        self.look_for_client(may_write=is_quiet and self.parser.get_http_version() == "1.1")
        return True

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, or of several."""
        if self._is_refused:
            return
        self._received += len(data)
        before = self.requests
        super().data_received(data)
        if self._in_headers or self._in_body:
            self._wait_for_the_rest()
            return
        self._received = 0
        if self.requests > before:
            if self._patience is not None:
                self._be_patient(None)
        elif self._patience is None and self._is_free():
            # Nothing but empty lines, which would keep an idle connection for ever.
            self._be_patient(self._limits.header_timeout_s)

    def _is_idle(self) -> bool:
        """Tell whether a request that came now would be the only one, and be let in."""
        return len(self.tasks) < self._limits.concurrent_requests and super()._is_idle()

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
        if self.parser.should_upgrade():
            return  # The parser stops here: `take_handshake` follows, or the same head again.
        self._check_head()
        if self.parser.get_method() in WITH_BODY and LENGTHS.isdisjoint(dict(self.headers)):
            self._stop(NO_LENGTH)
        self._in_headers, self._in_body = False, True
        super().on_headers_complete()
        if self._again is None:
            # What stands behind a chunked body (trailers) is no header: no proxy looked at it.
            self.headers = []
            # Uvicorn names the class itself; nothing of the cycle ran yet.
            cycle: Any = self.cycle
            cycle.__class__ = WholeCycle
            cycle.goes_on, cycle.writes_once = self.goes_on, self._writes_once

    def _check_head(self) -> None:
        """Leave the parser where a request is not let in."""
        limits = self._limits
        if self._patience is not None:
            self._be_patient(None)
        if self._received > limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.header_bytes:
                self._stop(_too_large("header_bytes", limits.header_bytes, 431))
        if not _PATH.fullmatch(self.url):
            self.url, self.headers[:] = origin_form(self.url, self.headers)
            if not _PATH.fullmatch(self.url):
                self._stop(NO_HTTP)
        if len(self.tasks) >= limits.concurrent_requests:
            most = limits.concurrent_requests
            self._stop(_too_large("concurrent_requests", most, 503))
        if self.pipeline and len(self.pipeline) >= MOST_WAITING:
            self._stop(NO_HTTP)

    def take_handshake(self, rest: bytes) -> None:
        """Hand the connection over to WebSocket."""
        try:
            self._check_head()
        except RequestError as error:
            self._refuse(error)
            return
        if not self._is_free():
            # Answers of earlier requests would get into those of the WebSocket.
            self._refuse(NO_HTTP)
            return
        self._in_headers = False
        self.connections.discard(self)
        names: Any = self.ws_protocol_class  # uvicorn's type is another one
        protocol: BoundedWebSocket = names(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        head = lines([*self.headers])
        protocol.data_received(b"GET %b HTTP/1.1\r\n%b\r\n" % (self.url, head))
        if protocol.handshake_initiated:
            self.requests += 1
            self.transport.set_protocol(protocol)
            if rest:
                protocol.data_received(rest)
        else:
            self.connections.discard(protocol)
            self.connections.add(self)
            self._refuse(HANDSHAKE_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Know that all of a request was read."""
        if self.parser.should_upgrade():
            return
        if self._patience is not None:
            self._be_patient(None)
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Take the next request, if the last one was read to its end."""
        is_last = not self.pipeline
        super().on_response_complete()
        if not self.cycle.keep_alive:
            self.watch()
        elif is_last and self._last_words is not None:
            self._write_refusal(self._last_words)
        elif self._in_body and self.cycle.response_complete:
            self._linger()

    def _close_idle(self) -> None:
        super()._close_idle()
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
        self._be_patient(None)
        cycle: RequestResponseCycle | None = self.cycle
        if self._in_body and cycle is not None and not cycle.response_complete:
            if self.pipeline:
                self.pipeline.popleft()  # It has not begun.
                self._in_body = False
            elif cycle.response_started:
                self.transport.close()
                return
            else:
                cycle.disconnected = True
                cycle.message_event.set()
                self._write_refusal(error)
                return
        if self._is_free():
            self._write_refusal(error)
        else:
            self._last_words = error

    def _write_refusal(self, error: RequestError) -> None:
        if self.transport.is_closing():
            return
        begun, body = refused_as_whole(error)
        head = STATUS_LINE[error.status], lines(begun["headers"]), CLOSES
        self.transport.write(b"".join((*head, body)))
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
