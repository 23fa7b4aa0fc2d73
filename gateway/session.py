"""Keeps an account signed in: one sign-in at a time, and the next one early."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from gateway.errors import TimedOut
from gateway.scope import Scope
from gateway.wire import Token

REFRESH_AT = 0.8
"""The part of a token's life after which a new one is asked for while the old one still serves."""


class Session:
    """Keeps an account signed in: one sign-in at a time, and the next one early."""

    def __init__(
        self, provider: str, sign_in: Callable[[Scope], Awaitable[Token]], timeout_s: float
    ) -> None:
        """Sign in by `sign_in`, which makes one call; `provider` is the account's key."""
        self._provider = provider
        self._ask = sign_in
        self._timeout_s = timeout_s
        self._token: Token | None = None
        self._signed_in_at = 0.0
        self._signing_in: asyncio.Task[Token] | None = None

    async def token(self, scope: Scope, *, instead_of: Token | None = None) -> Token:
        """Return a token that still serves, and is not the one that just failed."""
        token = self._token
        if token is not None and token is not instead_of:
            age = time.monotonic() - self._signed_in_at
            if age < token.lifetime_s * REFRESH_AT:
                return token
            if age < token.lifetime_s - 1:
                self._sign_in(scope)
                return token
        # Shielded: whoever waits may hang up, the others still want the token.
        return await asyncio.shield(self._sign_in(scope))

    def _sign_in(self, scope: Scope) -> "asyncio.Task[Token]":
        if self._signing_in is None or self._signing_in.done():
            self._signing_in = asyncio.create_task(self._renew(scope))
            # Nobody may be waiting for an early renewal: its failure must not go unread.
            self._signing_in.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._signing_in

    async def _renew(self, scope: Scope) -> Token:
        try:
            async with asyncio.timeout(self._timeout_s):
                token = await self._ask(scope)
        except TimeoutError as error:
            raise TimedOut(self._provider, "sign_in") from error
        self._signed_in_at = time.monotonic()
        self._token = token
        return token
