"""Answers of applications that come whole: written in one piece."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.http.graphql_over_http import lines
from gateway.http.server.fast_path import CLOSES

_CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""Of these only the ends of lines may stand in the headers of an answer."""

_FRAMING = frozenset((b"connection", b"transfer-encoding"))
"""Headers of an answer that decide what follows it."""


class SingleWriteCycle(RequestResponseCycle):
    """A request and its answer; an answer that comes whole is written in one piece."""

    goes_on = b"\r\n"
    """What ends the headers where the connection goes on."""
    writes_once = True

    _start: Any = None

    async def send(self, message: Any) -> None:
        """Hold the start back until the body comes.

        Uvicorn writes them one by one, and looks through each header by regular expressions. All
        that is not usual is left to it: parts, HEAD, a connection's last answer, headers that
        break out of their lines.
        """
        if not self.response_started and message["type"] == "http.response.start":
            self._start = message
            self.response_started = True
            self.waiting_for_100_continue = False
            return
        start, self._start = self._start, None
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
        self.transport.write(head + message.get("body", b""))
        self.response_complete = True
        self.message_event.set()
        self.on_response()

    def _head(self, start: Any, message: Any) -> bytes | None:
        """Return what goes before the body; None: uvicorn has to send the answer."""
        headers = [*self.default_headers, *start["headers"]]
        length = b"%d" % len(message.get("body", b""))
        if (
            not (self.writes_once or self.more_body)
            or message["type"] != "http.response.body"
            or message.get("more_body", False)
            or not self.keep_alive
            or self.scope["method"] == "HEAD"
            or (b"content-length", length) not in headers
            or not _FRAMING.isdisjoint([name for name, _ in headers])
        ):
            return None
        head = STATUS_LINE[start["status"]] + lines(headers)
        ends = len(head) - len(head.translate(None, _CONTROLS))
        if ends != 2 * (len(headers) + 1):
            return None
        # An answer that comes before the whole request is the last one: a proxy that is not told
        # would send the next request, somebody else's, into a connection that ends.
        return head + (CLOSES if self.more_body else self.goes_on)

    def _with_connection(self, start: Any) -> Any:
        """Return the start of an answer, with how long its connection is kept if it is."""
        if not self.keep_alive or any(name == b"connection" for name, _ in start["headers"]):
            return start
        pairs = [line.split(b": ", 1) for line in self.goes_on.splitlines() if line]
        return {**start, "headers": [*start["headers"], *map(tuple, pairs)]}
