"""Responses that stay open: subscriptions over server-sent events."""

import asyncio
from collections.abc import Callable
from typing import Any

HOLD = "gateway.hold"
"""The scope extension with the `HeldResponse` of a request."""


class HeldResponse:
    """Lets the application hold a response open.

    Meanwhile it does not count for `limits.concurrent_requests`, and the application decides how
    long the client may take to read.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """Call `changed` when it begins and ends."""
        self._changed = changed
        self.is_held = False
        self.shut_down: Callable[[], None] | None = None
        """Called when the server stops."""

    def begin(self, shut_down: Callable[[], None]) -> None:
        """Hold the response; call `shut_down` when the server stops."""
        self.is_held, self.shut_down = True, shut_down
        self._changed()

    def end(self) -> None:
        """Hold it no longer: it ends soon."""
        self.is_held, self.shut_down = False, None
        self._changed()


class HoldsResponses:
    """An HTTP protocol whose newest response the application may hold open."""

    transport: asyncio.Transport
    start_write_timer: Callable[[], None]
    _count: Callable[[], None]
    _held = HeldResponse()

    def offer_hold(self, scope: Any) -> None:
        """Let the application hold the response to a request."""
        self._held = HeldResponse(self._on_hold)
        scope["extensions"] = {HOLD: self._held}

    @property
    def may_lag(self) -> bool:
        """Whether the application decides how long the client may take to read."""
        return self._held.is_held

    def end_held_response(self) -> None:
        """Let the application end its held response: the server stops."""
        if self._held.shut_down is not None:
            self._held.shut_down()

    def _on_hold(self) -> None:
        self._count()
        is_open = not self.transport.is_closing()
        if is_open and not self._held.is_held and self.transport.get_write_buffer_size():
            self.start_write_timer()
