"""Send calls to one provider's account: deadline, retries, guard, sign-in, one attempt."""

import asyncio
import random
import time
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from gateway.errors import Busy, Denied, ProviderError, TimedOut, Unavailable
from gateway.network_failures import NetworkFailure, Progress
from gateway.providers.base.adapter import Adapter, ReportsRateLimit, SignsIn
from gateway.providers.base.exchange import Call, Reply, Token
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.request_scope import CallRecord, Scope
from gateway.upstream.attempt import Credentials, ObserveCall, OutgoingCall
from gateway.upstream.direct_call import DirectCall, Ended
from gateway.upstream.failures import TRANSPORT_ERRORS, provider_error
from gateway.upstream.health import Health
from gateway.upstream.http.client import Http1Client, http_client
from gateway.upstream.redaction import Redaction
from gateway.upstream.resilience.deadline import Deadline
from gateway.upstream.resilience.guard import (
    Admission,
    UpstreamGuard,
    is_over,
)
from gateway.upstream.resilience.retry import RetryPolicy
from gateway.upstream.response_cache import CachedReply
from gateway.upstream.token_session import TokenSession

T = TypeVar("T")


def unobserved(_: CallRecord) -> None:
    """Do nothing: nobody observes the calls."""


SANDBOX_URL = "http://sandbox.invalid"  # never resolved: the sandbox runs in this process

COMMON_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": "segment-gateway",
}


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
        """Send over this transport, inside the running loop. New tokens are added to `redact`."""
        self.observe = observe
        self._loop = asyncio.get_running_loop()
        self.key = settings.key
        self.health = Health()
        self.guard = UpstreamGuard(settings)
        self._timeout_s = settings.timeout_s
        url = SANDBOX_URL if settings.base_url == SANDBOX else settings.base_url
        self._http_client = http_client(
            url, transport, settings.timeout_s, settings.max_answer_bytes
        )
        client = self._http_client
        self._direct_client = client if isinstance(client, Http1Client) else None
        self._headers = {**COMMON_HEADERS, **adapter.secret_headers}
        self._credentials = Credentials(self._headers)
        """Those with the newest token that was used; without one, if the account needs none."""
        self._redact = redact
        self._rate_limits = adapter if isinstance(adapter, ReportsRateLimit) else None
        self._retries = RetryPolicy(settings.retries, random.random)
        self.session: TokenSession | None = None
        if isinstance(adapter, SignsIn):
            sign_in_exchange = adapter.sign_in

            async def sign_in(scope: Scope, progress: Progress) -> Token:
                deadline = self._loop.time() + self._timeout_s
                call = OutgoingCall(sign_in_exchange(), scope, deadline, progress=progress)
                self.guard.budget.charge()
                token = (await self._attempt(call, COMMON_HEADERS)).value
                self._redact.add(token.authorization)
                return token

            self.session = TokenSession(self.key, sign_in, self._timeout_s, self._loop.time)

    async def close(self) -> None:
        """Cancel a sign-in under way."""
        if self.session is not None:
            await self.session.close()

    def start(
        self,
        call: OutgoingCall[T],
        ended: Ended[T],
        now: float,
        credentials: Credentials | None,
    ) -> DirectCall[T] | None:
        """Make the call without a task, once; None: nothing was sent, `send` has to make it.

        `credentials` are those of `now`. `ended` gets the call, and the reply or the error. After
        a `ProviderError`, `send` may retry the call; without either, it has to make it.
        """
        client = self._direct_client
        if client is None or credentials is None:
            return None
        scope = call.scope
        # Not by the id of the request, which clients may choose.
        place = self.guard.try_begin(
            id(scope), now, call.deadline, is_background=scope.is_background
        )
        if place is None:
            return None
        self._retries.count_call()
        direct = DirectCall(self, client, call, ended)
        if isinstance(place, Admission):
            direct.send(credentials, place)
        else:
            direct.queue(place)
        return direct

    def credentials(self, now: float) -> Credentials | None:
        """Return those of attempts that are made now; None: they need a sign-in."""
        if self.session is None:
            return self._credentials
        token = self.session.current(now)
        return None if token is None else self._credentials_with(token)

    def _credentials_with(self, token: Token) -> Credentials:
        if token is not self._credentials.token:
            headers = {**self._headers, "authorization": token.authorization}
            self._credentials = Credentials(headers, token)
        return self._credentials

    async def send(
        self, call: OutgoingCall[T], failure: ProviderError | None = None
    ) -> CachedReply[T]:
        """Make the call, and retry it while that is safe and may help, until its deadline.

        `failure` is the error of a first attempt, which was made by `start`.
        """
        exchange, loop = call.exchange, self._loop
        if failure is None:
            self._retries.count_call()
        elif is_unauthorized(failure):
            call.denied_token = call.token
        retries = 0
        cause: ProviderError | None = None
        try:
            with Deadline(call.deadline, loop):
                while True:
                    try:
                        if failure is not None and call.denied_token is None:
                            raise failure
                        return await self._send_guarded(call)
                    except ProviderError as error:
                        failure = None
                        error.was_sent = call.was_sent
                        if cause is not None and isinstance(error, Unavailable | Busy):
                            raise cause from error  # the original failure, not its consequence
                        cause, now = error, loop.time()
                        is_low = self.guard.rate_limit.is_low(now)
                        if call.scope.is_background or not exchange.is_idempotent or is_low:
                            raise
                        wait_s = self._retries.wait_s(error, retries, call.deadline - now)
                        if wait_s is None or self.guard.breaker.is_open(now + wait_s):
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
        denied, call.denied_token = call.denied_token, None
        if denied is None:
            denied = await session.token(call.scope)
            try:
                return await self._attempt(call, self._credentials_with(denied).headers)
            except Denied as error:
                if not is_unauthorized(error):
                    raise
            # It ended early (revoked, or the provider's clock is ahead): try one new token.
            self.guard.budget.charge()
        token = await session.token(call.scope, instead_of=denied)
        return await self._attempt(call, self._credentials_with(token).headers)

    async def _attempt(self, call: OutgoingCall[T], headers: Mapping[str, str]) -> CachedReply[T]:
        """Make the call once."""
        status: int | None = None
        sent = call.begin()
        try:
            reply = await self._exchange(sent, headers, call)
            status = reply.status
            return call.read(self, reply)
        except ProviderError as error:
            call.fail(error)
            raise
        except asyncio.CancelledError:
            timeout = None
            if is_over(call.deadline, self._loop.time()):
                timeout = TimedOut(self.key, call.exchange.operation, reason=call.progress.timeout)
            call.cancel(timeout)
            raise
        finally:
            call.end(self, status)

    def note_rate_limit(self, reply: Reply) -> float:
        """Note what a reply says about the rate limit; return the event loop's time."""
        now = self._loop.time()
        limit = self._rate_limits.rate_limit(reply) if self._rate_limits else None
        if limit is not None:
            self.guard.rate_limit.note(limit, time.time(), now)
        return now

    async def _exchange(
        self, sent: Call, headers: Mapping[str, str], call: OutgoingCall[T]
    ) -> Reply:
        """Send the call and read the whole reply."""
        try:
            return await self._http_client.exchange(sent, headers, call.progress)
        except TRANSPORT_ERRORS as error:
            raise provider_error(error, self.key, call.exchange.operation) from error


def is_unauthorized(error: ProviderError) -> bool:
    """Return whether a call was denied because of its token."""
    return isinstance(error, Denied) and error.status == HTTPStatus.UNAUTHORIZED
