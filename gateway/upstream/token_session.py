"""Keeps an account signed in: one sign-in at a time, and the next one early."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from gateway.errors import Denied, ProviderError, Refused, TimedOut
from gateway.network_failures import Progress
from gateway.providers.base.exchange import Token
from gateway.request_scope import Scope

REFRESH_AT = 0.8
"""The part of a token's life after which a new one is asked for while the old one still serves."""

REFUSAL_STANDS_S = 5.0
"""How long credentials, or a new token, that were refused are not tried again: a guess."""

RESTS_S = 1.0
"""How long an early renewal that failed otherwise waits for its next try."""


class TokenSession:
    """Keeps an account signed in: one sign-in at a time, and the next one early.

    Refused credentials are remembered for a moment, so that a wrong secret is not a storm of
    sign-ins.
    """

    def __init__(
        self,
        provider: str,
        sign_in: Callable[[Scope, Progress], Awaitable[Token]],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sign in by `sign_in`, which makes one call; `provider` is the account's key."""
        self._provider = provider
        self._ask = sign_in
        self._timeout_s = timeout_s
        self._clock = clock
        self.progress = Progress()
        """How far the newest sign-in has come."""
        self._token: Token | None = None
        self._signed_in_at = 0.0
        self._signing_in: asyncio.Task[Token] | None = None
        self._denied: ProviderError | None = None
        self._rests_until = 0.0
        self._forced_until = 0.0

    async def token(self, scope: Scope, *, instead_of: Token | None = None) -> Token:
        """Return a token that still serves, and is not the one that just failed.

        Raises `Denied` when the provider refuses the credentials, else what the sign-in met.
        """
        now, token = self._clock(), self._token
        if token is not None and token is not instead_of:
            age = now - self._signed_in_at
            if age < token.lifetime_s * REFRESH_AT:
                return token
            if age < token.lifetime_s - 1:
                if now >= self._rests_until:
                    self._sign_in(scope)
                return token
        if self._signing_in is not None and not self._signing_in.done():
            return await asyncio.shield(self._signing_in)
        if self._denied is not None and now < self._rests_until:
            raise self._denied.copy() from self._denied
        if token is not None and instead_of is token:
            if now < self._forced_until:
                # Already asked for instead of another that failed: a third would fail as well.
                raise Denied(self._provider, "sign_in", status=HTTPStatus.UNAUTHORIZED)
            self._forced_until = now + REFUSAL_STANDS_S
        # Shielded: whoever waits may hang up, the others still want the token.
        return await asyncio.shield(self._sign_in(scope))

    @property
    def is_signing_in(self) -> bool:
        """Whether a sign-in is under way."""
        return self._signing_in is not None and not self._signing_in.done()

    async def close(self) -> None:
        """Give up a sign-in that is under way."""
        if self._signing_in is not None:
            self._signing_in.cancel()
            await asyncio.wait([self._signing_in])

    def _sign_in(self, scope: Scope) -> "asyncio.Task[Token]":
        if self._signing_in is None or self._signing_in.done():
            self._signing_in = asyncio.create_task(self._renew(scope))
            # Nobody may be waiting for an early renewal: its failure must not go unread.
            self._signing_in.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._signing_in

    async def _renew(self, scope: Scope) -> Token:
        self._denied = None
        try:
            async with asyncio.timeout(self._timeout_s):
                token = await self._ask(scope, self.progress)
        except (Denied, Refused) as error:
            # Token endpoints answer wrong credentials with 400 as well (RFC 6749, 5.2).
            self._denied = Denied(
                self._provider, "sign_in", status=error.status, detail=error.detail
            )
            self._rests_until = self._clock() + REFUSAL_STANDS_S
            raise self._denied from error
        except TimeoutError as error:
            self._rests_until = self._clock() + RESTS_S
            raise TimedOut(
                self._provider, "sign_in", was_sent=False, reason=self.progress.timeout
            ) from error
        except ProviderError:
            self._rests_until = self._clock() + RESTS_S
            raise
        self._signed_in_at = self._clock()
        self._token = token
        return token
