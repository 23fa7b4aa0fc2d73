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

_OWN = re.compile(rb"\r\n([Tt]race(?:parent|state)|[Xx]-[Rr]equest-[Ii][Dd]): ([!-~]+)(?=\r\n)")
"""The line of a header in `PER_REQUEST`; `Content-Length` is not one that may differ here."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Template(NamedTuple):
    """A head without the values that may differ."""

    size: int
    """The length of the head that the parser read: a longer one may exceed a limit."""
    length: int
    """The length of the body."""
    names: Sequence[bytes]
    """The headers whose values may differ, in order."""
    handler: HeadHandler


class RepeatedHeads:
    """The heads of one connection, with the handler of each."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._handlers: dict[bytes, tuple[int, FastPathHandler]] = {}
        self._templates: dict[tuple[bytes, ...], _Template] = {}

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
            _add(self._handlers, head, (length, handler))
            return
        texts, values = _split(head)
        names = [name.lower() for name in texts[len(values) + 1 :]]
        if [each for each in own if each[0] != LENGTH] == list(zip(names, values, strict=True)):
            _add(self._templates, texts, _Template(len(head), length, names, similar))

    def handle(self, data: bytes) -> RawResponse | Coroutine[Any, Any, RawResponse] | None:
        """Handle a request with a cached head; None: the parser has to read it."""
        end = data.find(END) + len(END)
        head = data[:end]
        length, handler = self._handlers.get(head, (0, None))
        if handler is None and self._templates:
            length, handler = self._similar(head)
        if handler is None or len(data) - end != length:
            return None
        return handler(data[end:])

    def _similar(self, head: bytes) -> tuple[int, FastPathHandler | None]:
        """Return the length of the body and the handler, if only values of its own differ."""
        texts, values = _split(head)
        template = self._templates.get(texts)
        if template is None or len(head) > template.size:
            return 0, None
        own = [(LENGTH, b"%d" % template.length), *zip(template.names, values, strict=True)]
        return template.length, template.handler(own)


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


def _split(head: bytes) -> tuple[tuple[bytes, ...], Sequence[bytes]]:
    """Return what must be the same in similar heads, and the values that may differ.

    The first is all text between the lines of such headers, and then the names of these.
    """
    parts = _OWN.split(head)
    return (*parts[::3], *parts[1::3]), parts[2::3]


def _add(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Add to a cache; drop its oldest entry if it is full."""
    if len(cache) >= MAX_HEADS:
        del cache[next(iter(cache))]
    cache[key] = value
