"""One provider's account over HTTP: cached and shared reads, and calls of their own.

Every call goes through `CallSender`: deadline, retries, guard, sign-in.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

import httpx

from gateway.domain.entities import Origin
from gateway.errors import (
    GatewayError,
    ProviderError,
    TimedOut,
    TooManyCalls,
    Unavailable,
)
from gateway.providers.base.adapter import Adapter
from gateway.providers.base.exchange import Exchange
from gateway.providers.base.settings import AccountSettings
from gateway.request_scope import CACHED, SHARED, STALE, CallRecord, Scope
from gateway.upstream.attempt import Credentials, ObserveCall, OutgoingCall
from gateway.upstream.call_sender import CallSender, unobserved
from gateway.upstream.direct_call import DirectCall
from gateway.upstream.failures import FailureReporter
from gateway.upstream.redaction import Redaction
from gateway.upstream.reply_reader import read_reply
from gateway.upstream.resilience.deadline import Deadlines, Expiring
from gateway.upstream.resilience.guard import TIMER_PRECISION_S
from gateway.upstream.response_cache import STALE_IF_ERRORS, CachedReply, ResponseCache
from gateway.upstream.single_flight import InFlightCall, SingleFlight

T = TypeVar("T")

READ_METHODS = frozenset({"GET", "HEAD"})

_StartedRead: TypeAlias = CachedReply[T] | InFlightCall[CachedReply[T]] | ProviderError
"""A read that was started: a cached reply, a call in flight, or the reason why none was made."""


@dataclass(slots=True)
class ReadCounts:
    """How many reads were served from where, since the start."""

    network: int = 0
    shared: int = 0
    cached: int = 0
    stale: int = 0


class UpstreamClient:
    """One provider's account over HTTP. All times are on the event loop's clock."""

    def __init__(
        self,
        settings: AccountSettings,
        adapter: Adapter,
        transport: httpx.AsyncBaseTransport,
        cache_ttl_s: float = 0,
        observe: ObserveCall = unobserved,
    ) -> None:
        """Take over the transport; `close` closes it. Call it inside the running loop.

        The account's own `cache_ttl_s` overrides the argument. `observe` is called with the
        record of each attempt.
        """
        self._loop = asyncio.get_running_loop()  # this takes 0.3 µs in Python 3.11
        self.key = settings.key
        redact = Redaction(settings, adapter.secret_headers)
        self._sender = CallSender(settings, adapter, transport, redact, observe)
        self.health = self._sender.health
        self.guard = self._sender.guard
        self._report = FailureReporter(self.guard, redact)
        self._timeout_s = settings.timeout_s
        self._max_calls = settings.max_calls_per_operation
        self._transport = transport
        self._read_reply = partial(read_reply, self.key)
        if settings.cache_ttl_s is not None:
            cache_ttl_s = settings.cache_ttl_s
        self._cache = ResponseCache(cache_ttl_s, settings.stale_if_error_s)
        self._in_flight = SingleFlight()
        self._deadlines = Deadlines(self._loop, TIMER_PRECISION_S, self._direct_calls)
        self._on_end = self._ended  # a bound method takes 500 instructions for each call
        self.reads = ReadCounts()

    def __repr__(self) -> str:
        """Show the account's key only."""
        return f"UpstreamClient({self.key!r})"

    @property
    def sign_ins(self) -> tuple[int, int] | None:
        """How many sign-ins succeeded and failed; None: the provider needs none."""
        session = self._sender.session
        return None if session is None else (session.succeeded, session.failed)

    async def close(self) -> None:
        """Cancel calls in flight and close the pooled connections."""
        self._deadlines.close()
        await self._in_flight.close()
        await self._sender.close()
        await self._transport.aclose()

    def invalidate(self) -> None:
        """Drop the cached replies: something at the provider was changed."""
        self._cache.invalidate()
        self._in_flight.detach_all()

    async def send(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make the call and read its reply, within the request's deadline and `timeout_s`.

        Any method but GET and HEAD counts as a write and invalidates the cached replies. Raises a
        `ProviderError`; its cause is logged once, under the request's id.
        """
        now = self._loop.time()
        try:
            with scope.track_task():
                self._count(exchange, scope)
                deadline = min(scope.deadline, now + self._timeout_s)
                return (await self._sender.send(OutgoingCall(exchange, scope, deadline))).value
        except ProviderError as error:
            self._report(exchange, scope, error)
            raise
        finally:
            if exchange.call.method not in READ_METHODS:
                self.invalidate()

    async def read(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make the call, join an equal one in flight, or use a cached reply.

        Values from the cache say so in `origin` and `fetched_at`. They may be shared with other
        requests. Raises a `ProviderError`.
        """
        now, patience_s = self._loop.time(), self.guard.patience_s
        started = self._start_read(exchange, scope, now, self._sender.credentials(now))
        if isinstance(started, InFlightCall) and not started.is_done:
            await self._wait({started}, scope, now, patience_s)
        return self._result(exchange, started, scope, patience_s)

    async def read_all(
        self, exchanges: Sequence[Exchange[T]], scope: Scope
    ) -> Sequence[T | GatewayError]:
        """Read all of these concurrently; return in order what `read` returns or raises."""
        now, patience_s = self._loop.time(), self.guard.patience_s
        credentials = self._sender.credentials(now)
        reads = [self._start_read(exchange, scope, now, credentials) for exchange in exchanges]
        in_flight = {r for r in reads if isinstance(r, InFlightCall) and not r.is_done}
        if in_flight:
            await self._wait(in_flight, scope, now, patience_s)
        results: list[T | GatewayError] = []
        for exchange, started in zip(exchanges, reads, strict=True):
            try:
                results.append(self._result(exchange, started, scope, patience_s))
            except GatewayError as error:
                results.append(error)
        return results

    def _start_read(
        self, exchange: Exchange[T], scope: Scope, now: float, credentials: Credentials | None
    ) -> _StartedRead[T]:
        """Return a fresh cached reply, or an equal call in flight, or start this call."""
        key = exchange.call.identity
        if self._cache.ttl_s:
            cached_reply = self._cache.fresh(key, now)
            if cached_reply is not None:
                return cached_reply
        try:
            self._count(exchange, scope)
            in_flight = self._in_flight.join(key)
            if in_flight.maker is not None:
                self.guard.join(exchange.operation, now)
        except (TooManyCalls, Unavailable) as error:
            return error
        if in_flight.maker is not None:
            self.reads.shared += 1
            if scope.lists_reads or scope.trace is not None:
                self._list_shared(exchange, scope, in_flight)
            return in_flight
        self.reads.network += 1
        # Others may wait longer than the first request, so its own deadline does not count.
        call = OutgoingCall(exchange, scope, now + self._timeout_s)
        call.in_flight = in_flight
        in_flight.maker = self._sender.start(call, self._on_end, now, credentials)
        if in_flight.maker is None:  # it needs a task
            self._in_flight.run(in_flight, self._fetch(call))
        else:
            self._deadlines.add(call.deadline)
        return in_flight

    def _direct_calls(self) -> list[Expiring]:
        """Return the calls without a task that have not ended."""
        return [each for each in self._in_flight.makers() if isinstance(each, DirectCall)]

    def _ended(
        self,
        call: OutgoingCall[T],
        reply: CachedReply[T] | None,
        error: BaseException | None,
    ) -> None:
        """End a call that was made without a task, or have a task retry it."""
        in_flight = call.in_flight
        if reply is not None:
            if self._cache.ttl_s:
                self._store(in_flight, reply)
            self._in_flight.end(in_flight, reply)
        elif isinstance(error, ProviderError) and self._loop.time() < call.deadline:
            self._in_flight.run(in_flight, self._fetch(call, error))
        elif error is None:
            self._in_flight.run(in_flight, self._fetch(call))
        else:
            self._in_flight.end(in_flight, None, error)

    async def _fetch(
        self, call: OutgoingCall[T], failure: ProviderError | None = None
    ) -> CachedReply[T]:
        """Make a call, or retry it after this failure, and cache its reply."""
        reply = await self._sender.send(call, failure)
        self._store(call.in_flight, reply)
        return reply

    def _store(self, call: InFlightCall[CachedReply[T]], reply: CachedReply[T]) -> None:
        """Cache a reply, unless something was changed meanwhile: then nobody can join the call."""
        if self._in_flight.can_join(call) and reply.reply.status == HTTPStatus.OK:
            self._cache.store(call.key, reply)

    def _wait(
        self,
        calls: AbstractSet[InFlightCall[Any]],
        scope: Scope,
        now: float,
        patience_s: float | None,
    ) -> Awaitable[None]:
        """Wait for these calls until the request's deadline, or for `patience_s`."""
        # Calls end within `timeout_s` by themselves: most waits need no timer of their own.
        until = scope.deadline if scope.deadline < now + self._timeout_s else None
        if patience_s is not None:
            until = min(scope.deadline, now + patience_s)
        return self._in_flight.wait(calls, until, scope, to_end=patience_s is not None)

    def _result(
        self,
        exchange: Exchange[T],
        started: _StartedRead[T],
        scope: Scope,
        patience_s: float | None,
    ) -> T:
        """Return the read value; when the call failed, a stale one or raise its error."""
        # Whether a call is a msgspec struct takes 500 instructions to find out.
        if not isinstance(started, InFlightCall) and isinstance(started, CachedReply):
            self.reads.cached += 1
            self._list(exchange, scope, started, CACHED)
            scope.note_freshness(self._cache.ttl_s - (self._loop.time() - started.at))
            return started.aged(exchange, Origin.CACHED, self._read_reply)
        try:
            if isinstance(started, ProviderError):
                raise started
            if started.is_abandoned or not started.is_done:
                raise self._unfinished(exchange, patience_s)
            if started.error is not None:
                raise started.error
            reply = started.value
            if self._cache.ttl_s < scope.fresh_for_s:
                scope.note_freshness(self._cache.ttl_s)
            return reply.read(exchange, self._read_reply)
        except ProviderError as error:
            self._report(exchange, scope, error)
            stale_reply = self._cache.stale(exchange.call.identity, self._loop.time())
            if stale_reply is None or not isinstance(error, STALE_IF_ERRORS):
                raise error.copy() from error
            self.reads.stale += 1
            self._list(exchange, scope, stale_reply, STALE)
            value: T = stale_reply.aged(exchange, Origin.STALE, self._read_reply)
            return value

    def _list(
        self, exchange: Exchange[T], scope: Scope, reply: CachedReply[T], source: str
    ) -> None:
        """List a read from the cache, if the request lists those."""
        if scope.lists_reads:
            status, now = reply.reply.status, time.perf_counter()
            operation, keys = exchange.operation, exchange.keys
            scope.calls.append(CallRecord(self.key, operation, status, now, 0, source, keys=keys))

    def _list_shared(
        self, exchange: Exchange[T], scope: Scope, call: InFlightCall[CachedReply[T]]
    ) -> None:
        """List a read that joins a call in flight; its record is complete when the call ends."""
        started, operation = time.perf_counter(), exchange.operation
        record = CallRecord(self.key, operation, None, started, 0, SHARED, keys=exchange.keys)
        scope.calls.append(record)
        trace = scope.trace
        span = None if trace is None else trace.begin()

        def complete() -> None:
            record.duration_s = time.perf_counter() - started
            error = call.error
            if isinstance(error, ProviderError):
                record.status, record.error, record.reason = (
                    error.status,
                    type(error),
                    error.reason,
                )
            elif error is None:
                record.status = call.value.reply.status
            if trace is not None and span is not None:
                trace.call_ended(span, record)

        call.observers = (*call.observers, complete)

    def _unfinished(self, exchange: Exchange[T], patience_s: float | None) -> ProviderError:
        """Return the error for a call that did not end while this request waited."""
        if patience_s is None:
            return TimedOut(self.key, exchange.operation)
        return Unavailable(
            self.key, exchange.operation, retry_after_s=self.guard.wait_s(self._loop.time())
        )

    def _count(self, exchange: Exchange[T], scope: Scope) -> None:
        calls = scope.calls_by_provider[self.key] = scope.calls_by_provider.get(self.key, 0) + 1
        if calls > self._max_calls:
            raise TooManyCalls(self.key, exchange.operation, was_sent=False)
