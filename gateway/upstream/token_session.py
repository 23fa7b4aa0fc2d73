"""Keep an account signed in: one sign-in at a time, and renewal before the token expires."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from gateway.errors import Denied, ProviderError, Refused, TimedOut
from gateway.network_failures import Progress
from gateway.providers.base.exchange import Token
from gateway.request_scope import Scope

RENEW_AT = 0.8
"""The share of a token's lifetime after which it is renewed while still in use."""

DENIED_FOR_S = 5.0
"""How long denied credentials, or a denied new token, are not tried again: a guess."""

RENEWAL_PAUSE_S = 1.0
"""How long after any other failed renewal the next one is tried."""


class TokenSession:
    """Keeps an account signed in: one sign-in at a time, and renewal before the token expires.

    Denied credentials are not tried again for `DENIED_FOR_S`, so that a wrong secret does not
    cause a storm of sign-ins.
    """

    def __init__(
        self,
        provider: str,
        sign_in: Callable[[Scope, Progress], Awaitable[Token]],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sign in with `sign_in`, which makes one call; `provider` is the account's key."""
        self._provider = provider
        self._request_token = sign_in
        self._timeout_s = timeout_s
        self._clock = clock
        self.progress = Progress()
        """The progress of the newest sign-in."""
        self._token: Token | None = None
        self._signed_in_at = 0.0
        self._signing_in: asyncio.Task[Token] | None = None
        self._denied: ProviderError | None = None
        self._paused_until = 0.0
        self._replaced_until = 0.0
        self.succeeded = 0
        """How many sign-ins have succeeded."""
        self.failed = 0

    def current(self, now: float) -> Token | None:
        """Return a token that is not to be renewed yet, if there is one; `now` is on its clock."""
        token = self._token
        if token is None or now - self._signed_in_at >= token.lifetime_s * RENEW_AT:
            return None
        return token

    async def token(self, scope: Scope, *, instead_of: Token | None = None) -> Token:
        """Return a valid token other than `instead_of`, which the provider just denied.

        Raises `Denied` when the provider denies the credentials, else the error of the sign-in.
        """
        now, token = self._clock(), self._token
        if token is not None and token is not instead_of:
            age = now - self._signed_in_at
            if age < token.lifetime_s * RENEW_AT:
                return token
            if age < token.lifetime_s - 1:
                if now >= self._paused_until:
                    self._sign_in(scope)
                return token
        if self._signing_in is not None and not self._signing_in.done():
            return await asyncio.shield(self._signing_in)
        if self._denied is not None and now < self._paused_until:
            raise self._denied.copy() from self._denied
        if token is not None and instead_of is token:
            if now < self._replaced_until:
                # This token replaced another denied one already: a third would be denied as well.
                raise Denied(self._provider, "sign_in", status=HTTPStatus.UNAUTHORIZED)
            self._replaced_until = now + DENIED_FOR_S
        # Shielded: a cancelled request must not cancel the sign-in that others wait for.
        return await asyncio.shield(self._sign_in(scope))

    @property
    def is_signing_in(self) -> bool:
        """Whether a sign-in is under way."""
        return self._signing_in is not None and not self._signing_in.done()

    async def close(self) -> None:
        """Cancel a sign-in under way."""
        if self._signing_in is not None:
            self._signing_in.cancel()
            await asyncio.wait([self._signing_in])

    def _sign_in(self, scope: Scope) -> "asyncio.Task[Token]":
        if self._signing_in is None or self._signing_in.done():
            self._signing_in = asyncio.create_task(self._renew(scope))
            # Retrieve the exception of an early renewal: nothing else may await it.
            self._signing_in.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._signing_in

    async def _renew(self, scope: Scope) -> Token:
        try:
            token = await self._request(scope)
        except ProviderError:
            self.failed += 1
            raise
        self.succeeded += 1
        return token

    async def _request(self, scope: Scope) -> Token:
        self._denied = None
        try:
            async with asyncio.timeout(self._timeout_s):
                token = await self._request_token(scope, self.progress)
        except (Denied, Refused) as error:
            # Token endpoints respond to wrong credentials with 400 as well (RFC 6749, 5.2).
            self._denied = Denied(
                self._provider, "sign_in", status=error.status, detail=error.detail
            )
            self._paused_until = self._clock() + DENIED_FOR_S
            raise self._denied from error
        except TimeoutError as error:
            self._paused_until = self._clock() + RENEWAL_PAUSE_S
            raise TimedOut(
                self._provider, "sign_in", was_sent=False, reason=self.progress.timeout
            ) from error
        except ProviderError:
            self._paused_until = self._clock() + RENEWAL_PAUSE_S
            raise
        self._signed_in_at = self._clock()
        self._token = token
        return token
