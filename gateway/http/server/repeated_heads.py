"""Cache the heads of a connection's requests, so that repeated heads need no parser.

Clients keep connections open and repeat the same head. Its meaning depends only on its bytes and
its connection. Only requests that the parser has read before, in one segment, are handled here: a
head that differs in one byte, or a body of another length or in parts, goes to the parser.
"""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

MAX_HEADS = 8
"""Heads in the cache of one connection; they differ by the length of the body."""

MAX_HEAD_BYTES = 4096

END = b"\r\n\r\n"


class RawResponse(NamedTuple):
    """A serialised response."""

    status: int
    lines: bytes
    """The headers, each with its line ending."""
    body: bytes


FastPathHandler = Callable[[bytes], RawResponse | Coroutine[Any, Any, RawResponse]]
"""Handles all requests with one head: it is called with the body of each."""


class RepeatedHeads:
    """The heads of one connection, with the handler of each."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._handlers: dict[bytes, tuple[int, FastPathHandler]] = {}

    def add(self, data: bytes, length: int, handler: FastPathHandler) -> None:
        """Cache the head of a request whose body has `length` bytes; drop the oldest if full."""
        head = data[: len(data) - length]
        if len(head) > MAX_HEAD_BYTES or head.find(END) != len(head) - len(END):
            return
        if len(self._handlers) >= MAX_HEADS:
            del self._handlers[next(iter(self._handlers))]
        self._handlers[head] = length, handler

    def handle(self, data: bytes) -> RawResponse | Coroutine[Any, Any, RawResponse] | None:
        """Handle a request with a cached head; None: the parser has to read it."""
        end = data.find(END) + len(END)
        length, handler = self._handlers.get(data[:end], (0, None))
        if handler is None or len(data) - end != length:
            return None
        return handler(data[end:])
