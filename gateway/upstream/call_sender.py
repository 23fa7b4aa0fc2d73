"""Send calls to one provider's account: deadline, retries, guard, sign-in, one attempt."""

import asyncio
import random
import time
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from gateway.errors import Busy, Denied, ProviderError, TimedOut, Unavailable
from gateway.network_failures import NetworkFailure, Progress
from gateway.providers.base.adapter import Adapter, ReportsRateLimit, SignsIn
from gateway.providers.base.exchange import Exchange, Reply, Token
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.request_scope import CallRecord, Scope
from gateway.upstream.failures import TRANSPORT_ERRORS, provider_error
from gateway.upstream.health import Health
from gateway.upstream.http.client import http_client
from gateway.upstream.odd_replies import report
from gateway.upstream.redaction import Redaction
from gateway.upstream.reply_reader import read_reply
from gateway.upstream.resilience.deadline import Deadline
from gateway.upstream.resilience.guard import UpstreamGuard, is_over
from gateway.upstream.resilience.retry import RetryPolicy
from gateway.upstream.response_cache import CachedReply
from gateway.upstream.token_session import TokenSession

T = TypeVar("T")

ObserveCall = Callable[[CallRecord], object]
"""Called with the record of each attempt, when it has ended."""


def unobserved(_: CallRecord) -> None:
    """Do nothing: nobody observes the calls."""


SANDBOX_URL = "http://sandbox.invalid"  # never resolved: the sandbox runs in this process

COMMON_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": "segment-gateway",
}


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class OutgoingCall(Generic[T]):
    """One call, over all its attempts."""

    exchange: Exchange[T]
    scope: Scope
    deadline: float
    was_sent: bool = False
    """The provider may have acted on it."""
    progress: Progress = field(default_factory=Progress)
    attempts: int = 0
    """How many were started."""
    waits_since: float = field(default_factory=time.perf_counter)
    """When the wait for the next attempt began."""


class CallSender:
    """Sends the calls of one account."""

    def __init__(
        self,
        settings: AccountSettings,
        adapter: Adapter,
        transport: httpx.AsyncBaseTransport,
        redact: Redaction,
        observe: ObserveCall = unobserved,
    ) -> None:
        """Send over this transport. New tokens are added to `redact`."""
        self._observe = observe
        self.key = settings.key
        self.health = Health()
        self.guard = UpstreamGuard(settings)
        self._timeout_s = settings.timeout_s
        url = SANDBOX_URL if settings.base_url == SANDBOX else settings.base_url
        self._http_client = http_client(
            url, transport, settings.timeout_s, settings.max_answer_bytes
        )
        self._headers = {**COMMON_HEADERS, **adapter.secret_headers}
        self._redact = redact
        self._rate_limits = adapter if isinstance(adapter, ReportsRateLimit) else None
        self._retries = RetryPolicy(settings.retries, random.random)
        self.session: TokenSession | None = None
        if isinstance(adapter, SignsIn):
            sign_in_exchange = adapter.sign_in

            async def sign_in(scope: Scope, progress: Progress) -> Token:
                deadline = _now() + self._timeout_s
                call = OutgoingCall(sign_in_exchange(), scope, deadline, progress=progress)
                self.guard.budget.charge()
                token = (await self._attempt(call, COMMON_HEADERS)).value
                self._redact.add(token.authorization)
                return token

            self.session = TokenSession(self.key, sign_in, self._timeout_s, _now)

    async def close(self) -> None:
        """Cancel a sign-in under way."""
        if self.session is not None:
            await self.session.close()

    async def send(self, call: OutgoingCall[T]) -> CachedReply[T]:
        """Make the call, and retry it while that is safe and may help, until its deadline."""
        exchange, loop = call.exchange, asyncio.get_running_loop()
        self._retries.count_call()
        retries = 0
        cause: ProviderError | None = None
        try:
            with Deadline(call.deadline):
                while True:
                    try:
                        return await self._send_guarded(call)
                    except ProviderError as error:
                        error.was_sent = call.was_sent
                        if cause is not None and isinstance(error, Unavailable | Busy):
                            raise cause from error  # the original failure, not its consequence
                        cause, now = error, loop.time()
                        is_low = self.guard.rate_limit.is_low(now)
                        if call.scope.is_background or not exchange.is_idempotent or is_low:
                            raise
                        wait_s = self._retries.wait_s(error, retries, call.deadline - now)
                        if wait_s is None:
                            raise
                    retries += 1
                    await asyncio.sleep(wait_s)
                    call.waits_since = time.perf_counter()
        except TimeoutError as error:
            reason, was_sent = self._timeout_reason(call), call.was_sent
            raise TimedOut(
                self.key, exchange.operation, was_sent=was_sent, reason=reason
            ) from error

    def _timeout_reason(self, call: OutgoingCall[Any]) -> NetworkFailure | None:
        """Return what a call was waiting for at its deadline; None: for the concurrency limit."""
        if call.was_sent or call.progress.is_connecting:
            return call.progress.timeout
        if self.session is not None and self.session.is_signing_in:
            return self.session.progress.timeout
        return None

    def _send_guarded(self, call: OutgoingCall[T]) -> Awaitable[CachedReply[T]]:
        return self.guard.run(
            lambda: self._send_authorized(call),
            call.exchange.operation,
            call.deadline,
            turn=id(call.scope),  # not its id, which clients may choose
            is_background=call.scope.is_background,
        )

    def _send_authorized(self, call: OutgoingCall[T]) -> Awaitable[CachedReply[T]]:
        if self.session is None:
            return self._attempt(call, self._headers)
        return self._send_with_token(call, self.session)

    async def _send_with_token(
        self, call: OutgoingCall[T], session: TokenSession
    ) -> CachedReply[T]:
        token = await session.token(call.scope)
        headers = {**self._headers, "authorization": token.authorization}
        try:
            return await self._attempt(call, headers)
        except Denied as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        # The token ended early (revoked, or the provider's clock is ahead): try one new token.
        token = await session.token(call.scope, instead_of=token)
        self.guard.budget.charge()
        headers["authorization"] = token.authorization
        return await self._attempt(call, headers)

    async def _attempt(self, call: OutgoingCall[T], headers: Mapping[str, str]) -> CachedReply[T]:
        """Make the call once."""
        exchange, was_sent = call.exchange, call.was_sent
        trace = call.scope.trace
        span = None
        if trace is not None:
            span = trace.begin()
            headers = {**headers, **trace.headers(span)}
        started = time.perf_counter()
        status: int | None = None
        failure: ProviderError | None = None
        call.was_sent = True
        call.attempts += 1
        call.progress.is_connecting = False
        try:
            reply = await self._exchange(exchange, headers, call.progress)
            status = reply.status
            at, fetched_at = _now(), datetime.now(UTC)
            limit = self._rate_limits.rate_limit(reply) if self._rate_limits else None
            if limit is not None:
                self.guard.rate_limit.note(limit, time.time(), at)
            value = read_reply(self.key, exchange, reply)
            report(self.key, exchange.operation, call.scope.request_id, reply.oddities)
            return CachedReply(reply, at, fetched_at, exchange, value)
        except ProviderError as error:
            failure = error
            call.was_sent = was_sent or error.was_sent
            raise
        except asyncio.CancelledError:
            if call.progress.is_connecting:
                call.was_sent = was_sent
            if is_over(call.deadline, _now()):
                failure = TimedOut(self.key, exchange.operation, reason=call.progress.timeout)
            raise
        finally:
            ended = time.perf_counter()
            if status is not None or failure is not None:
                self.health.note((ended - started) * 1000, failure)
            record = CallRecord(
                self.key,
                exchange.operation,
                status,
                started,
                ended - started,
                attempt=call.attempts,
                keys=exchange.keys,
                waited_s=started - call.waits_since,
                error=None if failure is None else type(failure),
                reason=None if failure is None else failure.reason,
            )
            call.waits_since = ended
            call.scope.calls.append(record)
            self._observe(record)
            if trace is not None and span is not None:
                trace.call_ended(span, record)

    async def _exchange(
        self, exchange: Exchange[T], headers: Mapping[str, str], progress: Progress
    ) -> Reply:
        """Send the call and read the whole reply."""
        call = exchange.call
        try:
            reply = await self._http_client.exchange(
                call.method, call.target, {**call.headers, **headers}, call.body, progress
            )
        except TRANSPORT_ERRORS as error:
            raise provider_error(error, self.key, exchange.operation) from error
        if reply.body.startswith(BOM_UTF8):  # some serializers write one (RFC 8259, 8.1)
            return msgspec.structs.replace(reply, body=reply.body.removeprefix(BOM_UTF8))
        return reply
