"""Cache what is known of the heads of a connection's requests.

Clients keep connections open and repeat the same head. Its meaning depends only on its bytes and
its connection. Requests that the parser has read before, in one segment, need no parser: only a
head that differs in one byte, or a body of another length or in parts, goes to the parser.

Proxies add a trace or an id to each request. Their values, if they consist of visible characters,
mean nothing to the parser: a head that differs only in them has the same structure. If other
headers of a single request differ, as the length of its body, the parser reads the head; what the
application has decided about the rest of it is used again.
"""

import re
from collections.abc import Callable, Coroutine, Sequence
from operator import add
from typing import Any, NamedTuple, TypeVar

import msgspec

from gateway.http.graphql_over_http import Header

MAX_HEADS = 8
"""Heads in each cache of one connection."""

MAX_HEAD_BYTES = 4096

PER_REQUEST = frozenset((b"content-length", b"traceparent", b"tracestate", b"x-request-id"))
"""Headers of a single request. They decide neither who its caller is nor how it is answered."""

END = b"\r\n\r\n"

LENGTH = b"content-length"


class RawResponse(msgspec.Struct, frozen=True, gc=False):
    """A serialised response."""

    status: int
    lines: bytes
    """The headers, each with its line ending."""
    body: bytes


FastPathHandler = Callable[[bytes], RawResponse | Coroutine[Any, Any, RawResponse]]
"""Handles all requests with one head: it is called with the body of each."""

HeadHandler = Callable[[Sequence[Header]], FastPathHandler | None]
"""Handles all similar heads: it is called with the `PER_REQUEST` headers of each.

None: the request has to use the normal ASGI path.
"""

SimilarHead = tuple[bytes, tuple[Header, ...]]
"""What similar heads have in common: the target, and all headers that are not in `PER_REQUEST`."""

_OWN = re.compile(rb"(\r\n([Tt]race(?:parent|state)|[Xx]-[Rr]equest-[Ii][Dd]): )([!-~]+)(?=\r\n)")
"""The line of a header in `PER_REQUEST`; `Content-Length` is not one that may differ here."""

_VISIBLE = re.compile(rb"[!-~]+")

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Template(NamedTuple):
    """A head without the values that may differ."""

    size: int
    """The length of the head that the parser read: a longer one may exceed a limit."""
    length: int
    """The length of the body."""
    before: Sequence[bytes]
    """The text before each value that may differ: it begins where the value before it ends."""
    last: bytes
    """The text after them."""
    names: Sequence[bytes]
    """The headers of these values."""
    handler: HeadHandler

    def own(self, data: bytes) -> Sequence[Header] | None:
        """Return the headers in `PER_REQUEST`, if the head differs in nothing but their values."""
        own = [(LENGTH, b"%d" % self.length)]
        end = 0
        for text, name in zip(self.before, self.names, strict=True):
            if not data.startswith(text, end):
                return None
            start = end + len(text)
            end = data.find(b"\r", start)
            value = data[start:end]
            if not _VISIBLE.fullmatch(value):
                return None
            own.append((name, value))
        size = end + len(self.last)
        fits = size <= self.size and size + self.length == len(data)
        return own if fits and data.startswith(self.last, end) else None


class RepeatedHeads:
    """The heads of one connection, with the handler of each."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._handlers: dict[bytes, tuple[int, FastPathHandler]] = {}
        """By the head: the length of the whole request, and its handler."""
        self._templates: dict[tuple[bytes, ...], _Template] = {}
        """By the text before, between and after the values that may differ."""

    def add(
        self,
        data: bytes,
        length: int,
        own: Sequence[Header],
        handler: FastPathHandler,
        similar: HeadHandler,
    ) -> None:
        """Cache the head of a request whose body has `length` bytes; drop the oldest if full.

        `own` are its headers in `PER_REQUEST`, as the parser read them.
        """
        head = data[: len(data) - length]
        if len(head) > MAX_HEAD_BYTES or head.find(END) != len(head) - len(END):
            return
        if len(own) == 1:  # the length of the body
            _add(self._handlers, head, (len(data), handler))
            return
        parts = _OWN.split(head)
        *before, last = map(add, parts[::4], [*parts[1::4], b""])
        names = [name.lower() for name in parts[2::4]]
        if [each for each in own if each[0] != LENGTH] == [*zip(names, parts[3::4], strict=True)]:
            template = _Template(len(head), length, before, last, names, similar)
            _add(self._templates, (*before, last), template)

    def handle(self, data: bytes) -> RawResponse | Coroutine[Any, Any, RawResponse] | None:
        """Handle a request with a cached head; None: the parser has to read it."""
        # A comparison takes less time than to find the end of the head, and to hash it.
        for head, (size, handler) in self._handlers.items():
            if len(data) == size and data.startswith(head):
                return handler(data[len(head) :])
        for template in self._templates.values():
            own = template.own(data)
            if own is not None:
                similar = template.handler(own)
                return None if similar is None else similar(data[len(data) - template.length :])
        return None


class SimilarHeads:
    """The heads of one connection as the parser read them, with the `HeadHandler` of each."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._handlers: dict[SimilarHead, HeadHandler] = {}
        self.get = self._handlers.get
        """Returns the handler of similar heads."""

    def add(self, head: SimilarHead, handler: HeadHandler) -> None:
        """Cache a handler; drop the oldest if full."""
        target, headers = head
        size = len(target) + sum(len(name) + len(value) for name, value in headers)
        if size <= MAX_HEAD_BYTES:
            _add(self._handlers, head, handler)


def _add(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Add to a cache; drop its oldest entry if it is full."""
    if len(cache) >= MAX_HEADS:
        del cache[next(iter(cache))]
    cache[key] = value
