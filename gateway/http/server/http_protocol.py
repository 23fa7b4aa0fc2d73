"""The server's end of a connection: uvicorn's, with bounds for clients that are slow or send much.

The bounds act on what is unusual: a request that came whole, and whose answer was taken, costs no
timer. Its answer is written at once.
"""

import asyncio
import re
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from gateway.http.graphql_over_http import PROBE_PATHS, RequestError, lines
from gateway.http.server.connections import OpenConnections
from gateway.http.server.fast_path import FastPathProtocol
from gateway.http.server.half_closed import HalfClosed
from gateway.http.server.proxies import proxies_of
from gateway.http.server.refusals import (
    BEYOND_SHARE,
    HANDSHAKE_TOO_LARGE,
    NO_HTTP,
    NO_LENGTH,
    on_the_wire,
    too_large,
)
from gateway.http.server.single_write import SingleWriteCycle
from gateway.http.server.slow_clients import WriteTimeout
from gateway.http.server.targets import origin_form
from gateway.http.server.websocket_protocol import BoundedWebSocketProtocol

MOST_WAITING = 10
"""Requests of one connection that wait for the one before (pipelining)."""

LINGER_S = 1.0
"""How long a client that is still sending may do so, to read meanwhile why it is refused."""

CHUNKING = 1.25
"""How many times `body_bytes` a chunked body may take on the wire: tiny chunks cost much CPU."""

WITH_BODY = frozenset((b"PATCH", b"POST", b"PUT"))
LENGTHS = frozenset((b"content-length", b"transfer-encoding"))

PROBES = frozenset(path.encode() for path in PROBE_PATHS)

_PATH = re.compile(rb"/[!-~]*")


class BoundedHttpProtocol(WriteTimeout, HalfClosed, FastPathProtocol):
    """HTTP/1.1, with bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: OpenConnections,
        direct_answers: bool = True,
    ) -> None:
        """Serve one connection; without `direct_answers` as uvicorn does, within the bounds."""
        super().__init__(config, server_state, app_state, _loop)
        self._writes_once = direct_answers
        if not direct_answers:
            self._reads = None
        # Uvicorn words a line for each request, also where nobody reads it.
        self.access_log = False
        limits = self._limits = open_connections.limits
        self._open = open_connections
        self._proxies = proxies_of(self.app)
        self._address: str | None = None
        """What the connection counts for; None: it comes through a proxy, for many clients."""
        self._is_beyond_share = False
        self._is_probe = False
        self._send_timeout_s = limits.send_timeout_s
        self._received = 0
        """Bytes since the last request was read to its end."""
        self._in_headers = True
        self._in_body = False
        self._patience: asyncio.TimerHandle | None = None
        """For the rest of the request that is being read …"""
        self._reading_since = 0.0
        """… and since when."""
        self._refusal = NO_HTTP
        self._is_refused = False
        """Nothing more is read."""
        self._last_words: RequestError | None = None
        """What is answered behind the requests that are under way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a request."""
        super().connection_made(transport)
        self._be_patient(self._limits.header_timeout_s)
        host = self.client[0] if self.client else None
        if host is not None and not (self._proxies and self._proxies.trusts(host)):
            self._address = host
        self._is_beyond_share = not self._open.add(self, self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all timers."""
        self._be_patient(None)
        self.unwatch()
        self.stop_looking()
        self._open.remove(self)
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
        at_work = len(self.tasks) - len(self._open.uncounted)
        return at_work < self._limits.concurrent_requests and super()._is_idle()

    def _wait_for_the_rest(self) -> None:
        limits = self._limits
        if self._is_refused or self.transport.get_protocol() is not self:
            return
        if self._in_headers and self._received > limits.header_bytes:
            self._refuse(too_large("header_bytes", limits.header_bytes, 431))
        elif self._in_body and self._received > limits.header_bytes + CHUNKING * limits.body_bytes:
            self._refuse(too_large("body_bytes", limits.body_bytes, 413))
        elif self._patience is None:
            wait = limits.header_timeout_s if self._in_headers else limits.body_timeout_s
            self._be_patient(wait)
            if self._in_body:
                self._hold()

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
            cycle.__class__ = SingleWriteCycle
            cycle.goes_on, cycle.writes_once = self.goes_on, self._writes_once
        if self._is_probe:
            self._count()

    def _check_head(self) -> None:
        """Leave the parser where a request is not let in."""
        limits = self._limits
        if self._patience is not None:
            self._be_patient(None)
        if self._received > limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.header_bytes:
                self._stop(too_large("header_bytes", limits.header_bytes, 431))
        if not _PATH.fullmatch(self.url):
            self.url, self.headers[:] = origin_form(self.url, self.headers)
            if not _PATH.fullmatch(self.url):
                self._stop(NO_HTTP)
        self._is_probe = self.url.partition(b"?")[0] in PROBES
        if not self._is_probe:
            self._check_room()
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
        client = self._client()
        if self._address is None and not self._open.move(self, client):
            self._refuse(BEYOND_SHARE)
            return
        names: Any = self.ws_protocol_class  # uvicorn's type is another one
        protocol: BoundedWebSocketProtocol = names(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        head = lines(self.headers)
        protocol.data_received(b"GET %b HTTP/1.1\r\n%b\r\n" % (self.url, head))
        if not protocol.handshake_initiated:
            self.connections.discard(protocol)
            self._refuse(HANDSHAKE_TOO_LARGE)
            return
        self.requests += 1
        self._in_headers = False
        self.connections.discard(self)
        self._open.remove(self)
        self._open.add(protocol, client)
        self.transport.set_protocol(protocol)
        if rest:
            protocol.data_received(rest)

    def _check_room(self, with_this: int = 0) -> None:
        """Leave the parser where too much is under way."""
        limits = self._limits
        at_work = len(self.tasks) - len(self._open.uncounted) - with_this
        if at_work >= limits.concurrent_requests:
            self._stop(too_large("concurrent_requests", limits.concurrent_requests, 503))
        if self._is_beyond_share:
            self._stop(BEYOND_SHARE)

    def _client(self) -> str | None:
        """Return the address of who sent the head that was read, behind a proxy the client's."""
        if self._address is not None or self._proxies is None:
            return self._address
        scope: Any = self.scope  # uvicorn's type is another one
        client = self._proxies.forwarded(scope)["client"]
        return client[0] if client else None

    def _hold(self) -> None:
        """Let a request whose body has not come whole count for its client alone."""
        self._count()
        if self._address is None and not self._open.move(self, self._client()):
            self._refuse(BEYOND_SHARE)

    def _count(self) -> None:
        """Count the task of this connection among those at work, unless it waits or is a probe."""
        is_outside = self._in_body or self._is_probe
        if is_outside and not (self.pipeline or self._is_free() or self._is_refused):
            self._open.uncounted.add(self)
        else:
            self._open.uncounted.discard(self)

    @property
    def was_served(self) -> bool:
        """Whether a whole request came over it."""
        return self.requests > 0

    def waits_since(self) -> float | None:
        """Return since when this connection waits for its client; None: it is at work."""
        if self._is_free() or (self._in_body and not self.pipeline):
            is_reading = self._patience is not None and not self._is_refused
            return self._reading_since if is_reading else self._used_at
        return None

    def end(self) -> None:
        """Close the connection for another one."""
        if self._patience is not None or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def on_message_complete(self) -> None:
        """Know that all of a request was read."""
        if self.parser.should_upgrade():
            return
        if self._patience is not None:
            self._be_patient(None)
            if self in self._open.uncounted and not self._is_probe:
                self._open.uncounted.discard(self)
                self._check_room(with_this=1)
            if self._address is None:
                self._open.move(self, None)
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Take the next request, if the last one was read to its end."""
        is_last = not self.pipeline
        self._used_at = self.loop.time()
        super().on_response_complete()
        self._count()
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
            self._reading_since = self.loop.time()

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
        self._count()
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
                self.tasks.discard(self._direct)
                self._write_refusal(error)
                return
        if self._is_free():
            self._write_refusal(error)
        else:
            self._last_words = error

    def _write_refusal(self, error: RequestError) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(on_the_wire(error))
        self._linger()

    def _linger(self) -> None:
        """Drop what is still sent: a connection that is closed on it takes the answer along."""
        self._is_refused = True
        self._be_patient(None)
        self._count()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._patience = self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()
