"""Tells who asks, by the Authorization header or what stands for it."""

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.auth.addresses import is_local
from gateway.auth.api_keys import PREFIX, ApiKeys
from gateway.auth.permissions import Caller, SignedIn, unrestricted_caller
from gateway.auth.refusal import refuse
from gateway.auth.settings import AuthSettings, JwtSettings

if TYPE_CHECKING:
    from gateway.auth.jwt import TokenVerifier

LONGEST = 8192
"""Characters of an Authorization header: a token holds some hundreds, of a large company 2,000."""


class Authenticator:
    """Knows the callers of one gateway."""

    def __init__(
        self,
        settings: AuthSettings,
        providers: Collection[str],
        *,
        allow_anonymous: bool | None,
        introspection: bool | None,
    ) -> None:
        """Let in who the settings name; `providers` are the keys of all that are configured.

        Without credentials: everybody where `allow_anonymous`, and where that is None and nobody
        could sign in, who asks from this machine. `introspection` None: for all but strangers,
        which are those without credentials from elsewhere.
        """
        self._allow_anonymous = allow_anonymous
        self._near_may_ask = allow_anonymous is None and settings.is_empty
        self._introspection = introspection
        explores = introspection is not False
        self._keys = ApiKeys(settings.keys, may_explore=explores)
        self._tokens = _tokens(settings.jwt, providers, may_explore=explores)

    async def caller(self, authorization: str | None, address: str | None) -> Caller:
        """Return who asks: the Authorization header, and the address that the request came from.

        Raises `Unauthenticated`.
        """
        known = self.known(authorization, address)
        if known is not None:
            return known.caller
        if self._tokens is None:
            refuse("no issuer is known")
        return await self._tokens.caller(_bearer(authorization or ""))

    def known(self, authorization: str | None, address: str | None) -> SignedIn | None:
        """Return who asks, where that can be told without waiting; None: ask `caller`.

        Raises `Unauthenticated`.
        """
        if authorization is None:
            return self._stranger(address)
        credential = _bearer(authorization)
        if credential.startswith(PREFIX):
            return self._keys.signed_in(credential)
        return None if self._tokens is None else self._tokens.known(credential)

    def lets_in_anonymous(self, address: str | None) -> bool:
        """Tell whether a request from this address needs no credentials."""
        return bool(self._allow_anonymous) or (self._near_may_ask and is_local(address))

    def _stranger(self, address: str | None) -> SignedIn:
        is_near = is_local(address)
        if not self.lets_in_anonymous(address):
            refuse("no credentials")
        explores = is_near if self._introspection is None else self._introspection
        return SignedIn(_anonymous(address, may_explore=explores), math.inf)


def _tokens(
    settings: Sequence[JwtSettings], providers: Collection[str], *, may_explore: bool
) -> "TokenVerifier | None":
    if not settings:
        return None
    from gateway.auth.jwt import TokenVerifier  # noqa: PLC0415  # joserfc: 0.1 s and 8 MB

    return TokenVerifier(settings, providers, may_explore=may_explore)


@lru_cache(maxsize=1024)
def _anonymous(address: str | None, *, may_explore: bool) -> Caller:
    return unrestricted_caller(f"anonymous:{address or 'local'}", may_explore=may_explore)


def _bearer(authorization: str) -> str:
    """Return the key or token of an Authorization header (RFC 6750). Raises `Unauthenticated`."""
    if len(authorization) > LONGEST or not authorization.isascii():
        refuse("credentials of a form that none have")
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer":
        refuse("another scheme than Bearer")
    return credential.strip(" ")
