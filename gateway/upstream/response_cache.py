"""Responses of a provider, reused while fresh and served stale when it fails."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec

from gateway.domain.entities import Origin
from gateway.errors import (
    Busy,
    Unavailable,
)
from gateway.providers.base.exchange import Exchange, Reply
from gateway.upstream.provenance import with_origin
from gateway.upstream.resilience.guard import BREAKER_FAILURES

T = TypeVar("T")

MAX_BYTES = 32 * 1024 * 1024
"""The total size of one provider's cached bodies; the values read from them come on top."""

MAX_REPLIES = 2000
"""The largest number of cached replies of one provider."""


class CachedReply(msgspec.Struct, Generic[T], eq=False, gc=False):
    """A reply, when it arrived on both clocks, and the value last read from it."""

    reply: Reply
    at: float
    fetched_at: float
    """In seconds since 1970: most replies are never shown with it."""
    exchange: Exchange[T]
    value: T
    _aged: tuple[Origin, T] | None = None

    def read(self, exchange: Exchange[T], read: Callable[[Exchange[T], Reply], T]) -> T:
        """Return the value that the exchange reads; it is read again only for another exchange."""
        if exchange is not self.exchange:
            self.value = read(exchange, self.reply)
            self.exchange, self._aged = exchange, None
        return self.value

    def aged(
        self, exchange: Exchange[T], origin: Origin, read: Callable[[Exchange[T], Reply], T]
    ) -> T:
        """Return the value, marked with this origin."""
        value = self.read(exchange, read)
        if self._aged is None or self._aged[0] is not origin:
            fetched_at = datetime.fromtimestamp(self.fetched_at, UTC)
            self._aged = origin, with_origin(value, origin, fetched_at)
        return self._aged[1]


class ResponseCache:
    """The newest replies of a provider; times are seconds on the event loop's clock."""

    def __init__(self, ttl_s: float, stale_s: float) -> None:
        """Serve replies as fresh for `ttl_s` (0: cache none), and as stale for `stale_s` more."""
        self.ttl_s = ttl_s
        self._stale_s = stale_s
        self._replies: OrderedDict[Hashable, CachedReply[Any]] = OrderedDict()
        self._bytes = 0

    def fresh(self, key: Hashable, now: float) -> CachedReply[Any] | None:
        """Return a reply that is still fresh."""
        return self._newer(key, now - self.ttl_s)

    def stale(self, key: Hashable, now: float) -> CachedReply[Any] | None:
        """Return a reply that may be served when the provider fails (stale-if-error)."""
        return self._newer(key, now - self.ttl_s - self._stale_s)

    def store(self, key: Hashable, reply: CachedReply[Any]) -> None:
        """Cache a reply, and evict the oldest ones beyond the limits."""
        if not self.ttl_s:
            return
        self._drop(key)
        self._replies[key] = reply
        self._bytes += len(reply.reply.body)
        while len(self._replies) > MAX_REPLIES or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._replies)))

    def invalidate(self) -> None:
        """Drop all replies."""
        self._replies.clear()
        self._bytes = 0

    def _newer(self, key: Hashable, since: float) -> CachedReply[Any] | None:
        reply = self._replies.get(key) if self._replies else None
        return reply if reply is not None and reply.at > since else None

    def _drop(self, key: Hashable) -> None:
        reply = self._replies.pop(key, None)
        if reply is not None:
            self._bytes -= len(reply.reply.body)


STALE_IF_ERRORS = (*BREAKER_FAILURES, Busy, Unavailable)
"""Failures after which a stale reply may be served: never after a denied call."""
