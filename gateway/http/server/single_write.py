"""Write complete responses of the application in one piece."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.http.graphql_over_http import lines
from gateway.http.server.connections import OpenConnections
from gateway.http.server.fast_path import CLOSE_END

_CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""Of these only line endings may occur in the headers of a response."""

_FRAMING = frozenset((b"connection", b"transfer-encoding"))
"""Response headers that decide how the connection continues."""


class SingleWriteCycle(RequestResponseCycle):
    """A request and its response; a complete response is written in one piece."""

    open_connections: OpenConnections
    keep_alive_end = b"\r\n"
    """The end of the headers if the connection stays open."""
    writes_once = True

    _start: Any = None

    async def send(self, message: Any) -> None:
        """Hold the start back until the body follows.

        uvicorn writes them separately, and checks each header by regular expressions. Unusual
        responses are left to it: streamed bodies, a connection's last response, headers with line
        breaks.
        """
        if not self.response_started and message["type"] == "http.response.start":
            self._start = message
            self.response_started = True
            self.waiting_for_100_continue = False
            return
        start, self._start = self._start, None
        if self.open_connections.is_stopping:
            self.keep_alive = False
        head = None if start is None else self._head(start, message)
        if head is None:
            if start is not None:
                self.response_started = False
                await super().send(self._with_connection(start))
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        is_head = self.scope["method"] == "HEAD"
        self.transport.write(head if is_head else head + message.get("body", b""))
        self.response_complete = True
        self.message_event.set()
        self.on_response()

    def _head(self, start: Any, message: Any) -> bytes | None:
        """Return the serialised head; None: uvicorn has to send the response."""
        headers = [*self.default_headers, *start["headers"]]
        length = b"%d" % len(message.get("body", b""))
        if (
            not (self.writes_once or self.more_body)
            or message["type"] != "http.response.body"
            or message.get("more_body", False)
            or not self.keep_alive
            or (b"content-length", length) not in headers
            or not _FRAMING.isdisjoint([name for name, _ in headers])
        ):
            return None
        head = STATUS_LINE[start["status"]] + lines(headers)
        controls = len(head) - len(head.translate(None, _CONTROLS))
        if controls != 2 * (len(headers) + 1):
            return None
        # A response that is sent before the request is complete ends the connection. A proxy must
        # know, or it would send another client's request into a connection that is closing.
        return head + (CLOSE_END if self.more_body else self.keep_alive_end)

    def _with_connection(self, start: Any) -> Any:
        """Return the start of a response, with the keep-alive headers if the connection stays."""
        self.keep_alive &= not self.more_body  # as in `_head`
        if not self.keep_alive or any(name == b"connection" for name, _ in start["headers"]):
            return start
        pairs = [line.split(b": ", 1) for line in self.keep_alive_end.splitlines() if line]
        return {**start, "headers": [*start["headers"], *map(tuple, pairs)]}
