"""The heads that a connection has sent: those it sends again need no parser.

Clients keep connections open, and send the same head again and again. What a head says depends on
its bytes and its connection alone. Only what the parser has read before, as one whole request, is
ever taken this way: a head that differs in one byte, a body of another length or in pieces, goes
to the parser.
"""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

MOST_HEADS = 8
"""Heads of a connection that are known: the length of the body is in them."""

LONGEST_HEAD = 4096

END = b"\r\n\r\n"


class RawResponse(NamedTuple):
    """An answer, ready for the wire."""

    status: int
    lines: bytes
    """Its headers, each with the end of its line."""
    body: bytes


FastPathHandler = Callable[[bytes], RawResponse | Coroutine[Any, Any, RawResponse]]
"""Answers requests of one head: called with the body, as often as there are such requests."""


class RepeatedHeads:
    """The heads of one connection, and what answers each."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[bytes, tuple[int, FastPathHandler]] = {}

    def keep(self, data: bytes, length: int, again: FastPathHandler) -> None:
        """Keep the head of a whole request, whose body has so many bytes; the oldest goes."""
        head = data[: len(data) - length]
        if len(head) > LONGEST_HEAD or head.find(END) != len(head) - len(END):
            return
        if len(self._known) >= MOST_HEADS:
            del self._known[next(iter(self._known))]
        self._known[head] = length, again

    def answer(self, data: bytes) -> RawResponse | Coroutine[Any, Any, RawResponse] | None:
        """Answer a request whose head is known; None: the parser has to read it."""
        at = data.find(END) + len(END)
        length, again = self._known.get(data[:at], (0, None))
        if again is None or len(data) - at != length:
            return None
        return again(data[at:])
