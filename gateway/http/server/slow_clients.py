"""Clients that do not take what they are sent."""

import asyncio

LEAST_TAKEN = 64 * 1024
"""Bytes of its answer that a client takes in `send_timeout_s`, or else all that is left."""


class WriteTimeout:
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
