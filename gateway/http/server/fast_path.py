"""Serve simple requests without ASGI, which takes more time than most of the requests.

An application may have a method `fast_path_handler`, which gets the head of a POST as an ASGI
scope, without the headers in `PER_REQUEST`. It returns a handler for all such heads, or None to
use the normal ASGI path.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from gateway.http.graphql_over_http import Header
from gateway.http.server.connections import OpenConnections
from gateway.http.server.proxies import proxies_of
from gateway.http.server.repeated_heads import (
    PER_REQUEST,
    FastPathHandler,
    HeadHandler,
    RawResponse,
    RepeatedHeads,
    SimilarHeads,
)
from gateway.http.server.upgrades import UpgradingHttp

GRACE_S = 1.0
"""How much longer a connection stays open than announced: a request may be in transit."""

CLOSE_END = b"connection: close\r\n\r\n"
"""The last header of a connection's last response."""

HandlerFinder = Callable[[Scope], HeadHandler | None]


class _FastPathCycle:
    """What uvicorn reads of a request cycle and of its task: one object for all fast requests."""

    keep_alive = True
    disconnected = False
    response_started = False
    response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()

    def cancel(self, msg: str) -> None:
        """Do nothing: there is no task, and uvicorn closes the connection."""


class FastPathProtocol(UpgradingHttp):
    """uvicorn's HTTP/1.1, except for requests that the application can handle directly.

    Those are POSTs with a known length, while no other request of the connection is in progress.
    Pipelining and disconnects are handled by uvicorn.
    """

    _open: OpenConnections

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Serve one connection."""
        super().__init__(config, server_state, app_state, _loop)
        self.keep_alive_end = b"connection: keep-alive\r\nkeep-alive: timeout=%d\r\n\r\n" % (
            config.timeout_keep_alive
        )
        """The last headers of a response that is not the connection's last (RFC 9112, C.2.2)."""
        self.requests = 0
        """The number of complete requests so far."""
        self._handler_for = _handler_finder(self.app)
        self.forget_heads()
        self._is_between_requests = True
        """No part of the next request has arrived."""
        self._handler: FastPathHandler | None = None
        """Handles the request that is being read, or was read last; None: the ASGI path does."""
        self._body = bytearray()
        """The part of the body that has arrived."""
        self._length = 0
        """The length of the last complete body."""
        self._own: Sequence[Header] = ()
        """The headers in `PER_REQUEST` of the head that was read last."""
        self._similar: Any = None
        """The handler of heads similar to it."""
        self._may_use_fast_path = False
        """Only for the first of several requests in one segment: other clients get a turn."""
        self._fast_cycle: Any = _FastPathCycle()
        self._response_task: asyncio.Task[None] | None = None
        self._used_at = 0.0
        """When the last response was sent, on the loop's clock."""

    def forget_heads(self) -> None:
        """Read the heads of further requests again: they may mean something else now."""
        self._repeated_heads = RepeatedHeads()
        self._similar_heads = SimilarHeads()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request in progress."""
        if self._response_task is not None:
            self._response_task.cancel()
        self.tasks.discard(self._fast_cycle)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read data: a part of a request, or several requests."""
        is_new = self._is_between_requests and self._is_idle()
        if is_new:
            response = self._repeated_heads.handle(data)
            if response is not None:
                self.requests += 1
                self._send(response)
                return
        else:
            self._unset_keepalive_if_required()
        before = self.requests
        self._may_use_fast_path = is_new
        super().data_received(data)
        if not is_new:
            return
        is_one_request = self._is_between_requests and self.requests == before + 1
        if not is_one_request or self._handler is None:
            # Fast requests leave the timer alone: setting one takes as long as reading the head.
            self._unset_keepalive_if_required()
        else:
            self._repeated_heads.add(data, self._length, self._own, self._handler, self._similar)

    def on_message_begin(self) -> None:
        """Start to read a request."""
        super().on_message_begin()
        self._is_between_requests = False

    def on_headers_complete(self) -> None:
        """Choose the path that serves the request."""
        self._handler = self._find_handler() if self._may_use_fast_path else None
        self._may_use_fast_path = False
        if self._handler is None:
            self.start_cycle()
            return
        self.cycle = self._fast_cycle
        self._fast_cycle.response_complete = False
        self.tasks.add(self._fast_cycle)

    def start_cycle(self) -> None:
        """Serve a request by the normal ASGI path."""
        # To be ignored in a request of HTTP/1.0 (RFC 9110, 10.1.1).
        self.expect_100_continue &= self.parser.get_http_version() == "1.1"
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Read a part of a body."""
        if self._handler is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Serve a complete request."""
        self._is_between_requests = True
        self.requests += 1
        if self._handler is None:
            super().on_message_complete()
        else:
            self.tasks.discard(self._fast_cycle)
            body, self._length = bytes(self._body), len(self._body)
            self._body.clear()
            self._send(self._handler(body))

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; fast requests do not reset the timer, so check their time."""
        now = self.loop.time()
        used_at = self._used_at if self._fast_cycle.response_complete else now
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
        """Return whether a request that arrives now could use the fast path."""
        return self._is_free() and not self.flow.write_paused and not self.transport.is_closing()

    def _is_free(self) -> bool:
        """Return whether no request of this connection is in progress."""
        # Before the first request there is no cycle, despite uvicorn's annotation.
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _find_handler(self) -> FastPathHandler | None:
        parser = self.parser
        if (
            self._handler_for is None
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or self.expect_100_continue
        ):
            return None
        own: list[Header] = []
        lasting: list[Header] = []
        for header in self.headers:
            (own if header[0] in PER_REQUEST else lasting).append(header)
        key = self.url, tuple(lasting)
        handler = self._similar_heads.get(key)
        if handler is None:
            scope = {**self.scope, "method": "POST", "raw_path": self.url, "headers": lasting}
            handler = self._handler_for(scope)
            if handler is None:
                return None
            self._similar_heads.add(key, handler)
        self._own, self._similar = own, handler
        return handler(own)

    def _send(self, response: RawResponse | Coroutine[Any, Any, RawResponse]) -> None:
        self.cycle = self._fast_cycle
        if isinstance(response, RawResponse):
            self._write(response)
        else:
            self._fast_cycle.response_complete = False
            self._response_task = self.loop.create_task(self._send_later(response))
            self.tasks.add(self._response_task)

    async def _send_later(self, running: Coroutine[Any, Any, RawResponse]) -> None:
        try:
            response = await running
        except BaseException:
            self.transport.abort()
            raise
        finally:
            if self._response_task is not None:
                self.tasks.discard(self._response_task)
                self._response_task = None
        self._write(response)

    def _write(self, response: RawResponse) -> None:
        cycle = self._fast_cycle
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        if self._open.is_stopping:
            cycle.keep_alive = False
        end = self.keep_alive_end if cycle.keep_alive else CLOSE_END
        parts = STATUS_LINE[response.status], response.lines, end, response.body
        self.transport.write(b"".join(parts))
        self._used_at = self.loop.time()
        if not cycle.keep_alive:
            self.transport.close()
        if self.timeout_keep_alive_task is None or self.pipeline or not cycle.keep_alive:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1


def _handler_finder(app: Any) -> HandlerFinder | None:
    """Return the application's `fast_path_handler`, behind uvicorn's proxy middleware if used."""
    proxies = proxies_of(app)
    if proxies is None:
        finder: HandlerFinder | None = getattr(app, "fast_path_handler", None)
        return finder
    inner = _handler_finder(app.app)
    if inner is None:
        return None
    return lambda scope: inner(proxies.forwarded(scope))
