"""Clients that do not read their responses."""

import asyncio

MIN_PROGRESS = 64 * 1024
"""Bytes that a client must read within `send_timeout_s`, unless fewer are left."""


class WriteTimeout:
    """Close connections whose client does not read."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _send_timeout_s: float
    _left = 0
    _write_timer: asyncio.TimerHandle | None = None

    @property
    def may_lag(self) -> bool:
        """Whether the application decides how long the client may take to read."""
        return False

    def start_write_timer(self) -> None:
        """Require the client to read from now on."""
        if self._write_timer is None:
            self._left = self.transport.get_write_buffer_size()
            self._write_timer = self.loop.call_later(self._send_timeout_s, self._check_progress)

    def stop_write_timer(self) -> None:
        """Stop the timer: the connection is lost."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _check_progress(self) -> None:
        self._write_timer = None
        left = self.transport.get_write_buffer_size()
        if left and left > self._left - MIN_PROGRESS and not self.may_lag:
            self.transport.abort()
        elif left:
            self.start_write_timer()
