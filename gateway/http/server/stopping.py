"""Close connections when the server stops, without losing a request that was sent."""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable

FIRST_REQUEST_S = 1.0
"""How long a new connection may take to send its first request."""


class StopsGracefully:
    """An HTTP protocol that responds to requests that were sent before it closes."""

    transport: asyncio.Transport
    requests: int
    end_held_response: Callable[[], None]
    _is_discarding: bool
    _received: int
    _is_free: Callable[[], bool]
    _set_read_timer: Callable[[float | None], None]

    def shutdown(self) -> None:
        """Close the connection now, or after its next response."""
        self.end_held_response()
        if not self._is_free() or self._is_discarding:
            super().shutdown()  # type: ignore[misc]  # uvicorn's protocol has it
        elif self._received or _has_unread_data(self.transport):
            return  # the response to that request closes the connection
        elif self.requests:
            self.transport.close()
        else:
            self._set_read_timer(FIRST_REQUEST_S)


def _has_unread_data(transport: asyncio.Transport) -> bool:
    """Return whether the client has sent something that the event loop has not read yet.

    Closing would then reset the connection: the client could not tell whether it was served.
    """
    connection = transport.get_extra_info("socket")
    try:
        count = fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4))
    except (AttributeError, OSError):
        return False
    return bool(struct.unpack("i", count)[0])
