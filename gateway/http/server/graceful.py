"""A server that stops without losing a request.

A signal first announces the stop: health checks fail, and each response closes its connection. The
port is closed `drain_s` seconds later, when load balancers have turned to other replicas.
"""

import asyncio
import contextlib
import logging
import math
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, Protocol

import structlog
from uvicorn.config import Config
from uvicorn.server import Server

from gateway.http.server.connections import OpenConnections
from gateway.http.server.fast_path import FastPathProtocol
from gateway.http.server.proxies import proxies_of
from gateway.limits.settings import LimitSettings

log = structlog.get_logger()


class Gateway(Protocol):
    """What the server calls, besides the application itself."""

    def announce_stop(self) -> None:
        """Fail health checks, and start nothing that lasts: the server begins to stop."""

    async def reload(self) -> LimitSettings | None:
        """Follow the configuration as it is now; return the limits if it is used."""


class GracefulServer(Server):
    """uvicorn's server, with a time between the signal and the end.

    SIGTERM announces the stop and drains; SIGINT (Ctrl+C) stops at once, but lets requests in
    progress finish. A second signal ends them.
    """

    def __init__(
        self,
        config: Config,
        connections: OpenConnections,
        drain_s: float,
        *,
        ignores_interrupts: bool = False,
    ) -> None:
        """Serve; `connections` are those that the configuration's protocols count.

        `ignores_interrupts`: another process receives the terminal's SIGINT, too, and acts on it.
        """
        super().__init__(config)
        self._ignores_interrupts = ignores_interrupts
        self._open = connections
        self._drain_s = drain_s
        self._closes_at = math.inf
        """When the port is closed, by `time.monotonic`."""
        self._should_reload = False
        self._reloading: asyncio.Task[None] | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal.

        After a second one, uvicorn's lines are left out: they would be tracebacks of what it ends.
        """

        def is_wanted(_: logging.LogRecord) -> bool:
            return not self.force_exit

        logger = logging.getLogger("uvicorn.error")
        logger.addFilter(is_wanted)
        try:
            super().run(sockets)
        finally:
            logger.removeFilter(is_wanted)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; after a second signal, end at once."""
        del frame
        if sig == signal.SIGINT and self._ignores_interrupts:
            return
        # A worker may have been stopped by its supervisor already: a service manager's signal
        # reaches both.
        is_second = bool(self._captured_signals)
        self._captured_signals.append(sig)
        if is_second:
            self.end_now()
        else:
            log.info("stopping", signal=signal.Signals(sig).name)
            self.begin_stop(drains=sig == signal.SIGTERM)

    def begin_stop(self, *, drains: bool) -> None:
        """Announce the stop; with `drains` still accept requests for `drain_s` seconds.

        May be called from any thread.
        """
        if self._open.is_stopping:
            return
        if not self.started:
            self.should_exit = True
            return
        self._announce()
        if drains and self._drain_s:
            self._closes_at = time.monotonic() + self._drain_s
        else:
            self.should_exit = True

    def end_now(self) -> None:
        """Do not wait for requests in progress."""
        self.should_exit = self.force_exit = True
        for connection in self.server_state.connections.copy():
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while it serves; SIGHUP reads the configuration again."""
        before = signal.signal(signal.SIGHUP, lambda *_: self.reload_soon())
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(signal.SIGHUP, before)

    def reload_soon(self) -> None:
        """Read the configuration again; may be called from any thread."""
        self._should_reload = True

    async def _reload(self) -> None:
        gateway = self._gateway()
        limits = None if gateway is None else await gateway.reload()
        if limits is None:
            return
        # Nothing else runs before this: no cached head is used with other settings.
        for connection in self.server_state.connections:
            if isinstance(connection, FastPathProtocol):
                connection.forget_heads()
        self._open.configure(limits)
        self.config.ws_max_size = limits.message_bytes

    @property
    def longest_stop_s(self) -> float:
        """The time from the signal until the end, at most."""
        return self._drain_s + (self.config.timeout_graceful_shutdown or 0)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to close the port."""
        if self._should_reload and (self._reloading is None or self._reloading.done()):
            self._should_reload = False
            self._reloading = asyncio.create_task(self._reload())
        is_over = time.monotonic() >= self._closes_at
        return await super().on_tick(counter) or is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, and wait for the requests in progress."""
        self._announce()
        waiting = _accept_waiting(sockets or ())
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        loop = asyncio.get_running_loop()
        for accepted in waiting:
            with contextlib.suppress(OSError):  # the client has disconnected
                await loop.connect_accepted_socket(self._protocol, accepted)
        await super().shutdown(sockets)

    def _announce(self) -> None:
        self._open.is_stopping = True
        if (gateway := self._gateway()) is not None:
            gateway.announce_stop()

    def _gateway(self) -> Gateway | None:
        """Return the gateway of the application; None: it is another application."""
        application: Any = self.config.loaded_app
        proxies = proxies_of(application)
        return getattr(application if proxies is None else application.app, "gateway", None)

    def _protocol(self) -> asyncio.Protocol:
        protocol_class: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _accept_waiting(listening: Sequence[socket.socket]) -> list[socket.socket]:
    """Return the connections that the system has accepted and the event loop has not.

    Closing the port resets them, though their requests may have been sent. Nothing may run between
    this and closing.
    """
    found = []
    for each in listening:
        each.settimeout(0)
        with contextlib.suppress(OSError):  # there are no more
            while True:
                accepted, _ = each.accept()
                accepted.settimeout(0)
                found.append(accepted)
    return found
