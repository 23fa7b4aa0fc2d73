"""WebSocket: uvicorn's, with bounds for clients that are slow or send much."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from gateway.http.server.slow_clients import Taken
from gateway.limits.settings import LimitSettings

MOST_PARTS = 1000
"""Frames of one WebSocket message."""

MOST_PINGS = 100
"""Of a WebSocket in one second."""

READ_AT_ONCE = 8 * 1024
"""Bytes of a WebSocket: uvloop hands on 256 KiB, which would be 40,000 frames in one piece."""


class BoundedWebSocket(Taken, WebSocketsSansIOProtocol):
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
