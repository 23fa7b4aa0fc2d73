"""Requests of a connection whose head it has sent before: answered past the parser and past ASGI.

Clients keep connections open, and send the same head again and again. What a head says depends on
its bytes and its connection alone; so whoever answered it once may offer (by an extension of the
ASGI scope) to answer each body behind it. Only what the parser has read before is ever taken this
way: a head that differs in one byte, or a body of another length, goes to the parser.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

EXTENSION = "segment-gateway.repeats"
"""The key of `offer` in a scope's extensions: called with an `Again`, while it is answered."""

MOST_HEADS = 8
"""Heads of a connection that are known: the length of the body is in them."""

LONGEST_HEAD = 4096

END = b"\r\n\r\n"


class Answer(NamedTuple):
    """An answer, ready for the wire."""

    status: int
    lines: bytes
    """Its headers, each with the end of its line."""
    body: bytes


Again = Callable[[bytes], Answer | Coroutine[Any, Any, Answer]]
"""Answers the head that it was offered for with another body of the same length."""


class Repeats:
    """The heads that one connection has sent, and how each is answered again."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[bytes, tuple[int, Again]] = {}
        self.running: asyncio.Task[None] | None = None
        """What is being answered now; the next request waits for it."""
        self.held = bytearray()
        """What came meanwhile."""
        self.closes = False
        """That the answer being made is the connection's last."""

    def offered(self, data: bytes, length: int) -> Callable[[Again], None] | None:
        """Return what takes an offer for a whole request, whose body has so many bytes.

        None: it cannot come again, as far as we would know it.
        """
        head = data[: len(data) - length]
        if not length or len(head) > LONGEST_HEAD or head.find(END) != len(head) - len(END):
            return None

        def learn(again: Again) -> None:
            if len(self._known) >= MOST_HEADS:
                del self._known[next(iter(self._known))]
            self._known[head] = length, again

        return learn

    def begin(self, data: bytes) -> Answer | Coroutine[Any, Any, Answer] | None:
        """Begin to answer a request, if its head is known; None: the parser has to read it."""
        at = data.find(END) + len(END)
        length, again = self._known.get(data[:at], (0, None))
        if again is None or len(data) - at != length:
            return None
        return again(data[at:])
