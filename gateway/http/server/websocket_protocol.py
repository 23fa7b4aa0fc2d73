"""uvicorn's WebSocket protocol with limits for clients that are slow or send too much."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidHandshake
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from gateway.http.server.connections import OpenConnections
from gateway.http.server.light_waiting import Flag, MessageQueue
from gateway.http.server.refusals import HANDSHAKE_TOO_LARGE, INVALID_HANDSHAKE
from gateway.http.server.slow_clients import WriteTimeout

MAX_PARTS = 1000
"""Frames of one WebSocket message."""

MAX_PINGS = 100
"""Per second and connection."""

READ_AT_ONCE = 8 * 1024
"""Bytes: uvloop delivers up to 256 KiB, which could be 40,000 frames at once."""

PING_S = 20.0
"""How often a client is pinged, and how long it may take to reply."""

ACTIVITY = "gateway.activity"
"""The scope extension in which the application reports a connection's activity."""


class Activity:
    """The activity of a connection."""

    operations = 0
    subscriptions = 0
    has_worked = False
    on_shutdown: Callable[[], None] | None = None
    """Called when the server stops, to end the operations and close the connection."""

    @property
    def only_subscribes(self) -> bool:
        """Whether the connection has subscriptions, and no other operation in progress."""
        return self.subscriptions > 0 and not self.operations


class BoundedWebSocketProtocol(WriteTimeout, WebSocketsSansIOProtocol):
    """WebSocket with limits for clients that do not read, or only hold a connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: OpenConnections,
    ) -> None:
        """Serve one connection whose handshake the HTTP protocol has read."""
        super().__init__(config, server_state, app_state, _loop)
        limits = open_connections.limits
        self._send_timeout_s = limits.send_timeout_s
        self._handshake_timeout_s = limits.header_timeout_s
        self.close_timeout = min(self.close_timeout, limits.send_timeout_s)
        self._open = open_connections
        self._activity = Activity()
        self._active_at = self.loop.time()
        self.refusal = HANDSHAKE_TOO_LARGE
        """Why the handshake was not initiated, if it was not."""
        self._early = b""
        """Data that arrived before the response to the handshake."""
        self._closing_timer: asyncio.TimerHandle | None = None
        self._was_closing = False
        self._pings, self._second = 0, 0.0
        self.queue: Any = MessageQueue()
        self.writable: Any = Flag()
        self.scope: Any
        self.request: Any = None
        self.response: Any = None

    def data_received(self, data: bytes) -> None:
        """Read data in small parts, until the connection is closing."""
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            if len(self._early) > READ_AT_ONCE:
                self.transport.abort()
            return
        for start in range(0, len(data), READ_AT_ONCE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + READ_AT_ONCE])

    def handle_connect(self, event: Request) -> None:
        """Start a timer for the handshake, and the application's task."""
        try:
            self.conn.process_request(event)
        except InvalidHandshake:
            self.refusal = INVALID_HANDSHAKE
            return
        super().handle_connect(event)
        self._closing_timer = self.loop.call_later(self._handshake_timeout_s, self._check_close)
        # Its task waits for the client; the application counts its operations.
        self._open.uncounted.add(self)
        extensions: Any = self.scope["extensions"]
        extensions[ACTIVITY] = self._activity

    async def send(self, message: Any) -> None:
        """Send a message of the application; after the handshake, read early data."""
        await super().send(message)
        self._active_at = self.loop.time()
        if self.handshake_complete and self.request is not None:
            # A quarter of the memory of an idle connection: nobody reads the handshake any more.
            self.request.headers.clear()  # the parser keeps the request
            self.request = self.response = None
            self.scope.clear()
        if self._early and self.handshake_complete and not self.close_sent:
            early, self._early = self._early, b""
            self.data_received(early)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Note the end of the application's task."""
        super().on_task_complete(task)
        self._open.uncounted.discard(self)

    @property
    def was_served(self) -> bool:
        """Whether the connection has delivered an operation."""
        return self._activity.has_worked

    def waits_since(self) -> float | None:
        """Return since when the connection waits for its client; None: it is busy."""
        is_busy = self._activity.operations or self._activity.subscriptions
        if is_busy and not self.transport.is_closing():
            return None
        return self._active_at

    def end(self) -> None:
        """Close the connection to make room for another."""
        if self.handshake_complete and not (self.close_sent or self.transport.is_closing()):
            self.conn.send_close(CloseCode.TRY_AGAIN_LATER)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _check_close(self) -> None:
        """Abort a connection whose handshake or closing takes too long."""
        self._closing_timer = None
        is_closing = self.transport.is_closing()
        if not self.handshake_complete or (is_closing and self._was_closing):
            self.transport.abort()
            return
        self._was_closing = is_closing
        self._closing_timer = self.loop.call_later(self._send_timeout_s, self._check_close)

    def handle_ping(self) -> None:
        """Reply to a ping; abort the connection for a flood of them."""
        now = self.loop.time()
        if now - self._second > 1:
            self._pings, self._second = 0, now
        self._pings += 1
        if self._pings <= MAX_PINGS:
            super().handle_ping()
        else:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Read a fragment of a message; limit their number, since they may be empty."""
        if len(self.frames) < MAX_PARTS:
            super().handle_cont(event)
        else:
            self.transport.abort()

    @property
    def may_lag(self) -> bool:
        """Whether the application decides how long the client may take to read."""
        return self._activity.only_subscribes

    def keepalive_timeout(self) -> None:
        """Close the connection unless the client has events to read before the ping."""
        if self.may_lag and not self.writable.is_set():
            self.pong_timer = self.loop.call_later(PING_S, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    def shutdown(self) -> None:
        """Close the connection; the application first ends its operations."""
        if self.handshake_complete and self._activity.on_shutdown is not None:
            self._activity.on_shutdown()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Limit the time that the client takes to read."""
        super().pause_writing()
        self.start_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        self.stop_write_timer()
        if self._closing_timer is not None:
            self._closing_timer.cancel()
            self._closing_timer = None
        self._open.remove(self)
        super().connection_lost(exc)
