"""uvicorn's HTTP protocol with limits for clients that are slow or send too much.

A request that arrives in one segment, and whose response the client reads, needs no timer.
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
from gateway.http.server.held_responses import HoldsResponses
from gateway.http.server.proxies import proxies_of
from gateway.http.server.refusals import (
    NO_LENGTH,
    NOT_HTTP,
    SHARE_EXCEEDED,
    lacks_length,
    refusal_bytes,
    too_large,
)
from gateway.http.server.single_write import SingleWriteCycle
from gateway.http.server.slow_clients import WriteTimeout
from gateway.http.server.stopping import StopsGracefully
from gateway.http.server.targets import origin_form
from gateway.http.server.websocket_protocol import BoundedWebSocketProtocol

MAX_PIPELINED = 10
"""Requests of one connection that wait for the previous one (pipelining)."""

LINGER_S = 1.0
"""How long a refused client may go on sending, so that it can read the response."""

CHUNKED_OVERHEAD = 1.25
"""The size on the wire of a chunked body, relative to `body_bytes`: tiny chunks take much CPU."""

PROBES = frozenset(path.encode() for path in PROBE_PATHS)

_PATH = re.compile(rb"/[!-~]*")


class BoundedHttpProtocol(
    StopsGracefully, HoldsResponses, WriteTimeout, HalfClosed, FastPathProtocol
):
    """HTTP/1.1 with limits."""

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
        """Serve one connection; without `direct_answers` by uvicorn alone, within the limits."""
        super().__init__(config, server_state, app_state, _loop)
        self._writes_once = direct_answers
        if not direct_answers:
            self._handler_for = None
        # Otherwise uvicorn formats a line for each request, even if it is not logged.
        self.access_log = False
        limits = self._limits = open_connections.limits
        self._open = open_connections
        self._proxies = proxies_of(self.app)
        self._address: str | None = None
        """The address that the connection counts for; None: that of a proxy with many clients."""
        self._exceeds_share = False
        self._is_probe = False
        self._send_timeout_s = limits.send_timeout_s
        self._received = 0
        """Bytes since the end of the last complete request."""
        self._in_headers = True
        self._in_body = False
        self._read_timer: asyncio.TimerHandle | None = None
        """Limits the time to receive the rest of a request."""
        self._reading_since = 0.0
        """When the timer was started."""
        self._refusal = NOT_HTTP
        self._is_discarding = False
        """Further data is discarded."""
        self._pending_refusal: RequestError | None = None
        """The refusal to send after the responses to the requests in progress."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for the first request."""
        super().connection_made(transport)
        self._set_read_timer(self._limits.header_timeout_s)
        host = self.client[0] if self.client else None
        if host is not None and not (self._proxies and self._proxies.trusts(host)):
            self._address = host
        self._exceeds_share = not self._open.add(self, self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        self._set_read_timer(None)
        self.stop_write_timer()
        self.stop_probing()
        self._open.remove(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes, whatever is under way
        """Note the end of the client's data; return whether to keep the connection open."""
        if self._is_free() or self._in_body or self.may_lag:
            return False  # a subscription ends with its client, also one that could read on
        cycle: Any = self.cycle
        cycle.keep_alive = False
        self._set_read_timer(None)
        is_quiet = not (self.pipeline or self._in_headers or cycle.response_started)
        self.probe_client(may_write=is_quiet and self.parser.get_http_version() == "1.1")
        return True

    def data_received(self, data: bytes) -> None:
        """Read data: a part of a request, or several requests."""
        if self._is_discarding:
            return
        self._received += len(data)
        before = self.requests
        super().data_received(data)
        if self._in_headers or self._in_body:
            self._limit_incomplete_request()
            return
        self._received = 0
        if self.requests > before:
            if self._read_timer is not None:
                self._set_read_timer(None)
        elif self._read_timer is None and self._is_free():
            # Only empty lines: without a timer they would keep an idle connection open for ever.
            self._set_read_timer(self._limits.header_timeout_s)

    def _is_idle(self) -> bool:
        """Return whether a request that arrives now is within the limits and could be fast."""
        at_work = len(self.tasks) - len(self._open.uncounted)
        return at_work < self._limits.concurrent_requests and super()._is_idle()

    def _limit_incomplete_request(self) -> None:
        limits = self._limits
        if self._is_discarding or self.transport.get_protocol() is not self:
            return
        if self._in_headers and self._received > limits.header_bytes:
            self._refuse(too_large("header_bytes", limits.header_bytes, 431))
        elif (
            self._in_body
            and self._received > limits.header_bytes + CHUNKED_OVERHEAD * limits.body_bytes
        ):
            self._refuse(too_large("body_bytes", limits.body_bytes, 413))
        elif self._read_timer is None:
            wait = limits.header_timeout_s if self._in_headers else limits.body_timeout_s
            self._set_read_timer(wait)
            if self._in_body:
                self._count_for_client()

    def on_message_begin(self) -> None:
        """Start to read a request."""
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        """Check the head of a request, and start to serve it."""
        if self.parser.should_upgrade():
            return  # The parser stops here: `start_websocket` is next, or the same head again.
        self._check_head()
        super().on_headers_complete()
        self._in_headers, self._in_body = False, True
        if self._is_probe:
            self._count()

    def start_cycle(self) -> None:
        """Serve a request by the normal ASGI path; one with a body must state its length."""
        if lacks_length(self.parser.get_method(), self.headers):
            self._reject(NO_LENGTH)
        super().start_cycle()
        # Do not mix trailers of a chunked body with the headers: proxies do not check them.
        self.headers = []
        # uvicorn does not let us choose the class; the cycle has not started yet.
        cycle: Any = self.cycle
        cycle.__class__, cycle.open_connections = SingleWriteCycle, self._open
        cycle.keep_alive_end, cycle.writes_once = self.keep_alive_end, self._writes_once
        self.offer_hold(cycle.scope)

    def _check_head(self) -> None:
        """Reject a request whose head exceeds a limit or is malformed."""
        limits = self._limits
        if self._read_timer is not None:
            self._set_read_timer(None)
        if self._received > limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.header_bytes:
                self._reject(too_large("header_bytes", limits.header_bytes, 431))
        if not _PATH.fullmatch(self.url):
            self.url, self.headers[:] = origin_form(self.url, self.headers)
            if not _PATH.fullmatch(self.url):
                self._reject(NOT_HTTP)
        self._is_probe = self.url.partition(b"?")[0] in PROBES
        if not self._is_probe:
            self._check_concurrency()
        if self.pipeline and len(self.pipeline) >= MAX_PIPELINED:
            self._reject(NOT_HTTP)

    def start_websocket(self, rest: bytes) -> None:
        """Hand the connection over to the WebSocket protocol."""
        try:
            self._check_head()
        except RequestError as error:
            self._refuse(error)
            return
        if not self._is_free():
            # Responses to earlier requests would be mixed with WebSocket frames.
            self._refuse(NOT_HTTP)
            return
        client = self._client()
        if self._address is None and not self._open.move(self, client):
            self._refuse(SHARE_EXCEEDED)
            return
        protocol_class: Any = self.ws_protocol_class  # uvicorn's annotation is too narrow
        protocol: BoundedWebSocketProtocol = protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        head = lines(self.headers)
        protocol.data_received(b"GET %b HTTP/1.1\r\n%b\r\n" % (self.url, head))
        if not protocol.handshake_initiated:
            self.connections.discard(protocol)
            self._refuse(protocol.refusal)
            return
        self.requests += 1
        self._in_headers = False
        self.connections.discard(self)
        self._open.remove(self)
        self._open.add(protocol, client)
        self.transport.set_protocol(protocol)
        if rest:
            protocol.data_received(rest)

    def _check_concurrency(self, with_this: int = 0) -> None:
        """Reject a request if too many are in progress."""
        limits = self._limits
        in_progress = len(self.tasks) - len(self._open.uncounted) - with_this
        if in_progress >= limits.concurrent_requests:
            self._reject(too_large("concurrent_requests", limits.concurrent_requests, 503))
        if self._exceeds_share:
            self._reject(SHARE_EXCEEDED)

    def _client(self) -> str | None:
        """Return the client's address, also for a client behind a trusted proxy."""
        if self._address is not None or self._proxies is None:
            return self._address
        scope: Any = self.scope  # uvicorn's type is another one
        client = self._proxies.forwarded(scope)["client"]
        return client[0] if client else None

    def _count_for_client(self) -> None:
        """Count a request with an incomplete body for its client only."""
        self._count()
        if self._address is None and not self._open.move(self, self._client()):
            self._refuse(SHARE_EXCEEDED)

    def _count(self) -> None:
        """Count this connection's task, unless it waits for its client or serves a probe."""
        is_exempt = self._in_body or self._is_probe or self.may_lag
        if is_exempt and not (self.pipeline or self._is_free() or self._is_discarding):
            self._open.uncounted.add(self)
        else:
            self._open.uncounted.discard(self)

    @property
    def was_served(self) -> bool:
        """Whether the connection has delivered a complete request."""
        return self.requests > 0

    def waits_since(self) -> float | None:
        """Return since when the connection waits for its client; None: it is busy."""
        if self._is_free() or (self._in_body and not self.pipeline):
            is_reading = self._read_timer is not None and not self._is_discarding
            return self._reading_since if is_reading else self._used_at
        return None

    def end(self) -> None:
        """Close the connection to make room for another."""
        if self._read_timer is not None or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def on_message_complete(self) -> None:
        """Serve a request that is complete."""
        if self.parser.should_upgrade():
            return
        if self._read_timer is not None:
            self._set_read_timer(None)
            if self in self._open.uncounted and not self._is_probe:
                self._open.uncounted.discard(self)
                self._check_concurrency(with_this=1)
            if self._address is None:
                self._open.move(self, None)
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Serve the next request, if the last one was read completely."""
        is_last = not self.pipeline
        self._used_at = self.loop.time()
        super().on_response_complete()
        self._count()
        if is_last and self._pending_refusal and not self.transport.is_closing():
            self._write_refusal(self._pending_refusal)
        elif not self.cycle.keep_alive:
            self.start_write_timer()
        elif self._in_body and self.cycle.response_complete:
            self._linger()

    def _close_idle(self) -> None:
        super()._close_idle()
        self.start_write_timer()

    def pause_writing(self) -> None:
        """Limit the time that the client takes to read."""
        super().pause_writing()
        self.start_write_timer()

    def send_400_response(self, msg: str) -> None:
        """Send the refusal of `_reject`, or that of a malformed request."""
        del msg
        self._refuse(self._refusal)

    def _reject(self, error: RequestError) -> None:
        """Abort the parser; uvicorn then calls `send_400_response`."""
        self._refusal = error
        raise error

    def _set_read_timer(self, wait_s: float | None) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        if wait_s is not None:
            self._read_timer = self.loop.call_later(wait_s, self._on_read_timeout)
            self._reading_since = self.loop.time()

    def _on_read_timeout(self) -> None:
        self._read_timer = None
        if not self._received:
            self.transport.close()
            return
        name = "header_timeout_s" if self._in_headers else "body_timeout_s"
        most = getattr(self._limits, name)
        text = f"The request did not arrive within {most:g} s (limits.{name})."
        self._refuse(RequestError(408, text, "LIMIT_EXCEEDED"))

    def _refuse(self, error: RequestError) -> None:
        """Send an error response instead of the application's, and discard further data."""
        if self._is_discarding or self.transport.is_closing():
            return
        self._is_discarding = True
        self._set_read_timer(None)
        self._count()
        cycle: RequestResponseCycle | None = self.cycle
        if self._in_body and cycle is not None and not cycle.response_complete:
            if self.pipeline:
                self.pipeline.popleft()  # It has not started.
                self._in_body = False
            elif cycle.response_started:
                self.transport.close()
                return
            else:
                cycle.disconnected = True
                cycle.message_event.set()
                self.tasks.discard(self._fast_cycle)
                self._write_refusal(error)
                return
        if self._is_free():
            self._write_refusal(error)
        else:
            self._pending_refusal = error

    def _write_refusal(self, error: RequestError) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(refusal_bytes(error, is_head=self.reads_head()))
        self._linger()

    def _linger(self) -> None:
        """Discard further data for a while: closing at once could destroy the response (RST)."""
        self._is_discarding = True
        self._set_read_timer(None)
        self._count()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._read_timer = self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()
