"""The server's end of a connection: uvicorn's, with bounds for clients that are slow or send much.

The bounds act on what is unusual: a request that came whole, and whose answer was taken, costs no
timer. Its answer is written at once.
"""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from gateway.graphql_http import RequestError, lines, refused_as_whole
from gateway.limits import LimitSettings
from gateway.server.repeats import EXTENSION, Answer, Repeats
from gateway.server.slow_clients import Taken

MOST_WAITING = 10
"""Requests of one connection that wait for the one before (pipelining)."""

LINGER_S = 1.0
"""How long a client that is still sending may do so, to read meanwhile why it is refused."""

CHUNKING = 1.25
"""How many times `body_bytes` a chunked body may take on the wire: tiny chunks cost much CPU."""

END_OF_LINE = b"\r\n"

CLOSES = b"connection: close\r\n\r\n"
"""The last header of a connection's last answer, and its end."""

NO_HTTP = RequestError(400, "This is no HTTP request.")

_PATH = re.compile(rb"/[!-~]*")

_CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""Of these only the ends of lines may stand in the headers of an answer."""

_FRAMING = frozenset((b"connection", b"transfer-encoding"))
"""Headers of an answer that decide what follows it."""


class _Cycle(RequestResponseCycle):
    """A request and its answer; an answer that comes whole is written in one piece."""

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
                await super().send(start)
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
            message["type"] != "http.response.body"
            or message.get("more_body", False)
            or not self.keep_alive
            or self.scope["method"] == "HEAD"
            or (b"content-length", length) not in headers
            or not _FRAMING.isdisjoint([name for name, _ in headers])
        ):
            return None
        head = b"%b%b\r\n" % (STATUS_LINE[start["status"]], lines(headers))
        ends = len(head) - len(head.translate(None, _CONTROLS))
        return head if ends == 2 * (len(headers) + 2) else None


class BoundedHttp(Taken, HttpToolsProtocol):
    """HTTP/1.1, with bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: LimitSettings,
    ) -> None:
        """Serve one connection."""
        super().__init__(config, server_state, app_state, _loop)
        # Uvicorn words a line for each request, also where nobody reads it.
        self.access_log = False
        self._limits = limits
        self._send_timeout_s = limits.send_timeout_s
        self._received = 0
        """Bytes since the last request was read to its end."""
        self._in_headers = True
        self._in_body = False
        self._patience: asyncio.TimerHandle | None = None
        """For the rest of the request that is being read."""
        self._refusal = NO_HTTP
        self._is_refused = False
        self._repeats = Repeats()
        self._used_at = 0.0
        """When the last request past the parser was answered, on the loop's clock."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a request."""
        super().connection_made(transport)
        self._be_patient(self._limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all timers, and end what is read for nobody."""
        self._be_patient(None)
        self.unwatch()
        if self._repeats.running is not None:
            self._repeats.running.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, or of several."""
        if self._is_refused:
            return
        if self._repeats.running is not None:
            self._repeats.held += data
            self.flow.pause_reading()
            return
        begins = not self._received and self._is_idle()
        if begins:
            answer = self._repeats.begin(data)
            if answer is not None:
                self._answer_repeat(answer)
                return
        self._received += len(data)
        super().data_received(data)
        if self._in_headers or self._in_body:
            self._wait_for_the_rest()
            return
        self._received = 0
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return
        if cycle.response_complete and self._patience is None:
            # Nothing but empty lines, which would keep an idle connection for ever.
            self._be_patient(self._limits.header_timeout_s)
        elif begins and cycle.keep_alive and not self.pipeline:
            self._let_repeat(data, cycle)

    def _is_idle(self) -> bool:
        """Tell whether a request that came now would be the only one, and be answered at once."""
        cycle: RequestResponseCycle | None = self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and len(self.tasks) < self._limits.concurrent_requests
            and not self.transport.is_closing()
        )

    def _let_repeat(self, data: bytes, cycle: RequestResponseCycle) -> None:
        """Let whoever answers this request offer to answer others like it."""
        names = [name for name, _ in cycle.scope["headers"]]
        if b"content-length" in names and b"transfer-encoding" not in names:
            learn = self._repeats.offered(data, len(cycle.body))
            if learn is not None:
                extensions: dict[str, Any] = {EXTENSION: learn}
                cycle.scope["extensions"] = extensions

    def _answer_repeat(self, answer: Answer | Coroutine[Any, Any, Answer]) -> None:
        if self._patience is not None:
            self._be_patient(None)
        if isinstance(answer, Answer):
            self._write(answer)
        else:
            task = self._repeats.running = self.loop.create_task(self._write_later(answer))
            self.tasks.add(task)

    async def _write_later(self, coming: Coroutine[Any, Any, Answer]) -> None:
        repeats = self._repeats
        try:
            answer = await coming
        except BaseException:
            self.transport.abort()
            raise
        finally:
            if repeats.running is not None:
                self.tasks.discard(repeats.running)
                repeats.running = None
        self._write(answer)
        if repeats.held and not self.transport.is_closing():
            held, repeats.held = bytes(repeats.held), bytearray()
            self.flow.resume_reading()
            self.data_received(held)

    def _write(self, answer: Answer) -> None:
        if self.transport.is_closing():
            return
        end = CLOSES if self._repeats.closes else END_OF_LINE
        head = STATUS_LINE[answer.status], answer.lines, end
        self.transport.write(b"".join((*head, answer.body)))
        self.server_state.total_requests += 1
        self._used_at = self.loop.time()
        if self._repeats.closes:
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)

    def shutdown(self) -> None:
        """Close the connection, once what is being answered was."""
        if self._repeats.running is None:
            super().shutdown()
        else:
            self._repeats.closes = True

    def _wait_for_the_rest(self) -> None:
        limits = self._limits
        if self._is_refused or self.transport.get_protocol() is not self:
            return
        if self._in_headers and self._received > limits.header_bytes:
            self._refuse(_too_large("header_bytes", limits.header_bytes, 431))
        elif self._in_body and self._received > limits.header_bytes + CHUNKING * limits.body_bytes:
            self._refuse(_too_large("body_bytes", limits.body_bytes, 413))
        elif self._patience is None:
            wait = limits.header_timeout_s if self._in_headers else limits.body_timeout_s
            self._be_patient(wait)

    def on_message_begin(self) -> None:
        """Read a request."""
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        """Start to answer a request whose headers were read."""
        limits = self._limits
        if self._patience is not None:
            self._be_patient(None)
        if self._received > limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.header_bytes:
                self._stop(_too_large("header_bytes", limits.header_bytes, 431))
        if not _PATH.fullmatch(self.url):
            # With a host in it two of them could differ.
            self._stop(NO_HTTP)
        if len(self.tasks) >= limits.concurrent_requests:
            most = limits.concurrent_requests
            self._stop(_too_large("concurrent_requests", most, 503))
        if self.pipeline and len(self.pipeline) >= MOST_WAITING:
            self._stop(NO_HTTP)
        self._in_headers, self._in_body = False, True
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            # What stands behind a chunked body (trailers) is no header: no proxy looked at it.
            self.headers = []
            # Uvicorn names the class itself; nothing of the cycle ran yet.
            self.cycle.__class__ = _Cycle

    def on_message_complete(self) -> None:
        """Know that all of a request was read."""
        if self._patience is not None:
            self._be_patient(None)
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Take the next request, if the last one was read to its end."""
        super().on_response_complete()
        if not self.cycle.keep_alive:
            self.watch()
        elif self._in_body and self.cycle.response_complete:
            self._linger()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle: a repeated request does not touch the timer."""
        now = self.loop.time()
        used_at = now if self._repeats.running is not None else self._used_at
        left = used_at + self.timeout_keep_alive - now
        if left > 0:
            self._keep_alive(left)
            return
        super().timeout_keep_alive_handler()
        self.watch()

    def _keep_alive(self, wait_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            wait_s, self.timeout_keep_alive_handler
        )

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self.watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be read, or what `_stop` says."""
        del msg
        self._refuse(self._refusal)

    def _stop(self, error: RequestError) -> None:
        """Leave the parser: uvicorn then calls `send_400_response`."""
        self._refusal = error
        raise error

    def _be_patient(self, wait_s: float | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if wait_s is not None:
            self._patience = self.loop.call_later(wait_s, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if not self._received:
            self.transport.close()
            return
        name = "header_timeout_s" if self._in_headers else "body_timeout_s"
        most = getattr(self._limits, name)
        text = f"The request did not come within {most:g} s (limits.{name})."
        self._refuse(RequestError(408, text, "LIMIT_EXCEEDED"))

    def _refuse(self, error: RequestError) -> None:
        """Answer in the place of the application, and let nothing more in."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            # That may be an earlier request, whose answer this is not.
            if cycle.response_started or not self._in_body:
                self.transport.close()
                return
        begun, body = refused_as_whole(error)
        head = STATUS_LINE[error.status], lines(begun["headers"]), b"\r\n"
        self.transport.write(b"".join((*head, body)))
        self._linger()

    def _linger(self) -> None:
        """Drop what is still sent: a connection that is closed on it takes the answer along."""
        self._is_refused = True
        self._be_patient(None)
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._patience = self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()


def _too_large(name: str, most: int, status: int) -> RequestError:
    text = f"{name} is more than the {most} that are allowed (limits.{name})."
    return RequestError(status, text, "LIMIT_EXCEEDED")
