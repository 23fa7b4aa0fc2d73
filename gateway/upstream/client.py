"""The only module that talks to providers: one pool each, deadlines, sign-in, failures.

A read goes through the account's response cache; a call through retries, rate limit, circuit
breaker and concurrency limit, each a module of its own; then it is signed and sent.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Generic, TypeAlias, TypeVar

import httpx
import structlog

from gateway.domain.entities import Origin
from gateway.errors import (
    Busy,
    Denied,
    GatewayError,
    Malformed,
    ProviderError,
    TimedOut,
    TooManyCalls,
    Unavailable,
)
from gateway.network_failures import NetworkFailure, Progress
from gateway.providers.base.adapter import Adapter, ReportsRateLimit, SignsIn
from gateway.providers.base.exchange import Exchange, Reply, Token
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.request_scope import Scope, SentCall
from gateway.upstream.failures import FORESEEN, log_failure, provider_error
from gateway.upstream.health import Health
from gateway.upstream.http.client import http_client
from gateway.upstream.json_depth import DEEPEST, is_too_deep
from gateway.upstream.odd_replies import report
from gateway.upstream.redaction import Redaction
from gateway.upstream.resilience.deadline import Deadline
from gateway.upstream.resilience.guard import UpstreamGuard, is_over
from gateway.upstream.resilience.retry import RetryPolicy
from gateway.upstream.response_cache import STALE_IF_ERRORS, CachedReply, ResponseCache
from gateway.upstream.single_flight import InFlightCall, SingleFlight
from gateway.upstream.token_session import TokenSession

T = TypeVar("T")

BASE_OF_SANDBOX = "http://sandbox.invalid"  # never resolved: called in this process

EVERY_CALL = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": "segment-gateway",
}

READING = frozenset({"GET", "HEAD"})

log = structlog.get_logger(__name__)


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Sending(Generic[T]):
    """One call on its way, over all its attempts."""

    exchange: Exchange[T]
    scope: Scope
    deadline: float
    was_sent: bool = False
    """The provider may have acted on it."""
    progress: Progress = field(default_factory=Progress)


_Begun: TypeAlias = CachedReply[T] | InFlightCall[CachedReply[T]] | ProviderError
"""A read that was begun: from memory, as a call under way, or failed before anything was sent."""


class UpstreamClient:
    """One provider's account over HTTP.

    All waiting is on the event loop's clock.
    """

    def __init__(
        self,
        settings: AccountSettings,
        adapter: Adapter,
        transport: httpx.AsyncBaseTransport,
        cache_ttl_s: float = 0,
    ) -> None:
        """Take over the transport; `close` closes it.

        `cache_ttl_s` counts unless the account has its own.
        """
        self.key = settings.key
        self.health = Health()
        self.guard = UpstreamGuard(settings)
        self._timeout_s = settings.timeout_s
        self._most_calls = settings.max_calls_per_operation
        self._transport = transport
        url = BASE_OF_SANDBOX if settings.base_url == SANDBOX else settings.base_url
        self._site = http_client(url, transport, settings.timeout_s, settings.max_answer_bytes)
        self._headers = {**EVERY_CALL, **adapter.secret_headers}
        self._redacted = Redaction(settings, adapter.secret_headers)
        self._rate_limits = adapter if isinstance(adapter, ReportsRateLimit) else None
        self._retries = RetryPolicy(settings.retries, random.random)
        if settings.cache_ttl_s is not None:
            cache_ttl_s = settings.cache_ttl_s
        self._memory = ResponseCache(cache_ttl_s, settings.stale_if_error_s)
        self._flights = SingleFlight()
        self._changes = 0
        self._session: TokenSession | None = None
        if isinstance(adapter, SignsIn):
            signing_in = adapter.sign_in

            async def sign_in(scope: Scope, progress: Progress) -> Token:
                deadline = _now() + self._timeout_s
                sending = _Sending(signing_in(), scope, deadline, progress=progress)
                token = (await self._attempt(sending, EVERY_CALL)).value
                self._redacted.add(token.authorization)
                return token

            self._session = TokenSession(self.key, sign_in, self._timeout_s, _now)

    def __repr__(self) -> str:
        """Show the account's key only."""
        return f"Upstream({self.key!r})"

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._flights.close()
        if self._session is not None:
            await self._session.close()
        await self._transport.aclose()

    def invalidate(self) -> None:
        """Drop what is remembered of the provider: something there was changed."""
        self._changes += 1
        self._memory.invalidate()
        self._flights.part()

    async def send(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make the call and read its reply, within the request's and the provider's time.

        Anything but a GET counts as a write, and drops what is remembered of the provider.
        Raises a `ProviderError`; its cause is logged once, under the request's id.
        """
        now = _now()
        try:
            with scope.track_task():
                self._count(exchange, scope)
                deadline = min(scope.deadline, now + self._timeout_s)
                return (await self._sent(_Sending(exchange, scope, deadline))).value
        except ProviderError as error:
            self._report(exchange, scope, error)
            scope.note_freshness(0)
            raise
        finally:
            if exchange.call.method not in READING:
                self.invalidate()

    async def read(self, exchange: Exchange[T], scope: Scope) -> T:
        """Read what `send` would, maybe with others who ask for the same, or from memory.

        What comes from memory says so: `origin` and `fetched_at`. What is read may be shared with
        other requests. Raises a `ProviderError`.
        """
        patience_s = self.guard.patience_s
        begun = self._begun(exchange, scope)
        if isinstance(begun, InFlightCall) and not begun.task.done():
            await self._landed({begun}, scope, patience_s)
        return self._told(exchange, begun, scope, patience_s)

    async def read_all(
        self, exchanges: Sequence[Exchange[T]], scope: Scope
    ) -> Sequence[T | GatewayError]:
        """Read all these at once: for each, in order, what `read` returns or raises."""
        patience_s = self.guard.patience_s
        begun = [self._begun(exchange, scope) for exchange in exchanges]
        flights = {e for e in begun if isinstance(e, InFlightCall) and not e.task.done()}
        if flights:
            await self._landed(flights, scope, patience_s)
        answers: list[T | GatewayError] = []
        for exchange, each in zip(exchanges, begun, strict=True):
            try:
                answers.append(self._told(exchange, each, scope, patience_s))
            except GatewayError as error:
                answers.append(error)
        return answers

    def _begun(self, exchange: Exchange[T], scope: Scope) -> _Begun[T]:
        """Return what is remembered, or an equal call under way, or this one, started."""
        key = exchange.call.identity
        if self._memory.ttl_s:
            kept = self._memory.fresh(key, _now())
            if kept is not None:
                return kept
        try:
            self._count(exchange, scope)
            under_way = self._flights.find(key)
            if under_way is not None:
                self.guard.join(exchange.operation, _now())
        except (TooManyCalls, Unavailable) as error:
            return error
        return under_way or self._flights.start(key, self._flown(exchange, scope))

    async def _flown(self, exchange: Exchange[T], scope: Scope) -> CachedReply[T]:
        """Make a call for all who join it, and keep its answer."""
        # Others may wait longer than who asked first, so its own deadline does not count.
        now, changes = _now(), self._changes
        answer = await self._sent(_Sending(exchange, scope, now + self._timeout_s))
        if changes == self._changes and answer.reply.status == HTTPStatus.OK:
            self._memory.keep(exchange.call.identity, answer)
        return answer

    def _landed(
        self, flights: AbstractSet[InFlightCall[Any]], scope: Scope, patience_s: float | None
    ) -> Awaitable[None]:
        """Wait for these calls, as long as the request and its patience last."""
        now = _now()
        # The calls end within the provider's time themselves: mostly that needs no timer.
        until = scope.deadline if scope.deadline < now + self._timeout_s else None
        if patience_s is not None:
            until = min(scope.deadline, now + patience_s)
        return self._flights.landed(flights, until, scope, to_end=patience_s is not None)

    def _told(
        self, exchange: Exchange[T], begun: _Begun[T], scope: Scope, patience_s: float | None
    ) -> T:
        """Return what came of it. Raises what it failed with where no older answer stands in."""
        if isinstance(begun, CachedReply):
            scope.note_freshness(self._memory.ttl_s - (_now() - begun.at))
            return begun.aged(exchange, Origin.CACHED, self._read)
        try:
            if isinstance(begun, ProviderError):
                raise begun
            if not begun.task.done():
                raise self._lost(exchange, patience_s)
            answer = begun.task.result()
            scope.note_freshness(self._memory.ttl_s)
            return answer.read(exchange, self._read)
        except ProviderError as error:
            self._report(exchange, scope, error)
            scope.note_freshness(0)
            kept = self._memory.stale(exchange.call.identity, _now())
            if kept is None or not isinstance(error, STALE_IF_ERRORS):
                raise error.copy() from error
            older: T = kept.aged(exchange, Origin.STALE, self._read)
            return older

    def _lost(self, exchange: Exchange[T], patience_s: float | None) -> ProviderError:
        """Return the failure of a call that nobody waits for any more."""
        if patience_s is None:
            return TimedOut(self.key, exchange.operation)
        return Unavailable(self.key, exchange.operation, retry_after_s=self.guard.wait_s(_now()))

    async def _sent(self, sending: _Sending[T]) -> CachedReply[T]:
        """Make the call, and again where that is safe and may help, until its deadline."""
        exchange, loop = sending.exchange, asyncio.get_running_loop()
        self._retries.earn()
        retries = 0
        cause: ProviderError | None = None
        try:
            with Deadline(sending.deadline):
                while True:
                    try:
                        return await self._once(sending)
                    except ProviderError as error:
                        error.was_sent = sending.was_sent
                        if cause is not None and isinstance(error, Unavailable | Busy):
                            raise cause from error  # what happened, not what came of it
                        cause, now = error, loop.time()
                        if not exchange.is_idempotent or self.guard.rate_limit.is_low(now):
                            raise
                        wait_s = self._retries.wait_s(error, retries, sending.deadline - now)
                        if wait_s is None:
                            raise
                    retries += 1
                    await asyncio.sleep(wait_s)
        except TimeoutError as error:
            reason, was_sent = self._timeout(sending), sending.was_sent
            raise TimedOut(
                self.key, exchange.operation, was_sent=was_sent, reason=reason
            ) from error

    def _timeout(self, sending: _Sending[Any]) -> NetworkFailure | None:
        """Return what a call waited for when its time ran out; None: for its turn."""
        if sending.was_sent or sending.progress.is_connecting:
            return sending.progress.timeout
        if self._session is not None and self._session.is_signing_in:
            return self._session.progress.timeout
        return None

    def _once(self, sending: _Sending[T]) -> Awaitable[CachedReply[T]]:
        return self.guard.through(
            lambda: self._signed(sending),
            sending.exchange.operation,
            sending.deadline,
            request_id=sending.scope.request_id,
            is_background=sending.scope.is_background,
        )

    def _signed(self, sending: _Sending[T]) -> Awaitable[CachedReply[T]]:
        if self._session is None:
            return self._attempt(sending, self._headers)
        return self._signed_in(sending, self._session)

    async def _signed_in(self, sending: _Sending[T], session: TokenSession) -> CachedReply[T]:
        token = await session.token(sending.scope)
        headers = {**self._headers, "authorization": token.authorization}
        try:
            return await self._attempt(sending, headers)
        except Denied as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        # The token ended before its time (revoked, or the provider's clock is ahead): one new one.
        token = await session.token(sending.scope, instead_of=token)
        headers["authorization"] = token.authorization
        return await self._attempt(sending, headers)

    async def _attempt(self, sending: _Sending[T], headers: Mapping[str, str]) -> CachedReply[T]:
        """Make the call once."""
        exchange, was_sent = sending.exchange, sending.was_sent
        started = time.perf_counter()
        status: int | None = None
        failure: ProviderError | None = None
        sending.was_sent = True
        sending.progress.is_connecting = False
        try:
            reply = await self._exchange(exchange, headers, sending.progress)
            status = reply.status
            at, fetched_at = _now(), datetime.now(UTC)
            told = self._rate_limits.rate_limit(reply) if self._rate_limits else None
            if told is not None:
                self.guard.rate_limit.note(told, time.time(), at)
            value = self._read(exchange, reply)
            report(self.key, exchange.operation, sending.scope.request_id, reply.oddities)
            return CachedReply(reply, at, fetched_at, exchange, value)
        except ProviderError as error:
            failure = error
            sending.was_sent = was_sent or error.was_sent
            raise
        except asyncio.CancelledError:
            if sending.progress.is_connecting:
                sending.was_sent = was_sent
            if is_over(sending.deadline, _now()):
                failure = TimedOut(self.key, exchange.operation)
            raise
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            if status is not None or failure is not None:
                self.health.note(took_ms, failure)
            sending.scope.calls.append(SentCall(self.key, exchange.operation, status, took_ms))

    def _read(self, exchange: Exchange[T], reply: Reply) -> T:
        operation = exchange.operation
        if is_too_deep(reply.body):
            raise Malformed(
                self.key, operation, status=reply.status, detail=f"nested deeper than {DEEPEST}"
            )
        try:
            return exchange.read(reply)
        except GatewayError:
            raise
        except Exception as error:
            # A bug of the adapter; but only this provider's part may suffer from it.
            log.exception("adapter failed", provider=self.key, operation=operation)
            raise Malformed(self.key, operation, status=reply.status) from error

    async def _exchange(
        self, exchange: Exchange[T], headers: Mapping[str, str], progress: Progress
    ) -> Reply:
        """Send the call and read the whole answer."""
        call, operation = exchange.call, exchange.operation
        try:
            return await self._site.exchange(
                call.method, call.target, {**call.headers, **headers}, call.body, progress
            )
        except FORESEEN as error:
            raise provider_error(error, self.key, operation) from error

    def _count(self, exchange: Exchange[T], scope: Scope) -> None:
        wanted = scope.calls_by_provider[self.key] = scope.calls_by_provider.get(self.key, 0) + 1
        if wanted > self._most_calls:
            raise TooManyCalls(self.key, exchange.operation, was_sent=False)

    def _report(self, exchange: Exchange[T], scope: Scope, error: ProviderError) -> None:
        """Log a failure once for each request, and say when the gateway itself calls again."""
        self.guard.set_wait(error, _now())
        if not scope.is_first_report(self.key, type(error)):
            return
        detail = self._redacted(error.detail or str(error.__cause__ or ""))
        log_failure(error, exchange, scope.request_id, detail)
