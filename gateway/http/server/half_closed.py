"""Clients that close their side of a connection and wait for the answer (RFC 9112, 9.6).

They cannot be told from clients that have left until something is sent to them: the system of a
client that has left answers with a reset. Hence `100 Continue`, which a client that has not
expected it discards (RFC 9110, 15.2.1), and a look at the socket now and then.
"""

import asyncio
import socket

FIRST_LOOK_S = 0.05
NEXT_LOOK_S = 0.5

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HalfClosed:
    """Ends connections whose client has left."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _looking: asyncio.TimerHandle | None = None

    def look_for_client(self, *, may_write: bool) -> None:
        """Start to find out whether the client is still there."""
        if may_write:
            self.transport.write(CONTINUE)
        self._looking = self.loop.call_later(FIRST_LOOK_S, self._look_for_client)

    def stop_looking(self) -> None:
        """Stop that: the connection is lost."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look_for_client(self) -> None:
        self._looking = None
        connection = self.transport.get_extra_info("socket")
        if connection is None or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self._looking = self.loop.call_later(NEXT_LOOK_S, self._look_for_client)
