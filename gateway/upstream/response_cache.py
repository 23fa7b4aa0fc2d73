"""Responses of a provider, reused while fresh and served stale when it fails."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from gateway.domain.entities import Origin
from gateway.errors import (
    Busy,
    Unavailable,
)
from gateway.providers.base.exchange import Exchange, Reply
from gateway.upstream.provenance import marked
from gateway.upstream.resilience.guard import BREAKER_FAILURES

T = TypeVar("T")

MOST_BYTES = 32 * 1024 * 1024
"""Bodies kept of one provider; what was read of them comes on top."""

MOST_REPLIES = 2000
"""Answers kept of one provider."""


@dataclass(slots=True, eq=False)
class CachedReply(Generic[T]):
    """An answer, when it came on both clocks, and what was read of it last."""

    reply: Reply
    at: float
    fetched_at: datetime
    exchange: Exchange[T]
    value: T
    _aged: tuple[Origin, T] | None = None

    def read(self, exchange: Exchange[T], read: Callable[[Exchange[T], Reply], T]) -> T:
        """Return what an exchange reads of it: once, as long as no other exchange does."""
        if exchange is not self.exchange:
            self.value = read(exchange, self.reply)
            self.exchange, self._aged = exchange, None
        return self.value

    def aged(
        self, exchange: Exchange[T], origin: Origin, read: Callable[[Exchange[T], Reply], T]
    ) -> T:
        """Return the same, saying where it comes from by now."""
        value = self.read(exchange, read)
        if self._aged is None or self._aged[0] is not origin:
            self._aged = origin, marked(value, origin, self.fetched_at)
        return self._aged[1]


class ResponseCache:
    """The newest answers of a provider; times are seconds on the loop's clock."""

    def __init__(self, ttl_s: float, stale_s: float) -> None:
        """Keep answers fresh for `ttl_s` (0: keep none), and `stale_s` longer against failures."""
        self.ttl_s = ttl_s
        self._stale_s = stale_s
        self._kept: OrderedDict[Hashable, CachedReply[Any]] = OrderedDict()
        self._bytes = 0

    def fresh(self, key: Hashable, now: float) -> CachedReply[Any] | None:
        """Return an answer that is still good."""
        return self._young(key, now - self.ttl_s)

    def stale(self, key: Hashable, now: float) -> CachedReply[Any] | None:
        """Return an answer that is better than none."""
        return self._young(key, now - self.ttl_s - self._stale_s)

    def keep(self, key: Hashable, kept: CachedReply[Any]) -> None:
        """Remember an answer, and forget the oldest that do not fit beside it."""
        if not self.ttl_s:
            return
        self._drop(key)
        self._kept[key] = kept
        self._bytes += len(kept.reply.body)
        while len(self._kept) > MOST_REPLIES or self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def invalidate(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0

    def _young(self, key: Hashable, since: float) -> CachedReply[Any] | None:
        kept = self._kept.get(key) if self._kept else None
        return kept if kept is not None and kept.at > since else None

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.reply.body)


STALE_IF_ERRORS = (*BREAKER_FAILURES, Busy, Unavailable)
"""Failures against which an older answer may stand in: no question of rights."""
