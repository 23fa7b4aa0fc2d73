"""Clients that close their side of a connection and wait for the response (RFC 9112, 9.6).

They look like clients that have disconnected until something is sent: the system of a disconnected
client replies with a reset. Hence send `100 Continue`, which a client that does not expect it
discards (RFC 9110, 15.2.1), and check the socket periodically.
"""

import asyncio
import socket

FIRST_PROBE_S = 0.05
PROBE_INTERVAL_S = 0.5

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HalfClosed:
    """Close half-closed connections whose client has disconnected."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _probe_timer: asyncio.TimerHandle | None = None

    def probe_client(self, *, may_write: bool) -> None:
        """Start to check periodically whether the client is still connected."""
        if may_write:
            self.transport.write(CONTINUE)
        self._probe_timer = self.loop.call_later(FIRST_PROBE_S, self._check_client)

    def stop_probing(self) -> None:
        """Stop the checks: the connection is lost."""
        if self._probe_timer is not None:
            self._probe_timer.cancel()
            self._probe_timer = None

    def _check_client(self) -> None:
        self._probe_timer = None
        connection = self.transport.get_extra_info("socket")
        if connection is None or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self._probe_timer = self.loop.call_later(PROBE_INTERVAL_S, self._check_client)
