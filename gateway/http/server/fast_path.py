"""Plain requests, answered past ASGI: what it costs is more than what most of them ask.

An application may have a method `again`, which is shown the head of each POST as an ASGI scope; it
returns what answers the bodies behind such a head, or None where it wants to be called as ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from gateway.http.server.proxies import proxies_of
from gateway.http.server.repeated_heads import FastPathHandler, RawResponse, RepeatedHeads
from gateway.http.server.upgrades import UpgradingHttp

GRACE_S = 1.0
"""How much longer a connection is kept than clients are told: a request may be on its way."""

CLOSES = b"connection: close\r\n\r\n"
"""The last header of a connection's last answer."""

Reads = Callable[[Scope], FastPathHandler | None]


class _Request:
    """What uvicorn looks at of a request and its task: one stands for all of a connection's."""

    keep_alive = True
    disconnected = False
    response_started = False
    response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()

    def cancel(self, msg: str) -> None:
        """Do nothing: it has not been begun, and its connection is closed by uvicorn."""


class FastPathProtocol(UpgradingHttp):
    """HTTP/1.1 as uvicorn speaks it, but for requests that the application answers directly.

    Those are POSTs with a body of known length that nothing else of their connection is waiting
    for. Whoever hangs up, or does not wait for an answer, is treated as ever.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Serve one connection."""
        super().__init__(config, server_state, app_state, _loop)
        self.goes_on = b"connection: keep-alive\r\nkeep-alive: timeout=%d\r\n\r\n" % (
            config.timeout_keep_alive
        )
        """The last headers of an answer that is not the last one (RFC 9112, C.2.2)."""
        self.requests = 0
        """How many came whole so far."""
        self._reads = _reads(self.app)
        self._repeats = RepeatedHeads()
        self._is_between = True
        """No part of a request has come yet."""
        self._again: FastPathHandler | None = None
        """What answers the request that is being read, or was read last; None: as ever."""
        self._body = bytearray()
        """What has come of it …"""
        self._length = 0
        """… and how long the last one was."""
        self._may_be_direct = False
        """Of several requests that came in one piece only the first may: others get their turn."""
        self._direct: Any = _Request()
        self._answering: asyncio.Task[None] | None = None
        self._used_at = 0.0
        """When the newest answer was sent, on the loop's clock."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is read for nobody."""
        if self._answering is not None:
            self._answering.cancel()
        self.tasks.discard(self._direct)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, or of several."""
        begins = self._is_between and self._is_idle()
        if begins:
            answer = self._repeats.answer(data)
            if answer is not None:
                self.requests += 1
                self._send(answer)
                return
        before = self.requests
        self._may_be_direct = begins
        super().data_received(data)
        is_one = begins and self._is_between and self.requests == before + 1
        if is_one and self._again is not None:
            self._repeats.keep(data, self._length, self._again)

    def on_message_begin(self) -> None:
        """Read a request."""
        super().on_message_begin()
        self._is_between = False

    def on_headers_complete(self) -> None:
        """Find out how a request is answered."""
        self._again = self._again_of_this() if self._may_be_direct else None
        self._may_be_direct = False
        if self._again is None:
            super().on_headers_complete()
            return
        self.cycle = self._direct
        self._direct.response_complete = False
        self.tasks.add(self._direct)

    def on_body(self, body: bytes) -> None:
        """Read a part of a body."""
        if self._again is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer a request that came whole."""
        self._is_between = True
        self.requests += 1
        if self._again is None:
            super().on_message_complete()
        else:
            self.tasks.discard(self._direct)
            body, self._length = bytes(self._body), len(self._body)
            self._body.clear()
            self._send(self._again(body))

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle: requests do not touch the timer, it looks itself."""
        now = self.loop.time()
        used_at = self._used_at if self._direct.response_complete else now
        left = used_at + self.timeout_keep_alive + GRACE_S - now
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(
                left, self.timeout_keep_alive_handler
            )
        else:
            self._close_idle()

    def _close_idle(self) -> None:
        super().timeout_keep_alive_handler()

    def _is_idle(self) -> bool:
        """Tell whether a request that came now could be answered directly."""
        return self._is_free() and not self.flow.write_paused and not self.transport.is_closing()

    def _is_free(self) -> bool:
        """Tell whether no request of this connection is under way."""
        # Before the first there is no cycle, whatever uvicorn's annotation says.
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _again_of_this(self) -> FastPathHandler | None:
        parser = self.parser
        if (
            self._reads is None
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or self.expect_100_continue
        ):
            return None
        self.scope["method"] = "POST"
        self.scope["raw_path"] = self.url
        scope: Any = self.scope  # uvicorn's type is another one
        return self._reads(scope)

    def _send(self, answer: RawResponse | Coroutine[Any, Any, RawResponse]) -> None:
        self.cycle = self._direct
        if isinstance(answer, RawResponse):
            self._write(answer)
        else:
            self._direct.response_complete = False
            self._answering = self.loop.create_task(self._send_later(answer))
            self.tasks.add(self._answering)

    async def _send_later(self, coming: Coroutine[Any, Any, RawResponse]) -> None:
        try:
            answer = await coming
        except BaseException:
            self.transport.abort()
            raise
        finally:
            if self._answering is not None:
                self.tasks.discard(self._answering)
                self._answering = None
        self._write(answer)

    def _write(self, answer: RawResponse) -> None:
        cycle = self._direct
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        end = self.goes_on if cycle.keep_alive else CLOSES
        head = STATUS_LINE[answer.status], answer.lines, end
        self.transport.write(b"".join((*head, answer.body)))
        self._used_at = self.loop.time()
        if not cycle.keep_alive:
            self.transport.close()
        if self.timeout_keep_alive_task is None or self.pipeline or not cycle.keep_alive:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1


def _reads(app: Any) -> Reads | None:
    """Return what an application reads heads by."""
    proxies = proxies_of(app)
    if proxies is None:
        found: Reads | None = getattr(app, "again", None)
        return found
    inner = _reads(app.app)
    if inner is None:
        return None
    return lambda scope: inner(proxies.forwarded(scope))
